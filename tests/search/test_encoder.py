from pathlib import Path

import numpy as np
import pytest

from polyreel.errors import FingerprintError
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import update_library
from polyreel.video.extractors.pixels import PixelExtractor
from polyreel.video.windows import Sampling


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
    denser = SearchEncoder(model=encoder.model, extractor=PixelExtractor(), sampling=Sampling(frames_per_second=5))
    assert encoder.fingerprint == again.fingerprint
    assert len({encoder.fingerprint, other_encoder.fingerprint, denser.fingerprint}) == 3


def small_retriever(extractor: str = "pixels") -> Retriever:
    return Retriever.build(
        TextSettings(width=8, vocab_size=60),
        VideoSettings(pooling="mean"),
        embed_dim=8,
        video_dim=PixelExtractor.dim,
        extractor=extractor,
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


def test_a_changed_model_is_refused(tmp_path: Path, library: Path) -> None:
    small_retriever().save(tmp_path / "model")
    Index.create(tmp_path / "index", SearchEncoder.open(tmp_path / "model"), library)
    small_retriever().save(tmp_path / "model")
    with pytest.raises(FingerprintError, match="holds embeddings of encoder"):
        Index.open(tmp_path / "index").search("red")


def test_another_extractor_is_refused() -> None:
    with pytest.raises(FingerprintError, match="was trained on features of 'mobilenet_v2', not of 'pixels'"):
        SearchEncoder(model=small_retriever("mobilenet_v2"), extractor=PixelExtractor())


def test_an_extractor_with_a_file_must_be_named(tmp_path: Path) -> None:
    small_retriever("mobilenet_v2").save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"was trained on features of 'mobilenet_v2': .*expected 'pixels' or"):
        SearchEncoder.open(tmp_path / "model")
