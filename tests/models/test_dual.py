"""Dual encoders as they come: texts read as their own processors read them, clips pooled, pairs that fit."""

from collections.abc import Callable
from pathlib import Path

import dual_folders
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoProcessor, BertConfig, BertModel

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError
from polyreel.models.dual import DualEncoder, padded
from polyreel.models.plain_tokens import TokenSettings
from polyreel.models.pretrained import open_texts
from polyreel.models.pretrained_files import MANY_LANGS, is_published_model, languages_of
from polyreel.models.tokens import Tokens
from polyreel.similarity import unit

TEXTS = ["a Dog runs over the Sand!", "ein Hund", "狗在跑", "", "a dog, and a cat. " * 12]
MAKE: dict[str, Callable[[Path], Path]] = {
    "clip": dual_folders.clip,
    "siglip": dual_folders.siglip,
    "siglip2": dual_folders.siglip2,
    "siglip2-first": lambda folder: dual_folders.siglip2(folder, has_own_class=False),
}
IMAGES = FeatureSettings.imported("image tower", dual_folders.WIDTH)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dual")
    for name, make in MAKE.items():
        make(root / name)
    dual_folders.multilingual_clip(root / "multilingual")
    return root


@pytest.mark.parametrize("name", MAKE)
def test_texts_are_read_as_the_models_own_processor_reads_them(folders: Path, name: str) -> None:
    processor, model = AutoProcessor.from_pretrained(folders / name), AutoModel.from_pretrained(folders / name)
    asked = [text.lower() for text in TEXTS] if name == "siglip2-first" else TEXTS  # as it was trained
    if name == "clip":
        inputs = dict(processor(text=asked, padding=True, truncation=True, return_tensors="pt"))
    else:
        full = {"padding": "max_length", "max_length": dual_folders.SIGLIP_POSITIONS, "truncation": True}
        inputs = {"input_ids": processor(text=asked, return_tensors="pt", **full)["input_ids"]}
    with torch.inference_mode():
        answer = model.eval().get_text_features(**inputs)
    wanted = answer if isinstance(answer, torch.Tensor) else answer.pooler_output
    np.testing.assert_allclose(open_texts(folders / name)(TEXTS), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_a_text_tower_of_sentence_transformers_says_what_it_says_there(folders: Path) -> None:
    texts = [text for text in TEXTS if text]
    wanted = SentenceTransformer(str(folders / "multilingual"), device="cpu").encode(texts)
    np.testing.assert_allclose(open_texts(folders / "multilingual")(texts), wanted, rtol=1e-4, atol=1e-5)


def test_a_batch_changes_nothing(folders: Path) -> None:
    texts = open_texts(folders / "siglip2")
    together, alone = texts(TEXTS), np.concatenate([texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert DualEncoder(texts, IMAGES).encode_text([]).shape == (0, dual_folders.WIDTH)


def test_fingerprints_tell_towers_apart_and_copies_not(folders: Path, tmp_path: Path) -> None:
    found = {name: open_texts(folders / name).fingerprint for name in MAKE}
    assert len({*found.values()}) == len(MAKE)
    assert open_texts(dual_folders.siglip2(tmp_path / "copy")).fingerprint == found["siglip2"]


def test_a_clip_is_the_mean_of_its_frames_each_of_unit_length(folders: Path) -> None:
    model = DualEncoder(open_texts(folders / "clip"), IMAGES)
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(length, dual_folders.WIDTH)).astype(np.float32) for length in (1, 5)]
    wanted = [unit(unit(rows).mean(axis=0)[None])[0] for rows in clips]
    np.testing.assert_allclose(model.encode_clips(clips), wanted, atol=1e-6)
    np.testing.assert_allclose(model.encode_clips([1000 * clips[1]]), [wanted[1]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(model.encode_text(TEXTS), axis=1), 1, atol=1e-5)
    assert model.encode_clips([]).shape == (0, dual_folders.WIDTH)


def test_towers_of_different_widths_are_no_pair(folders: Path) -> None:
    with pytest.raises(DataError, match="gives 32 numbers and the image tower 'image tower' gives 7; they are no pair"):
        DualEncoder(open_texts(folders / "clip"), FeatureSettings.imported("image tower", 7))


def test_what_is_no_dual_encoder_is_refused(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(**sizes)).save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    with pytest.raises(DataError, match="is a BertModel, which has no text tower beside an image tower"):
        open_texts(tmp_path / "bert")
    assert is_published_model(tmp_path / "bert")
    (tmp_path / "empty").mkdir()
    assert not is_published_model(tmp_path / "empty")
    with pytest.raises(DataError, match=r"empty cannot be loaded .*; expected the folder of a CLIP"):
        open_texts(tmp_path / "empty")


def test_languages_stand_on_the_card_or_are_told_by_the_pieces(tmp_path: Path) -> None:
    assert languages_of(tmp_path, num_pieces=49_408) == ("en",)
    assert languages_of(tmp_path, num_pieces=256_000) == MANY_LANGS
    card = tmp_path / "README.md"
    card.write_text("---\nlanguage:\n- de\n- multilingual\n- sw\n---\n# A model\n")
    assert languages_of(tmp_path, num_pieces=256_000) == ("de", "sw")
    card.write_text("---\nlanguage: fr\n---\n")
    assert languages_of(tmp_path, num_pieces=256_000) == ("fr",)
    card.write_text("# no metadata\n")
    assert languages_of(tmp_path, num_pieces=256_000) == MANY_LANGS


@pytest.mark.parametrize(
    ("pads_left", "ids", "mask"),
    [
        (False, [[7, 8, 0, 0], [9, 0, 0, 0]], [[1, 1, 0, 0], [1, 0, 0, 0]]),
        (True, [[0, 0, 7, 8], [0, 0, 0, 9]], [[0, 0, 1, 1], [0, 0, 0, 1]]),
    ],
)
def test_texts_are_filled_up_on_the_side_the_tokenizer_says(pads_left: bool, ids: list, mask: list) -> None:
    settings = TokenSettings(max_tokens=4, has_special=True, unknown=1, pad=0, padded_to=4, pads_left=pads_left)
    found_ids, found_mask = padded(Tokens.from_lists([[7, 8], [9]]), settings)
    assert (found_ids.tolist(), found_mask.astype(int).tolist()) == (ids, mask)
