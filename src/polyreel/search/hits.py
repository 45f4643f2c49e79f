"""Answers to queries: clips that look like what was asked for, and clips in which it is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyreel.data.speech import Speech


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer to a query.

    Attributes:
        clip_id: the clip's name in the index.
        video: the file.
        start_seconds: where in the file the clip starts.
        end_seconds: where it ends.
        score: cosine similarity of query and clip, -1 to 1; with a query bank hits are not ordered by it.
    """

    clip_id: str
    video: Path
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True)
class SpeechHit:
    """A clip in which what was asked for is said.

    Attributes:
        hit: the clip; its score is BM25's, which cannot be compared with similarities.
        lines: all that is said in it.
    """

    hit: Hit
    lines: tuple[Speech, ...]


def hit_of(row: Mapping[str, object], library_folder: Path) -> Hit:
    """Make a hit of a clip's row; one that was not searched for is a perfect one."""
    return Hit(
        clip_id=str(row["clip_id"]),
        video=library_folder / str(row["video"]),
        start_seconds=float(str(row["start_seconds"])),
        end_seconds=float(str(row["end_seconds"])),
        score=float(str(row.get("_score", 1.0))),
    )
