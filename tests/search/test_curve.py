from pathlib import Path

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.search.curve import score_curve
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import update_library


@pytest.fixture
def index(tmp_path: Path, library: Path, encoder: SearchEncoder, paint) -> Index:
    paint(library / "long.mp4", "green", "red", "red", "blue", "red")
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    return index


def test_a_curve_has_every_clip_of_the_video_in_the_order_of_time(index: Index):
    curve = score_curve(index, index.embed("red"), "long.mp4")
    assert curve.video == index.library_folder / "long.mp4"
    assert [hit.start_seconds for hit in curve.hits] == [0, 4, 8, 12, 16]
    by_id = {hit.clip_id: hit.score for hit in index.search("red", k=len(index))}
    assert [hit.score for hit in curve.hits] == pytest.approx([by_id[hit.clip_id] for hit in curve.hits], abs=1e-5)
    assert curve.background == index.average_similarity(index.embed("red"))


def test_its_moments_are_where_it_is_high(index: Index):
    moments = score_curve(index, index.embed("red"), "long.mp4").moments()
    assert sorted((moment.start_seconds, round(moment.end_seconds)) for moment in moments) == [(4, 12), (16, 20)]
    assert score_curve(index, index.embed("red"), "long.mp4").moments(1) == moments[:1]


def test_what_a_video_does_not_show_is_no_moment_of_it(index: Index):
    assert score_curve(index, index.embed("blue"), "it's green.mp4").moments() == []


def test_a_video_that_is_not_there_is_named(index: Index):
    with pytest.raises(DataError, match=r"there is no video 'other.mp4' in the index; name one by its path in"):
        score_curve(index, np.zeros(48, np.float32), "other.mp4")
