"""Checkpoints in the reference's form with a piece too much, too little or otherwise than it should be."""

import numpy as np
import pytest
import torch

from polyreel.errors import DataError
from polyreel.models.reference import import_checkpoint
from polyreel.models.retriever import Retriever

WIDTH, VIDEO_DIM, EMBED_DIM = 8, 6, 4


def linear(name, out_dim, in_dim):
    return {f"{name}.weight": 0.1 * torch.randn(out_dim, in_dim), f"{name}.bias": 0.1 * torch.randn(out_dim)}


def norm(name, width):
    return {f"{name}.weight": torch.randn(width), f"{name}.bias": torch.randn(width)}


def gated(name, out_dim, in_dim):
    return linear(f"{name}.fc", out_dim, in_dim) | linear(f"{name}.cg.fc", out_dim, out_dim)


@pytest.fixture
def state(bert_folder):
    """A reference's state dict: one block over frames, the tiny BERT for text."""
    from transformers import AutoModel

    torch.manual_seed(0)
    bert = AutoModel.from_pretrained(bert_folder)
    block = "fusion_video.blocks.0"
    video = {
        "fusion_video.cls_token": torch.randn(1, 1, WIDTH),
        **norm(f"{block}.norm1", WIDTH),
        **linear(f"{block}.attn.qkv", 3 * WIDTH, WIDTH),
        **linear(f"{block}.attn.proj", WIDTH, WIDTH),
        **norm(f"{block}.norm2", WIDTH),
        **linear(f"{block}.mlp.fc1", 2 * WIDTH, WIDTH),
        **linear(f"{block}.mlp.fc2", WIDTH, 2 * WIDTH),
        **norm("fusion_video.norm", WIDTH),
    }
    return {
        **{f"fusion_text.{name}": weight for name, weight in bert.state_dict().items()},
        "fusion_text.embeddings.position_ids": torch.arange(64)[None],
        **norm("text_proj.0", 16),
        **gated("text_proj.1", EMBED_DIM, 16),
        **gated("video_token_proj", WIDTH, VIDEO_DIM),
        **norm("video_norm_layer", WIDTH),
        **video,
        **{name.replace("fusion_video", "fusion"): weight for name, weight in video.items()},
        **gated("video_proj", EMBED_DIM, WIDTH),
        **linear("audio_proj", 1, 1),
    }


@pytest.fixture
def imported(bert_folder, tmp_path):
    """Save a checkpoint and import it."""

    def save_and_import(state, *, backbone=str(bert_folder), config=None, **options):
        torch.save({"state_dict": state, "config": config}, tmp_path / "latest_model.pth")
        place = {"output": tmp_path / "model", "backbone": backbone, "extractor": "clip", "langs": ["en"]}
        return import_checkpoint(tmp_path / "latest_model.pth", **place | options)

    return save_and_import


def test_every_weight_comes_from_the_checkpoint(imported, state, tmp_path):
    done = imported(state)
    model = Retriever.load(tmp_path / "model")
    assert model.fingerprint == done.model.fingerprint
    assert model.settings.video.mlp_ratio == 2.0
    found = model.state_dict()
    np.testing.assert_array_equal(
        found["video.pool.blocks.0.mlp_in.weight"], state["fusion_video.blocks.0.mlp.fc1.weight"]
    )
    np.testing.assert_array_equal(found["text.project.gate.bias"], state["text_proj.1.cg.fc.bias"])
    np.testing.assert_array_equal(
        found["text.backbone.model.embeddings.LayerNorm.bias"], state["fusion_text.embeddings.LayerNorm.bias"]
    )
    assert model.encode_text(["a dog"]).shape == (1, EMBED_DIM)
    assert done.dropped["the sound branch"] == ("audio_proj.weight", "audio_proj.bias")
    assert done.dropped["the text encoder's counting"] == ("fusion_text.embeddings.position_ids",)


