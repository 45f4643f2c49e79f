"""Neighbouring hits of one video become one moment: what a person would call a single answer.

Clips are cut by the clock, so one scene answers a query with several of them. A moment grows from its best clip, where
a player should start, over the clips beside it, as long as they answer the query too: their similarity has to be nearer
to the best clip's than to what an average clip of the index has. That average is the query's similarity with the mean
of all embeddings, so it costs one product, however large the index is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from polyreel.search.filter import Filter
from polyreel.search.hits import Hit
from polyreel.similarity import Embeddings

DEFAULT_GAP_SECONDS = 1.0
_HITS_A_MOMENT = 4  # how many hits are looked at for each moment asked for, at first


class Searchable(Protocol):
    """What moments are looked for in; `Index` has it."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def search(self, query: Embeddings, k: int = 5, *, filter: Filter | None = None) -> list[Hit]:
        """Return the best clips, best first."""

    def average_similarity(self, embedding_D: Embeddings) -> float:
        """Return the mean similarity of all clips."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Neighbouring hits of one video.

    Attributes:
        video: the file.
        start_seconds: where its first clip starts.
        end_seconds: where its last clip ends.
        peak: its best clip; the moment's score is this clip's.
        num_clips: how many hits it joins.
    """

    video: Path
    start_seconds: float
    end_seconds: float
    peak: Hit
    num_clips: int

    @property
    def score(self) -> float:
        """Cosine similarity of the query and the best clip."""
        return self.peak.score


def join_hits(hits: Sequence[Hit], *, background: float, gap_seconds: float = DEFAULT_GAP_SECONDS) -> list[Moment]:
    """Join hits of one video that lie side by side and are nearly as good as the best of them.

    Args:
        hits: in any order.
        background: similarity of an average clip. A hit s belongs to a peak p if s >= (p + background) / 2.
        gap_seconds: hits that overlap, touch, or lie at most so far apart are neighbours; 0 or more.

    Returns:
        Moments, best first. Every hit is in one of them.

    Raises:
        ValueError: the gap is below 0.
    """
    if gap_seconds < 0:
        raise ValueError(f"gap_seconds is {gap_seconds}; expected 0 or more")
    in_time: dict[Path, list[Hit]] = {}
    for hit in sorted(hits, key=lambda hit: (hit.start_seconds, hit.end_seconds, hit.clip_id)):
        in_time.setdefault(hit.video, []).append(hit)
    moments = [moment for row in in_time.values() for moment in _grow(row, background, gap_seconds)]
    return sorted(moments, key=lambda moment: (-moment.score, str(moment.video), moment.start_seconds))


def find_moments(
    index: Searchable,
    embedding_D: Embeddings,
    k: int = 5,
    *,
    filter: Filter | None = None,
    gap_seconds: float = DEFAULT_GAP_SECONDS,
) -> list[Moment]:
    """Find the moments that answer a query, best first.

    The best clips are joined; more of them are looked at until there are k moments or no clips left. A moment consists
    of clips among those looked at, so its ends may move a little with k.

    Args:
        index: what is asked.
        embedding_D: the query's unit-length embedding, as `Index.embed` gives it.
        k: how many moments, 1 or more.
        filter: which clips may be found; None: all.
        gap_seconds: as in `join_hits`.

    Raises:
        ValueError: k is below 1, or the gap below 0.
    """
    background = index.average_similarity(embedding_D)
    num_hits = k * _HITS_A_MOMENT
    while True:
        hits = index.search(embedding_D, max(num_hits, k), filter=filter)
        moments = join_hits(hits, background=background, gap_seconds=gap_seconds)
        if len(moments) >= k or len(hits) < num_hits or num_hits >= len(index):
            return moments[:k]
        num_hits *= 2


def _grow(row: Sequence[Hit], background: float, gap_seconds: float) -> list[Moment]:
    """Grow moments from the best hit downwards, over one video's hits in the order of time."""
    moments: list[Moment] = []
    is_free = [True] * len(row)
    for place in sorted(range(len(row)), key=lambda place: -row[place].score):
        if not is_free[place]:
            continue
        enough, members = (row[place].score + background) / 2, [place]
        for step in (-1, 1):
            at = place + step
            while (
                0 <= at < len(row)
                and is_free[at]
                and row[at].score >= enough
                and _near(row, at, at - step, gap_seconds)
            ):
                members.append(at)
                at += step
        for member in members:
            is_free[member] = False
        moments.append(_moment([row[member] for member in sorted(members)], row[place]))
    return moments


def _near(row: Sequence[Hit], one: int, other: int, gap_seconds: float) -> bool:
    earlier, later = row[min(one, other)], row[max(one, other)]
    return later.start_seconds <= earlier.end_seconds + gap_seconds


def _moment(members: Sequence[Hit], peak: Hit) -> Moment:
    return Moment(
        video=peak.video,
        start_seconds=members[0].start_seconds,
        end_seconds=max(hit.end_seconds for hit in members),
        peak=peak,
        num_clips=len(members),
    )
