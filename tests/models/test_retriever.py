import json

import numpy as np
import pytest
import torch

from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.errors import DataError, FingerprintError
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings

VIDEO_DIM = 6
FEATURES = FeatureSettings(
    extractor="net", extractor_fingerprint="1", dim=VIDEO_DIM, source="onnx:net.onnx", sampling=Sampling()
)


def build(texts, *, seed=0, text=None, features=FEATURES, **video):
    torch.manual_seed(seed)
    return Retriever.build(
        text or TextSettings(width=16),
        VideoSettings(width=16, **video),
        features,
        embed_dim=8,
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


def store(folder, settings):
    with FeatureWriter(folder, settings) as writer:
        writer.add("a", np.ones((1, settings.dim), np.float32))
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


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"extractor": "clip"}, "extractor 'clip' instead of 'net'"),
        ({"extractor_fingerprint": "2"}, "extractor_fingerprint '2' instead of '1'"),
        ({"dim": 7}, "dim 7 instead of 6"),
        (
            {"sampling": Sampling(frames_per_second=4, max_frames=64)},
            r"frames_per_second 4\.0 instead of 1\.0, max_frames 64 instead of 512",
        ),
        ({"sampling": None}, r"frames_per_second 'unknown' instead of 1\.0, .*max_frames 'unknown' instead of 512.*"),
    ],
)
def test_features_made_otherwise_are_refused(model, tmp_path, other, difference):
    other = store(tmp_path / "store", FEATURES.model_copy(update=other))
    with pytest.raises(FingerprintError, match=f"other features than this model was trained on: {difference}; extract"):
        model.check_features(other)


def test_the_same_extractors_features_of_other_clips_are_read(model, tmp_path):
    model.check_features(store(tmp_path / "here", FEATURES))
    model.check_features(store(tmp_path / "moved", FEATURES.model_copy(update={"source": "onnx:elsewhere/net.onnx"})))


def test_imported_features_of_the_same_name_are_read(texts, tmp_path):
    imported = FeatureSettings(extractor="vgg", extractor_fingerprint="3", dim=VIDEO_DIM)
    build(texts, features=imported).check_features(store(tmp_path / "again", imported))


def test_the_same_seed_gives_the_same_weights(texts):
    assert build(texts, seed=3).fingerprint == build(texts, seed=3).fingerprint
    assert build(texts, seed=3).fingerprint != build(texts, seed=4).fingerprint


def test_the_fingerprint_follows_weights_settings_and_vocabulary(model, texts):
    before = model.fingerprint
    assert build(texts, features=FEATURES.model_copy(update={"extractor_fingerprint": "2"})).fingerprint != before
    assert build(texts, features=FEATURES.model_copy(update={"source": "onnx:moved/net.onnx"})).fingerprint == before
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
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
    }
    assert json.loads((tmp_path / "model" / "config.json").read_text())["langs"] == ["en", "de"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "language:\n- en\n- de\n" in card
    assert "features of `net`, width 6" in card


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(DataError, match=r"holds no model: expected config\.json and model\.safetensors"):
        Retriever.load(tmp_path)


def test_weights_that_were_cut_short_are_said(model, tmp_path):
    model.save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"model\.safetensors cannot be read .*; it was cut short"):
        Retriever.load(tmp_path / "model")


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
