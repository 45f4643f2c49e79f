"""Timecodes: how editing programs name the frames of a file.

A timecode counts whole frames as hours, minutes, seconds and frames at the rate rounded up to a whole number, without
leaving any out (non-drop). A file's first frame has the timecode its camera wrote, or 00:00:00:00.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import av

from polyreel.errors import VideoError

_FASTEST = 240
_FALLBACK = Fraction(25)


@dataclass(frozen=True, kw_only=True)
class FrameClock:
    """How the frames of a file are counted.

    Attributes:
        rate: frames a second.
        first_frame: number of the file's first frame, counted from 00:00:00:00.
        num_frames: how many frames it has.
        has_sound: whether there is something to hear.
    """

    rate: Fraction
    first_frame: int = 0
    num_frames: int = 0
    has_sound: bool = False

    def frame_at(self, seconds: float) -> int:
        """Return the number of the frame that is nearest to a moment, counted from the file's start."""
        return round(Fraction(seconds) * self.rate)


def read_clock(path: Path) -> FrameClock:
    """Read the frame rate and the first timecode of a video file.

    Raises:
        VideoError: it cannot be read, or has no picture.
    """
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError(f"{path} has no picture; expected a video")
            stream = container.streams.video[0]
            rate = Fraction(stream.guessed_rate or stream.average_rate or _FALLBACK)
            rate = rate if 0 < rate <= _FASTEST else _FALLBACK
            written = [container.metadata, *(one.metadata for one in container.streams)]
            code = next((facts["timecode"] for facts in written if "timecode" in facts), "")
            seconds = Fraction(container.duration or 0, av.time_base)
            return FrameClock(
                rate=rate,
                first_frame=frame_of(code, rate) or 0,
                num_frames=round(seconds * rate),
                has_sound=bool(container.streams.audio),
            )
    except av.error.FFmpegError as error:
        raise VideoError(f"{path} cannot be read ({error.strerror}); expected a video") from None


def timecode(frame: int, rate: Fraction) -> str:
    """Write a frame's number as `hh:mm:ss:ff`."""
    seconds, frames = divmod(frame, ceil(rate))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}:{frames:02}"


def frame_of(code: str, rate: Fraction) -> int | None:
    """Read `hh:mm:ss:ff`, or `hh:mm:ss;ff`, which says that numbers are left out; None for anything else."""
    parts = code.replace(";", ":").split(":")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        return None
    hours, minutes, seconds, frames = map(int, parts)
    count = ((hours * 60 + minutes) * 60 + seconds) * ceil(rate) + frames
    if ";" not in code:
        return count
    left_out, all_minutes = round(rate / 15), hours * 60 + minutes
    return count - left_out * (all_minutes - all_minutes // 10)
