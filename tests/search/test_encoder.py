from pathlib import Path

import numpy as np
import pytest
from colour_model import ColourModel

from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.errors import DataError, FingerprintError
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import open_library, update_library
from polyreel.video.decode import FrameBatch
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.onnx import OnnxExtractor
from polyreel.video.extractors.pixels import PixelExtractor

PIXELS = feature_settings(PixelExtractor(), Sampling())


class CountingPixels(PixelExtractor):
    """Remembers of how many frames each clip was."""

    def __init__(self) -> None:
        self.nums_frames: list[int] = []

    def __call__(self, batch: FrameBatch) -> np.ndarray:
        self.nums_frames.append(len(batch.frames))
        return super().__call__(batch)


class LaterPixels(PixelExtractor):
    """As the extractor would be after its arithmetic has changed."""

    fingerprint = "later"


def test_texts_and_clips_meet_in_one_space(encoder: SearchEncoder, library: Path) -> None:
    clips = encoder.encode_video(library / "more" / "both.mp4", [(4.0, 8.0), (0.0, 4.0)])
    texts = encoder.encode_text(["modrá", "rot"])
    assert clips.shape == texts.shape == (2, encoder.dim)
    assert (texts @ clips.T).argmax(axis=1).tolist() == [0, 1]


def test_a_video_does_not_depend_on_its_neighbours(encoder: SearchEncoder, library: Path) -> None:
    video = library / "more" / "both.mp4"
    both = encoder.encode_video(video, [(0.0, 4.0), (2.0, 6.0)])
    alone = np.concatenate([encoder.encode_video(video, [span]) for span in ((0.0, 4.0), (2.0, 6.0))])
    np.testing.assert_allclose(both, alone, atol=1e-6)


def test_the_fingerprint_tells_model_and_sampling(encoder: SearchEncoder, other_encoder: SearchEncoder) -> None:
    again = SearchEncoder(model=encoder.model, extractor=PixelExtractor())
    denser_model = ColourModel(sampling=Sampling(frames_per_second=5))
    denser = SearchEncoder(model=denser_model, extractor=PixelExtractor())
    assert denser_model.fingerprint == encoder.model.fingerprint
    assert encoder.fingerprint == again.fingerprint
    assert len({encoder.fingerprint, other_encoder.fingerprint, denser.fingerprint}) == 3


def test_clips_are_looked_at_as_in_training(library: Path) -> None:
    extractor = CountingPixels()
    sampling = Sampling(frames_per_second=0.5, min_frames=1, max_frames=3)
    encoder = SearchEncoder(model=ColourModel(sampling=sampling), extractor=extractor)
    encoder.encode_video(library / "more" / "both.mp4", [(0.0, 2.0), (0.0, 4.0), (0.0, 7.9)])
    assert extractor.nums_frames == [1, 2, 3]


def small_retriever(features: FeatureSettings = PIXELS) -> Retriever:
    return Retriever.build(
        TextSettings(width=8, vocab_size=60),
        VideoSettings(pooling="mean"),
        features,
        embed_dim=8,
        langs=["en"],
        training_texts=["a red video", "a blue video"],
    )


def test_an_index_finds_its_model_again(tmp_path: Path, library: Path) -> None:
    small_retriever().save(tmp_path / "model")
    encoder = SearchEncoder.open(tmp_path / "model")
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    hits = Index.open(tmp_path / "index").search("a red video", k=2)
    assert [hit.clip_id for hit in hits] == [hit.clip_id for hit in index.search("a red video", k=2)]
    assert len(hits) == 2


def test_an_index_follows_a_model_that_moved(tmp_path: Path, library: Path) -> None:
    small_retriever().save(tmp_path / "model")
    index = open_library(tmp_path / "index", library, SearchEncoder.open(tmp_path / "model"))
    update_library(index, library, index.encoder)
    (tmp_path / "model").rename(tmp_path / "moved")
    message = r"made with the model .*model, which is not there any more; say where it is now: polyreel index .*library"
    with pytest.raises(DataError, match=message):
        Index.open(tmp_path / "index").search("red")
    moved = SearchEncoder.open(tmp_path / "moved")
    assert update_library(open_library(tmp_path / "index", library, moved), library, moved).num_unchanged == 3
    assert len(Index.open(tmp_path / "index").search("red", k=2)) == 2
    in_memory = SearchEncoder(model=moved.model, extractor=moved.extractor)
    Index.open(tmp_path / "index").follow(in_memory)
    assert Index.open(tmp_path / "index").header.model_folder == "../moved"


