"""Search inside one video: how well each of its clips answers a query, drawn over its time line.

The curve is exact and complete, because the clips of one video are few; its moments are made like those of any search.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from polyreel.errors import DataError
from polyreel.search.hits import Hit
from polyreel.search.moments import Moment, join_hits
from polyreel.search.sequences import ClipSequence
from polyreel.similarity import Embeddings


class Sequenced(Protocol):
    """What a curve is drawn from; `Index` has it."""

    @property
    def library_folder(self) -> Path:
        """Where the videos lie."""

    def sequences(self, videos: Sequence[str] | None = None) -> Iterator[ClipSequence]:
        """Yield the clips of some videos, or of all, with their embeddings."""

    def average_similarity(self, embedding_D: Embeddings) -> float:
        """Return the mean similarity of all clips."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How well each clip of one video answers a query.

    Attributes:
        video: the file.
        hits: its clips in the order of time, each with its score.
        background: the score of an average clip of the whole index: the curve's zero line.
    """

    video: Path
    hits: tuple[Hit, ...]
    background: float

    def moments(self, k: int = 5) -> list[Moment]:
        """Return the best moments of the video, best first; none whose best clip is no better than an average one."""
        found = join_hits(self.hits, background=self.background)
        return [moment for moment in found if moment.score > self.background][:k]


def score_curve(index: Sequenced, embedding_D: Embeddings, video: str) -> Curve:
    """Say how well each clip of one video answers a query.

    Args:
        index: what holds the video.
        embedding_D: the query's unit-length embedding, as `Index.embed` gives it, or a clip's.
        video: path of the file, relative to the library's folder.

    Raises:
        DataError: the index has no such video.
    """
    sequence = next(index.sequences([video]), None)
    if sequence is None:
        raise DataError(f"there is no video {video!r} in the index; name one by its path in {index.library_folder}")
    path = index.library_folder / video
    scores_N = sequence.embeddings_ND @ embedding_D
    hits = tuple(
        Hit(
            clip_id=clip.clip_id,
            video=path,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            score=float(score),
        )
        for clip, score in zip(sequence.clips, scores_N, strict=True)
    )
    return Curve(video=path, hits=hits, background=index.average_similarity(embedding_D))
