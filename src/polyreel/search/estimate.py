"""How long indexing will take: a few clips of a few files are embedded, and the rest is taken to be like them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyreel.errors import DataError, VideoError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.library import WINDOW_SECONDS
from polyreel.video.decode import probe
from polyreel.video.windows import fixed_windows

MOST_TRIED, MOST_PROBED = 4, 40
SECONDS_OF_TRYING = 12.0
_CLIPS_TRIED = 2


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What indexing some files is likely to take.

    Attributes:
        num_videos: how many files.
        video_seconds: how long they are together.
        work_seconds: how long indexing them will take on this machine.
        num_tried: how many of them were tried.
    """

    num_videos: int
    video_seconds: float
    work_seconds: float
    num_tried: int


def estimate_work(
    videos: Sequence[Path],
    encoder: SearchEncoder,
    window_seconds: float = WINDOW_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate | None:
    """Try a few files, from small to large.

    Args:
        videos: what is to be indexed.
        encoder: what will do it.
        window_seconds: length of a clip.
        clock: gives seconds.

    Returns:
        The estimate; None where no file could be tried.
    """
    by_size = sorted(videos, key=lambda video: video.stat().st_size)
    lengths = {video: seconds for video in _spread(by_size, MOST_PROBED) if (seconds := _length(video))}
    tried = _spread(list(lengths), MOST_TRIED)
    if not tried:
        return None
    began = clock()
    _embed_start(tried[0], lengths[tried[0]], encoder, window_seconds)  # whatever is made only once is made now
    work = seen = 0.0
    num_tried = 0
    for video in tried:
        if num_tried and clock() - began > SECONDS_OF_TRYING:
            break
        started = clock()
        seconds = _embed_start(video, lengths[video], encoder, window_seconds)
        if seconds:
            work, seen, num_tried = work + clock() - started, seen + seconds, num_tried + 1
    if not seen:
        return None
    num_bytes = sum(video.stat().st_size for video in videos)
    total = num_bytes * sum(lengths.values()) / max(1, sum(video.stat().st_size for video in lengths))
    return Estimate(
        num_videos=len(videos), video_seconds=total, work_seconds=total * work / seen, num_tried=num_tried
    )  # fmt: skip


def _spread(videos: Sequence[Path], most: int) -> list[Path]:
    """Choose at most so many, evenly."""
    if len(videos) <= most:
        return list(videos)
    return [videos[(2 * place + 1) * len(videos) // (2 * most)] for place in range(most)]


def _length(video: Path) -> float | None:
    try:
        return probe(video).duration_seconds
    except (VideoError, DataError):
        return None  # it will be reported when its turn comes


def _embed_start(video: Path, length_seconds: float, encoder: SearchEncoder, window_seconds: float) -> float:
    """Embed a video's first clips; return how many seconds of it these are, none if it cannot be read."""
    spans = fixed_windows(length_seconds, length_seconds=window_seconds)[:_CLIPS_TRIED]
    try:
        encoder.encode_video(video, spans)
    except (VideoError, DataError):
        return 0.0
    return spans[-1][1] - spans[0][0]
