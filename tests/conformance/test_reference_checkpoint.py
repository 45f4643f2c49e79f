"""The reference's own checkpoint, as it comes, against the similarities the reference computed with it."""

import json

import numpy as np
import pytest
import torch

from polyreel import Retriever, import_checkpoint
from polyreel.cli import main
from polyreel.models.tokens import Tokens

TOLERANCE = 1e-5
LANGS = ("en", "de", "sw")


@pytest.fixture(scope="module")
def backbone(shared, tmp_path_factory):
    """Configuration and tokenizer of the tiny text encoder; its weights are in the checkpoint alone."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbone")
    config = json.loads((shared / "conformance" / "text_config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    pieces = {"[UNK]": 0, **{f"w{number}": number for number in range(1, config["vocab_size"])}}
    tokenizer = Tokenizer(models.WordLevel(pieces, "[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def imported(shared, backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "model"
    path = shared / "conformance" / "latest_model.pth"
    done = import_checkpoint(path, folder, backbone=str(backbone), extractor="clip-vit-b-32", langs=LANGS)
    return folder, done


def test_similarities_are_the_reference_s(shared, imported):
    model = Retriever.load(imported[0])
    with np.load(shared / "conformance" / "student_forward.npz") as golden, torch.no_grad():
        clips = model.embed_clips(torch.from_numpy(golden["video"]), torch.from_numpy(golden["video_mask"]))
        for lang in LANGS:
            pairs = zip(golden[f"ids_{lang}"], golden[f"mask_{lang}"], strict=True)
            tokens = Tokens.from_lists([ids[mask == 1].tolist() for ids, mask in pairs])
            expected = golden[f"sims_{lang}"]
            found = (model.embed_texts(tokens) @ clips.T).numpy()
            assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_settings_are_the_reference_s(imported):
    settings = imported[1].model.settings
    assert (settings.video.frame_sampling, settings.video.max_frames, settings.video.has_positions) == (
        "first",
        30,
        False,
    )
    assert (settings.video.width, settings.video.num_layers, settings.video.num_heads) == (64, 2, 4)
    assert (settings.video.mlp_ratio, settings.embed_dim, settings.features.dim) == (1.0, 48, 40)
    assert (settings.text.pooling, settings.langs) == ("mean", LANGS)


def test_every_tensor_is_used_or_named(shared, imported):
    from polyreel.safe_pickle import open_checkpoint

    _, done = imported
    with open_checkpoint(shared / "conformance" / "latest_model.pth") as content:
        num_tensors = len(content["state_dict"])
    dropped = [name for names in done.dropped.values() for name in names]
    assert len(dropped) == len(set(dropped))
    assert len(dropped) + len(done.model.state_dict()) == num_tensors
    assert all(name.startswith("davenet.") for name in done.dropped["the sound network"])
    assert len(done.dropped["a second name of the video branch"]) == 28


def test_the_verb_says_what_it_left_out(shared, backbone, tmp_path, capsys):
    path = shared / "conformance" / "latest_model.pth"
    words = ["import", "checkpoint", path, "-o", tmp_path / "model", "--backbone", backbone, "--extractor", "clip"]
    assert main([*map(str, words), "--lang", "en", "--lang", "de"]) == 0
    shown = capsys.readouterr().out
    assert "left out 2 tensor(s) of the text encoder's pooler: fusion_text.pooler.dense.weight, ..." in shown
    assert shown.endswith("model: embeddings of width 48, en, de\n")
    assert Retriever.load(tmp_path / "model").features.extractor == "clip"
