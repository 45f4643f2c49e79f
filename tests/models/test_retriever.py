import json

import numpy as np
import pytest
import torch

from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.errors import DataError, FingerprintError
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings

VIDEO_DIM = 6


def build(texts, *, seed=0, text=None, **video):
    torch.manual_seed(seed)
    return Retriever.build(
        text or TextSettings(width=16),
        VideoSettings(width=16, **video),
        embed_dim=8,
        video_dim=VIDEO_DIM,
        extractor="pixels",
        langs=["en", "de"],
        training_texts=texts,
    )


@pytest.fixture
def model(texts):
    return build(texts)


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, VIDEO_DIM)).astype(np.float32) for length in (3, 40, 1, 12)]


def store(folder, extractor, dim):
    with FeatureWriter(folder, extractor=extractor, extractor_fingerprint="1", dim=dim) as writer:
        writer.add("a", np.ones((1, dim), np.float32))
    return FeatureStore.open(folder)


def test_rows_have_unit_length(model, texts, features):
    for rows, count in ((model.encode_text(texts), len(texts)), (model.encode_clips(features), len(features))):
        assert (rows.dtype, rows.shape) == (np.float32, (count, 8))
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-5)


def test_nothing_in_nothing_out(model):
    assert model.encode_text([]).shape == (0, 8)
    assert model.encode_clips([]).shape == (0, 8)


@pytest.mark.parametrize("num_layers", [0, 1])
def test_batches_and_order_change_nothing(texts, features, num_layers):
    model = build(texts, text=TextSettings(width=16, num_layers=num_layers))
    np.testing.assert_allclose(model.encode_text(texts, batch_size=2), model.encode_text(texts), atol=1e-6)
    np.testing.assert_allclose(model.encode_clips(features, batch_size=1), model.encode_clips(features), atol=1e-6)
    np.testing.assert_allclose(model.encode_text(texts[::-1]), model.encode_text(texts)[::-1], atol=1e-6)


def test_encoding_leaves_training_as_it_was(texts):
    model = build(texts, text=TextSettings(width=16, dropout=0.5), dropout=0.5).train()
    assert np.array_equal(model.encode_text(texts), model.encode_text(texts))
    assert model.training
    assert model.text.dropout.training


def test_embedding_is_encoding_with_gradients(model, texts, features):
    embeddings = model.embed_texts(model.text.tokenize(texts))
    assert embeddings.requires_grad
    np.testing.assert_allclose(embeddings.detach().numpy(), model.encode_text(texts), atol=1e-6)
    clips = model.embed_clips(*model.video.frames(features))
    np.testing.assert_allclose(clips.detach().numpy(), model.encode_clips(features), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.ones((2, 5), np.float32), r"clip '#1' has features of shape \[2, 5\]; expected \[T, 6\]"),
        (np.full((2, 6), np.nan, np.float32), "clip '#1' has NaN or infinity"),
    ],
)
def test_features_that_cannot_be_used_are_refused(model, features, wrong, reason):
    with pytest.raises(DataError, match=reason):
        model.encode_clips([features[0], wrong])


def test_features_of_another_extractor_are_refused(model, tmp_path):
    model.check_features(store(tmp_path / "right", "pixels", VIDEO_DIM))
    with pytest.raises(FingerprintError, match="features of 'clip', width 6, but this model was trained on 'pixels'"):
        model.check_features(store(tmp_path / "name", "clip", VIDEO_DIM))
    with pytest.raises(FingerprintError, match=r"features of 'pixels', width 7, but this model .* 'pixels', width 6"):
        model.check_features(store(tmp_path / "width", "pixels", 7))


def test_the_same_seed_gives_the_same_weights(texts):
    assert build(texts, seed=3).fingerprint == build(texts, seed=3).fingerprint
    assert build(texts, seed=3).fingerprint != build(texts, seed=4).fingerprint


def test_the_fingerprint_follows_weights_settings_and_vocabulary(model, texts):
    before = model.fingerprint
    assert build(texts, frame_sampling="first").fingerprint != before
    assert build([*texts, "zebra zebra"]).fingerprint != before
    with torch.no_grad():
        model.video.project.linear.bias[0] += 1e-3
    assert model.fingerprint != before


KINDS = {
    "subword": ("", {}),
    "subword transformer": ("", {"num_layers": 1}),
    "bert": ("bert_folder", {"pooling": "own"}),
    "xlm-roberta": ("xlm_roberta_folder", {}),
    "xlm-roberta, own": ("xlm_roberta_folder", {"pooling": "own"}),
    "pipeline": ("pipeline_folder", {"pooling": "own"}),
    "pipeline, mean": ("pipeline_folder", {"pooling": "mean"}),
    "static": ("static_folder", {}),
    "static, frozen": ("static_folder", {"is_frozen": True}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_opens_without_what_it_was_made_from(kind, request, tmp_path, texts, features):
    fixture, settings = KINDS[kind]
    backbone = "subword"
    if fixture:
        source = request.getfixturevalue(fixture)
        backbone = str(tmp_path / "source")
        (tmp_path / "source").symlink_to(source)
    model = build(texts[:3], text=TextSettings(backbone=backbone, width=16, **settings))
    (tmp_path / "source").unlink(missing_ok=True)
    model.save(tmp_path / "model")
    random_state = torch.get_rng_state()
    again = Retriever.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (again.fingerprint, again.settings) == (model.fingerprint, model.settings)
    assert not again.training
    assert np.array_equal(again.encode_text(texts), model.encode_text(texts))
    assert np.array_equal(again.encode_clips(features), model.encode_clips(features))
    again.save(tmp_path / "model")
    assert Retriever.from_pretrained(tmp_path / "model").fingerprint == model.fingerprint
    assert not list((tmp_path / "model" / "backbone").rglob("*.safetensors"))


def test_the_folder_reads_by_itself(model, tmp_path):
    model.save(tmp_path / "model")
    assert {file.name for file in (tmp_path / "model").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert json.loads((tmp_path / "model" / "config.json").read_text())["langs"] == ["en", "de"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "language:\n- en\n- de\n" in card
    assert "features of `pixels`, width 6" in card


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(DataError, match=r"holds no model: expected config\.json and model\.safetensors"):
        Retriever.load(tmp_path)


def test_weights_that_do_not_fit_are_said(model, tmp_path):
    model.save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(file.read_text().replace('"embed_dim": 8', '"embed_dim": 9'))
    with pytest.raises(DataError, match=r"model\.safetensors does not fit config\.json beside it"):
        Retriever.load(tmp_path / "model")


def test_an_edited_configuration_is_said(model, tmp_path):
    model.save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(file.read_text().replace('"embed_dim"', '"embed_dims"'))
    with pytest.raises(DataError, match="unknown key 'embed_dims'; did you mean 'embed_dim'"):
        Retriever.load(tmp_path / "model")


def test_a_name_that_is_no_model_is_said(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="nobody/nothing is no folder and cannot be fetched from the hub"):
        Retriever.from_pretrained("nobody/nothing")
