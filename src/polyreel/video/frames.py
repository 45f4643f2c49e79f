"""What reading a video deals in: what was measured of a file, what is asked for, and the frames that come.

Nothing here knows a decoder. `Video` is what a decoder has to offer; PyAV's is in `pyav.py`, and another one is a class
with the same members and a line in `decode.BACKENDS`.

Shapes: N frames of height H and width W in RGB.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
Fit = Literal["squeeze", "crop"]
"""How a frame comes into a size of another shape: all of it, distorted; or its middle, undistorted."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured of a video file.

    Attributes:
        path: the file.
        duration_seconds: from the start to the end of the last frame, above 0.
        width: of a frame as it is shown, in pixels.
        height: of a frame as it is shown, in pixels.
        codec: FFmpeg's name, such as "h264".
        is_still: it holds one picture, and nothing moves.
    """

    path: Path
    duration_seconds: float
    width: int
    height: int
    codec: str
    is_still: bool = False


@dataclass(frozen=True, kw_only=True)
class FrameRequest:
    """Frames that one pass over a video is to bring: of one clip, for one extractor.

    Attributes:
        seconds: moments from the video's start, one or more, ascending; the same frame may be shown at several.
        size: width and height of the frames; None keeps the video's own, as it is shown.
        fit: how frames come into `size`.
    """

    seconds: Sequence[float]
    size: Size | None = None
    fit: Fit = "squeeze"

    def __post_init__(self) -> None:
        """Check the moments.

        Raises:
            ValueError: there are none, or they fall.
        """
        if not len(self.seconds) or any(later < earlier for earlier, later in pairwise(self.seconds)):
            raise ValueError(f"frames are asked for at {list(self.seconds)} seconds; expected one or more, ascending")


@dataclass(frozen=True, kw_only=True)
class FrameBatch:
    """Frames of one clip in the order they are shown.

    Attributes:
        frames: RGB, uint8 `[N, H, W, 3]`, N at least 1.
        pts_seconds: when each frame is shown, seconds from the video's start, `[N]`, never falling.
    """

    frames: npt.NDArray[np.uint8]
    pts_seconds: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check shapes and times.

        Raises:
            ValueError: naming what is wrong.
        """
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[0] == 0 or shape[3] != 3:
            raise ValueError(f"frames are {self.frames.dtype} {list(shape)}; expected uint8 [N, H, W, 3], N at least 1")
        if self.pts_seconds.shape != shape[:1]:
            raise ValueError(f"{shape[0]} frames have times of shape {list(self.pts_seconds.shape)}; expected one each")
        if not np.isfinite(self.pts_seconds).all() or (np.diff(self.pts_seconds) < 0).any():
            raise ValueError("the frames' times are not finite or fall; expected seconds in the order of the frames")


class Picture(Protocol):
    """A decoded frame, still as the decoder keeps it; whoever wants pixels asks for them in the size they need."""

    @property
    def at_seconds(self) -> float:
        """When it is shown, seconds from the video's start."""

    def image(self, size: Size | None, fit: Fit) -> Image:
        """Convert to RGB `[H, W, 3]`, upright, with square pixels, in the colours of an ordinary screen."""


class Video(Protocol):
    """An open video file: what polyreel asks of a decoder."""

    @property
    def probe(self) -> Probe:
        """What was measured of it."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was found wrong with the file so far and read past, each once, in words; reading may add to it."""

    def key_seconds(self) -> Sequence[float]:
        """List when key frames are shown, ascending, without decoding."""

    def shown_at(self, seconds: Sequence[float], *, only_references: bool = False) -> Iterator[Picture]:
        """Yield, for each of the ascending moments, the picture shown then.

        That is the last frame whose time is not after the moment, or the first frame where there is none.

        Args:
            seconds: moments from the video's start.
            only_references: pass over frames that no other frame is decoded from; those before them are shown instead.

        Raises:
            VideoError: nothing can be decoded.
        """

    def close(self) -> None:
        """Let go of the file."""
