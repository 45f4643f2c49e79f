"""Another model, and older formats."""

import json
from pathlib import Path

import numpy as np
import pytest
from colour_model import ColourModel

from polyreel.errors import ItemsFailedError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import open_library, update_library
from polyreel.video.extractors.pixels import PixelExtractor


@pytest.fixture
def index(tmp_path: Path, library: Path, encoder: SearchEncoder) -> Index:
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    return index


@pytest.fixture
def third_encoder() -> SearchEncoder:
    return SearchEncoder(model=ColourModel(seed=2, dim=20), extractor=PixelExtractor())


def test_a_successor_takes_over_when_it_is_complete_and_not_before(
    index: Index, library: Path, encoder: SearchEncoder, third_encoder: SearchEncoder
):
    successor = open_library(index.folder, library, third_encoder)
    assert (len(successor), len(Index.open(index.folder, encoder))) == (0, 4)
    assert update_library(successor, library, third_encoder).num_indexed == 3
    opened = Index.open(index.folder, third_encoder)
    assert (len(opened), opened.header.dim) == (4, 20)
    assert opened.search("blue", k=1)[0].clip_id == "more/both.mp4#4"
    assert index.search("blue", k=1)[0].clip_id == "more/both.mp4#4"  # a server that has not noticed yet


def test_a_successor_that_was_stopped_goes_on(
    index: Index, library: Path, encoder: SearchEncoder, third_encoder: SearchEncoder
):
    half = open_library(index.folder, library, third_encoder)

    def stop(done: float, total: float, doing: str) -> None:
        raise KeyboardInterrupt

    (library / "more" / "both.mp4").rename(library / "both.mp4")
    with pytest.raises(KeyboardInterrupt):
        update_library(half, library, third_encoder, progress=stop)
    assert Index.open(index.folder, encoder).header == index.header
    update_library(open_library(index.folder, library, third_encoder), library, third_encoder)
    assert len(Index.open(index.folder, third_encoder)) == 4


def test_a_bad_file_does_not_keep_a_successor_from_taking_over(
    index: Index, library: Path, third_encoder: SearchEncoder
):
    (library / "broken.mp4").write_text("no video")
    with pytest.raises(ItemsFailedError, match="1 failed, the rest is done"):
        update_library(open_library(index.folder, library, third_encoder), library, third_encoder)
    assert len(Index.open(index.folder, third_encoder)) == 4


def test_going_back_costs_nothing_and_older_parts_are_deleted(
    index: Index, library: Path, encoder: SearchEncoder, other_encoder: SearchEncoder, third_encoder: SearchEncoder
):
    parts = []
    for one in (other_encoder, third_encoder, other_encoder):
        update = update_library(open_library(index.folder, library, one), library, one)
        parts.append((update.num_unchanged, sorted(path.parent.name for path in index.folder.rglob("clips.lance"))))
    names = [f"by-{one.fingerprint[:12]}" for one in (other_encoder, third_encoder)]
    assert parts == [(0, sorted(["index", names[0]])), (0, sorted(names)), (3, sorted(names))]


def test_an_index_of_the_first_format_is_migrated_without_decoding(
    tmp_path: Path, library: Path, encoder: SearchEncoder
):
    import lancedb
    import pyarrow as pa

    from polyreel.search.changes import _quick

    folder = tmp_path / "old"
    random = np.random.default_rng(0).normal(size=(2, 48)).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    rows = pa.table(
        {
            "clip_id": ["red.mp4#0", "it's green.mp4#0"],
            "video": ["red.mp4", "it's green.mp4"],
            "start_seconds": [0.0, 0.0],
            "end_seconds": [2.0, 4.0],
            "file_stamp": [_quick(library / name, 4.0) for name in ("red.mp4", "it's green.mp4")],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(random.ravel()), 48),
        }
    )
    lancedb.connect(folder).create_table("clips", rows)
    header = {
        "schema_version": 1,
        "encoder_fingerprint": encoder.fingerprint,
        "dim": 48,
        "extractor": "pixels",
        "model_folder": None,
        "library_folder": "../library",
    }
    (folder / "index.json").write_text(json.dumps(header))
    (library / "red.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhello\n")
    index = open_library(folder, library, encoder)
    assert len(index) == 2
    np.testing.assert_allclose(index.embedding("red.mp4#0"), random[0], atol=1e-6)
    update = update_library(index, library, encoder)
    assert (update.num_indexed, update.num_reused) == (1, 2)
    np.testing.assert_allclose(index.embedding("red.mp4#0"), random[0], atol=1e-6)
    assert index.find_speech("hello", k=1)[0].hit.clip_id == "red.mp4#0"
    assert not (folder / "clips.lance").exists()