def test_half_numbers_become_whole_ones(imported, state):
    done = imported({name: weight.half() for name, weight in state.items()})
    assert {weight.dtype for weight in done.model.state_dict().values()} == {torch.float32}


def test_the_configuration_inside_tells_the_heads(imported, state):
    config = {"config": {"arch": {"args": {"fusion_params": {"num_heads": 2}}}}}
    assert imported(state, config=config).model.settings.video.num_heads == 2


def drop(name):
    return lambda state: state.pop(name)


def put(name, value):
    return lambda state: state.update({name: value})


FAULTS = {
    "unknown": (
        put("strange.weight", torch.ones(2)),
        "has strange.weight, which nothing here knows; is '.*' the encoder",
    ),
    "several unknown": (
        lambda state: state.update({f"strange.{number}": torch.ones(1) for number in range(7)}),
        r"has strange\.0, strange\.1, strange\.2, strange\.3, strange\.4 and 2 more, which nothing here knows",
    ),
    "lacking": (drop("text_proj.0.bias"), r"lacks text_proj\.0\.bias; is"),
    "another shape": (
        put("text_proj.0.bias", torch.ones(15)),
        r"has text_proj\.0\.bias of shape \[15\]; expected \[16\]; is '.*' the",
    ),
    "no video": (
        drop("video_token_proj.fc.weight"),
        r"has no matrix video_token_proj\.fc\.weight; expected a checkpoint",
    ),
    "another duplicate": (
        put("fusion.norm.bias", torch.ones(WIDTH)),
        r"has fusion\.norm\.bias, which should be a second name of fusion_video",
    ),
    "a lone duplicate": (put("fusion.more", torch.ones(WIDTH)), r"has fusion\.more, which should be a second name of"),
    "no tensor": (
        put("text_proj.0.bias", "text"),
        r"has 'text_proj\.0\.bias' in its state_dict, a str; expected tensors",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_does_not_fit_is_named(imported, state, tmp_path, case):
    change, message = FAULTS[case]
    change(state)
    with pytest.raises(DataError, match=message):
        imported(state)
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_without_weights(imported):
    with pytest.raises(DataError, match=r"latest_model\.pth has no state_dict; expected a checkpoint as the reference"):
        imported(None)


def test_an_encoder_that_is_not_there(imported, state, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"the text encoder '.*empty' cannot be opened \(.*\); name a folder with"):
        imported(state, backbone=str(tmp_path / "empty"))


def test_an_encoder_of_another_size(imported, state, xlm_roberta_folder):
    with pytest.raises(DataError, match=r"fusion_text\..* is '.*' the encoder it was made with\?"):
        imported(state, backbone=str(xlm_roberta_folder))


def test_a_folder_of_something_else_is_left_alone(imported, state, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "work.txt").write_text("mine")
    with pytest.raises(DataError, match="other exists and is no model; name another folder"):
        imported(state, output=tmp_path / "other", replace=True)


def test_a_model_is_replaced_only_if_said(imported, state):
    imported(state)
    with pytest.raises(DataError, match="already is a model; name another folder, or say --replace to delete it"):
        imported(state)
    imported(state, replace=True)


def test_a_published_teacher_keeps_the_mask_it_learnt_with(imported, state, xlm_roberta_folder, tmp_path):
    plain = imported(state).model.encode_text(["well, a dog!"])
    done = imported(state, pooling_mask=str(xlm_roberta_folder), replace=True)
    opened = Retriever.load(tmp_path / "model")
    np.testing.assert_array_equal(opened.encode_text(["well, a dog!"]), done.model.encode_text(["well, a dog!"]))
    assert np.abs(opened.encode_text(["well, a dog!"]) - plain).max() > 1e-3


def test_a_mask_that_is_not_there(imported, state, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"the text encoder '.*empty' cannot be opened"):
        imported(state, pooling_mask=str(tmp_path / "empty"))
