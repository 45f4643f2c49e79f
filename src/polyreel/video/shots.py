"""Cutting a video where its shots change, by PySceneDetect (extra `shots`).

Its detector is fed with small frames of our own decoding pass, so that a file that is read for an extractor anyway is
not decoded a second time: give `SHOT_SIZE` frames to a `ShotFinder` as they come. No clip is longer than a limit,
because a film may be one shot.
"""

from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np

from polyreel.data.feature_settings import Sampling
from polyreel.errors import saying_which_extra
from polyreel.video.decode import FrameBatch, FrameRequest, Video, read_frames
from polyreel.video.sampling import frame_times
from polyreel.video.windows import Span

SHOT_SIZE = (128, 72)
_BATCH_SIZE = 64
_CLOCK = Fraction(1, 90_000)


class ShotFinder:
    """Finds where shots change in frames that are given in their order, a few a second at least."""

    def __init__(self, *, min_seconds: float = 1.0, max_seconds: float = 20.0) -> None:
        """Start.

        Args:
            min_seconds: a shot is at least so long, except the last.
            max_seconds: a longer shot is cut into equal parts.

        Raises:
            MissingExtraError: PySceneDetect is not installed.
            ValueError: the limits are not above 0, or the least is above the most.
        """
        if not 0 < min_seconds <= max_seconds:
            raise ValueError(
                f"shots of {min_seconds} to {max_seconds} seconds; expected both above 0, the least not above the most"
            )
        with saying_which_extra("cutting at shots"):
            from scenedetect.detectors import AdaptiveDetector

        self._detector = AdaptiveDetector(min_scene_len=float(min_seconds))
        self._max_seconds = max_seconds
        self._cuts: list[float] = []

    def add(self, batch: FrameBatch) -> None:
        """Look at the next frames, of any size."""
        from scenedetect.common import FrameTimecode, Timecode

        for at, frame in zip(batch.pts_seconds, batch.frames, strict=True):
            time = FrameTimecode(Timecode(pts=round(at / _CLOCK), time_base=_CLOCK), fps=30.0)
            bgr = np.ascontiguousarray(frame[..., ::-1])
            self._cuts += [cut.seconds for cut in self._detector.process_frame(time, bgr)]

    def spans(self, duration_seconds: float) -> list[Span]:
        """Return the shots of a video of this length; together they cover it."""
        cuts = [cut for cut in self._cuts if 0 < cut < duration_seconds]
        spans: list[Span] = []
        for start, end in pairwise([0.0, *cuts, duration_seconds]):
            num_parts = ceil((end - start) / self._max_seconds)
            edges = [start + i * (end - start) / num_parts for i in range(num_parts)]
            spans += pairwise([*edges, end])
        return spans


def find_shots(
    video: Video, *, min_seconds: float = 1.0, max_seconds: float = 20.0, frames_per_second: float = 10.0
) -> list[Span]:
    """Cut a video where its shots change, in a pass of its own.

    Args:
        video: the open file.
        min_seconds: as for `ShotFinder`.
        max_seconds: as for `ShotFinder`.
        frames_per_second: frames looked at; a cut is found to within one of them.

    Raises:
        MissingExtraError: PySceneDetect is not installed.
        VideoError: the video cannot be decoded.
        ValueError: as `ShotFinder`.
    """
    finder = ShotFinder(min_seconds=min_seconds, max_seconds=max_seconds)
    duration = video.probe.duration_seconds
    request = FrameRequest(seconds=frame_times((0.0, duration), Sampling.every(1 / frames_per_second)), size=SHOT_SIZE)
    for _, batch in read_frames(video, [request], batch_size=_BATCH_SIZE):
        finder.add(batch)
    return finder.spans(duration)
