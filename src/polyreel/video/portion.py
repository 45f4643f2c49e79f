"""One portion of a run: its files decoded one after the other, their frames run in batches that cross file boundaries.

Each file is decoded once for all extractors. A network's rows wait until its batch is full; the batch is computed
elsewhere while decoding goes on, a few batches ahead at most, so memory does not grow with the portion. The last batch
is filled up with black frames. What comes out depends on the portion alone, not on who works it off, or when.

Shapes: B rows of a batch, F frames of a row, H height, W width, D width of a row.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
import numpy.typing as npt

from polyreel.data.clips import Clip
from polyreel.data.feature_settings import Sampling
from polyreel.data.feature_shards import Origin, Rows, ShardFile, check_features
from polyreel.errors import DataError, VideoError
from polyreel.video.decode import FrameBatch, FrameRequest, Video, open_video, read_frames
from polyreel.video.extractors import Extractor, Network
from polyreel.video.extractors.batches import filled_up
from polyreel.video.files import identify, local_copy
from polyreel.video.plan import Portion, VideoWork, origin_of
from polyreel.video.sampling import choose_moments
from polyreel.video.windows import Span

BATCHES_AHEAD = 2
_PIECE_FRAMES = 16  # how many frames of a clip are kept before they go into a batch

Floats = npt.NDArray[np.float32]
Submit = Callable[[Callable[[npt.NDArray[np.uint8]], Floats], npt.NDArray[np.uint8]], "Future[Floats]"]
"""Has a network's `run` called with frames, now or soon."""


class Stopped(Exception):
    """The run is to end; the portion is given up."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One extractor of a run.

    Attributes:
        extractor: what makes rows of frames.
        sampling: which frames it looks at.
        dtype: what its rows are kept in, "float16" or "float32".
    """

    extractor: Extractor
    sampling: Sampling
    dtype: str = "float32"


@dataclass(kw_only=True)
class FileResult:
    """What became of a file.

    Attributes:
        work: the file and the clips that were asked for.
        video_seconds: how long the video is; 0 where that is not known.
        num_rows: how many rows its clips have, all extractors together.
        seconds: how long it took.
        warnings: what was found wrong with the file and read past.
        failures: why clips have no features, by clip id.
    """

    work: VideoWork
    video_seconds: float = 0.0
    num_rows: int = 0
    seconds: float = 0.0
    warnings: Sequence[str] = ()
    failures: dict[str, str] = field(default_factory=dict)


class _ClipRows:
    """A clip whose rows are coming in."""

    def __init__(self, clip: Clip, origin: Origin, num_rows: int, dim: int) -> None:
        self.clip, self.origin = clip, origin
        self.rows: Floats = np.empty((num_rows, dim), np.float32)
        self.frame_seconds = np.empty(num_rows)
        self.num_missing = num_rows


def work_off(
    portion: Portion,
    targets: Sequence[Target],
    shards: Sequence[ShardFile],
    submit: Submit,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[FileResult]:
    """Extract the features of a portion.

    Args:
        portion: files and clips.
        targets: the run's extractors.
        shards: where the rows of each go.
        submit: how batches are computed.
        is_stopped: asked between frames whether to give up.

    Returns:
        A result a file; a file that cannot be used costs only its own clips.

    Raises:
        Stopped: because it was asked to.
    """
    benches = [_Bench(target, shard, submit) for target, shard in zip(targets, shards, strict=True)]
    results = [_work_off_file(work, benches, is_stopped) for work in portion.works]
    for bench in benches:
        bench.finish()
    return results


def _work_off_file(work: VideoWork, benches: Sequence["_Bench"], is_stopped: Callable[[], bool]) -> FileResult:
    result, started = FileResult(work=work), monotonic()
    for bench in benches:
        bench.result = result
    video: Video | None = None
    try:
        with local_copy(work.file) as path, open_video(path, threads=1) as video:
            result.video_seconds = video.probe.duration_seconds
            identity = work.identity or identify(work.file)
            _decode(video, work, identity, benches, is_stopped)
    except (VideoError, DataError) as error:
        wanted = {clip.clip_id for clips in work.clips for clip in clips}
        unfinished = {clip_id for bench in benches for clip_id in bench.give_up()}
        has_begun = {clip_id for bench in benches for clip_id in bench.seen}
        result.failures |= dict.fromkeys((wanted - has_begun) | unfinished, str(error))
    result.warnings = [] if video is None else list(video.warnings)
    result.seconds = monotonic() - started
    return result