def test_a_changed_model_is_refused(tmp_path: Path, library: Path) -> None:
    small_retriever().save(tmp_path / "model")
    Index.create(tmp_path / "index", SearchEncoder.open(tmp_path / "model"), library)
    small_retriever().save(tmp_path / "model")
    with pytest.raises(FingerprintError, match="holds embeddings of encoder"):
        Index.open(tmp_path / "index").search("red")


def test_another_extractor_is_refused() -> None:
    net = FeatureSettings(
        extractor="net", extractor_fingerprint="1", dim=4, source="onnx:net.onnx", sampling=Sampling()
    )
    with pytest.raises(
        FingerprintError,
        match=r"not the one the model was trained with: extractor 'pixels' instead of 'net', .* dim 678",
    ):
        SearchEncoder(model=small_retriever(net), extractor=PixelExtractor())


def test_another_version_of_the_extractor_is_refused() -> None:
    difference = f"trained with: extractor_fingerprint 'later' instead of '{PixelExtractor.fingerprint}'; name that one"
    with pytest.raises(FingerprintError, match=difference):
        SearchEncoder(model=small_retriever(), extractor=LaterPixels())


def test_a_model_of_an_older_extractor_is_refused(tmp_path: Path) -> None:
    small_retriever(feature_settings(LaterPixels(), Sampling())).save(tmp_path / "model")
    with pytest.raises(FingerprintError, match="instead of 'later'"):
        SearchEncoder.open(tmp_path / "model")


def test_a_model_of_imported_features_cannot_search_videos(tmp_path: Path) -> None:
    small_retriever(FeatureSettings(extractor="vgg16", extractor_fingerprint="1", dim=128)).save(tmp_path / "model")
    message = "trained on imported features 'vgg16', and nothing says how to make them of a video; to search videos,"
    with pytest.raises(FingerprintError, match=message):
        SearchEncoder.open(tmp_path / "model")
    with pytest.raises(FingerprintError, match=message):
        SearchEncoder.open(tmp_path / "model", "pixels")


def test_a_model_opens_its_own_extractor_through_a_link(shared: Path, tmp_path: Path) -> None:
    network = tmp_path / "net.onnx"
    network.symlink_to(shared / "models/mobilenet_v2/mobilenet_v2.onnx")
    sampling = Sampling(frames_per_second=2)
    mobilenet = OnnxExtractor(network)
    small_retriever(feature_settings(mobilenet, sampling)).save(tmp_path / "model")
    opened = SearchEncoder.open(tmp_path / "model")
    assert (opened.extractor.fingerprint, opened.sampling) == (mobilenet.fingerprint, sampling)


def test_an_extractor_that_is_gone_must_be_named(tmp_path: Path) -> None:
    gone = PIXELS.model_copy(update={"extractor": "net", "source": f"onnx:{tmp_path / 'net.onnx'}"})
    small_retriever(gone).save(tmp_path / "model")
    with pytest.raises(
        DataError,
        match=r"trained on features of 'net': there is no ONNX model at .*net\.onnx; say where that extractor is",
    ):
        SearchEncoder.open(tmp_path / "model")
    with pytest.raises(
        DataError, match=r"trained on features of 'net': there is no extractor 'nett'; expected 'pixels'"
    ):
        SearchEncoder.open(tmp_path / "model", "nett")


def test_another_network_of_the_same_name_is_refused(shared: Path, tmp_path: Path) -> None:
    network = tmp_path / "net.onnx"
    network.write_bytes((shared / "models/mobilenet_v2/mobilenet_v2.onnx").read_bytes())
    small_retriever(feature_settings(OnnxExtractor(network), Sampling())).save(tmp_path / "model")
    network.with_suffix(".json").write_text('{"mean": [0, 0, 0]}')
    with pytest.raises(
        FingerprintError, match=r"trained with: extractor_fingerprint '\w+' instead of '\w+'; name that"
    ):
        SearchEncoder.open(tmp_path / "model")
