"""Exported models say what the models say, without torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError, PolyreelError
from polyreel.models.onnx_export import _check_equal, export_onnx
from polyreel.models.onnx_retriever import OnnxRetriever
from polyreel.models.opening import open_model
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.models.subword import train_tokenizer

VIDEO_DIM = 6
for _name in ("onnx", "onnxscript"):
    pytest.importorskip(_name, reason="needs the extra export")


def build(texts, text=None, **video):
    torch.manual_seed(0)
    return Retriever.build(
        text or TextSettings(width=16),
        VideoSettings(width=16, max_frames=8, **video),
        FeatureSettings.imported("toy", VIDEO_DIM),
        embed_dim=8,
        langs=["en", "de"],
        training_texts=texts,
    ).eval()


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, VIDEO_DIM)).astype(np.float32) for length in (3, 20, 1, 8)]


@pytest.fixture(scope="module")
def model(texts):
    return build(texts)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    export_onnx(model, folder)
    return folder


def same(model, exported, texts, clips, atol=1e-5):
    np.testing.assert_allclose(exported.encode_text(texts), model.encode_text(texts), atol=atol)
    np.testing.assert_allclose(exported.encode_clips(clips), model.encode_clips(clips), atol=atol)


def test_an_export_says_what_the_model_says(model, folder, texts, clips):
    exported = open_model(folder)
    assert isinstance(exported, OnnxRetriever)
    same(model, exported, texts, clips)
    np.testing.assert_allclose(exported.encode_text(texts, batch_size=1), exported.encode_text(texts), atol=1e-6)
    assert exported.encode_text([]).shape == exported.encode_clips([]).shape == (0, 8)


def test_an_export_stands_for_its_origin(model, folder):
    exported = open_model(folder)
    assert exported.fingerprint == model.fingerprint
    assert (exported.features, exported.langs) == (model.features, model.langs)


def test_an_export_needs_no_torch(folder):
    code = (
        "import sys; from polyreel.search.encoder import open_model; "
        f"print(open_model({str(folder)!r}).encode_text(['a dog']).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(1,", "8)", "False"]


def test_what_an_export_cannot_read_is_refused(folder, tmp_path):
    exported = open_model(folder)
    with pytest.raises(DataError, match=r"clip '#0' has features of shape \[2, 5\]; expected \[T, 6\]"):
        exported.encode_clips([np.ones((2, 5), np.float32)])
    with pytest.raises(ValueError, match=r"an exported model runs on the CPU, not on cuda"):
        exported.to("cuda")
    with pytest.raises(
        DataError, match=r"holds no exported model: no text.onnx; make one with `polyreel export --onnx`"
    ):
        OnnxRetriever.open(tmp_path)


def test_a_broken_export_is_said(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 900 if file.suffix == ".onnx" else None])
    with pytest.raises(DataError, match=r"text.onnx cannot be run .*export the model again"):
        OnnxRetriever.open(tmp_path)


def test_an_export_that_says_something_else_is_refused(texts, folder):
    torch.manual_seed(1)
    other = build([*texts, "other words"])
    with pytest.raises(
        PolyreelError, match=r"exported text tower does not say what the model says: cosine .* nothing was"
    ):
        _check_equal(other, OnnxRetriever.open(folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "video"),
    [
        ({"num_layers": 1}, {"pooling": "mean"}),
        ({"backbone": "xlm_roberta"}, {"has_positions": True}),
        ({"backbone": "bert", "pooling": "own"}, {}),
        ({"backbone": "pipeline", "pooling": "own"}, {}),
        ({"backbone": "static"}, {}),
    ],
    ids=["transformer", "encoder", "pooler", "sentence head", "static"],
)
def test_every_kind_of_tower_is_exported(texts, clips, tmp_path, request, text, video):
    if "backbone" in text:
        text["backbone"] = str(request.getfixturevalue(f"{text['backbone']}_folder"))
    model = build(texts, TextSettings(width=16, **text) if "backbone" not in text else TextSettings(**text), **video)
    same(model, export_onnx(model, tmp_path / "x"), texts, clips)


@pytest.mark.slow
def test_eight_bits_are_smaller_and_have_a_name_of_their_own(texts, clips, tmp_path):
    model = build(texts * 3, TextSettings(width=256))
    exact, rounded = export_onnx(model, tmp_path / "exact"), export_onnx(model, tmp_path / "int8", is_int8=True)
    sizes = [(tmp_path / name / "text.onnx").stat().st_size for name in ("exact", "int8")]
    assert sizes[1] < 0.5 * sizes[0]
    assert rounded.fingerprint != exact.fingerprint == model.fingerprint
    assert (rounded.encode_text(texts) * model.encode_text(texts)).sum(axis=1).min() > 0.99


def test_plain_tokens_are_those_of_the_backbone(texts):
    settings = TokenSettings(max_tokens=3, has_special=False, prompt="a ", unknown=0, pad=0)
    tokenizer = train_tokenizer(texts, vocab_size=100)
    plain = PlainTokenizer(tokenizer, settings).tokenize(["dog runs fast", ""])
    expected = tokenizer.encode("a dog runs fast", add_special_tokens=False).ids[:3]
    assert plain.ids[:3].tolist() == expected and plain.lengths.min() >= 1
