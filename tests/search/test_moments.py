from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyreel.search.filter import Filter
from polyreel.search.hits import Hit
from polyreel.search.moments import find_moments, join_hits


def hit(video: str, start: float, end: float, score: float) -> Hit:
    return Hit(clip_id=f"{video}#{start:g}", video=Path(video), start_seconds=start, end_seconds=end, score=score)


class Shelf:
    """Answers every query with the same clips."""

    def __init__(self, hits: list[Hit]) -> None:
        self.hits = sorted(hits, key=lambda hit: -hit.score)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.hits)

    def search(self, query: np.ndarray, k: int = 5, *, filter: Filter | None = None) -> list[Hit]:
        self.asked.append(k)
        return self.hits[:k]

    def average_similarity(self, embedding_D: np.ndarray) -> float:
        return 0.0


def test_clips_that_touch_are_one_moment_with_its_best_clip_as_peak():
    moments = join_hits(
        [hit("a", 4, 8, 0.5), hit("a", 0, 4, 0.9), hit("a", 8, 12, 0.7), hit("b", 0, 4, 0.6)], background=0.0
    )
    assert [(m.video.name, m.start_seconds, m.end_seconds, m.num_clips, m.score) for m in moments] == [
        ("a", 0, 12, 3, 0.9),
        ("b", 0, 4, 1, 0.6),
    ]
    assert moments[0].peak.clip_id == "a#0"


def test_the_gap_decides_what_is_a_neighbour():
    hits = [hit("a", 0, 4, 0.9), hit("a", 6, 10, 0.8)]
    assert len(join_hits(hits, background=0.0, gap_seconds=1.9)) == 2
    assert len(join_hits(hits, background=0.0, gap_seconds=2.0)) == 1
    with pytest.raises(ValueError, match="gap_seconds is -1; expected 0 or more"):
        join_hits(hits, background=0.0, gap_seconds=-1)


def test_a_neighbour_that_answers_no_better_than_any_clip_stays_out():
    hits = [hit("a", 0, 4, 0.5), hit("a", 4, 8, 0.9), hit("a", 8, 12, 0.61), hit("a", 12, 16, 0.59)]
    found = join_hits(hits, background=0.3)  # the peak of 0.9 takes what reaches 0.6
    assert [(m.start_seconds, m.end_seconds, m.score) for m in found] == [(4, 12, 0.9), (12, 16, 0.59), (0, 4, 0.5)]


spans = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 6), st.floats(-1, 1, allow_nan=False)).map(
    lambda one: hit(one[0], one[1], one[1] + one[2], one[3])
)


@given(
    st.lists(spans, max_size=20, unique_by=(lambda one: one.score, lambda one: one.clip_id)),
    st.randoms(),
    st.floats(-1, 1),
)
def test_joining_loses_no_clip_and_does_not_depend_on_the_order(hits, random, background):
    moments = join_hits(hits, background=background)
    assert join_hits(random.sample(hits, len(hits)), background=background) == moments
    assert sum(m.num_clips for m in moments) == len(hits)
    assert [m.score for m in moments] == sorted((m.score for m in moments), reverse=True)
    for one in hits:
        assert any(
            m.video == one.video and m.start_seconds <= one.start_seconds and one.end_seconds <= m.end_seconds
            for m in moments
        )


def test_more_clips_are_looked_at_until_there_are_enough_moments():
    shelf = Shelf([hit("a", 4 * i, 4 * i + 4, 0.9) for i in range(40)] + [hit("b", 0, 4, 0.5), hit("c", 0, 4, 0.4)])
    moments = find_moments(shelf, np.zeros(2), k=3)
    assert [m.video.name for m in moments] == ["a", "b", "c"]
    assert shelf.asked == [12, 24, 48]


def test_where_there_are_fewer_moments_than_asked_for_all_are_returned():
    shelf = Shelf([hit("a", 0, 4, 0.9)])
    assert len(find_moments(shelf, np.zeros(2), k=5)) == 1
