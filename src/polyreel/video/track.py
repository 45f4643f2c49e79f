"""The picture track of an open file: its packets in the order they are stored, its clock, and seeking.

Times are whole ticks of the track's clock (`pts`, `dts` in FFmpeg's words) or seconds from where a player starts the
file. Packets are read on past damage as far as the container lets one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import floor

import av

_ASSUMED_FRAMES_PER_SECOND = 25  # what FFmpeg assumes of streams that carry no times
_ROUNDING_SECONDS = 1e-6  # frame times are multiples of a tick, asked times are decimals; they may differ by this
_MOST_READ_ERRORS = 3  # one after another; after a damaged stretch a container may be read on, a broken one not


@dataclass(frozen=True, kw_only=True)
class Track:
    """One video stream of an open container.

    Attributes:
        container: the open file.
        stream: its video stream.
        warn: told in words what is wrong and was read past.
        is_careful: one frame is decoded after another, so that a damaged packet costs its own frame alone; otherwise
            the decoder's threads report its error with later packets, and good frames would be lost with it.
    """

    container: av.container.InputContainer
    stream: av.VideoStream
    warn: Callable[[str], None]
    is_careful: bool

    @property
    def has_decoding_times_only(self) -> bool:
        """Whether the container says when frames are decoded and not when they are shown, as AVI does."""
        return str(self.container.format.name) == "avi"

    @cached_property
    def tick_seconds(self) -> float:
        """Length of one tick."""
        return float(self.stream.time_base or 1 / av.time_base)

    @cached_property
    def origin_seconds(self) -> float:
        """Where a player starts the file, on the track's own clock."""
        return float((self.container.start_time or 0) / av.time_base)

    @cached_property
    def step_seconds(self) -> float:
        """How long a frame is shown that does not say so."""
        return 1.0 / float(self.stream.guessed_rate or _ASSUMED_FRAMES_PER_SECOND)

    def seconds(self, ticks: int) -> float:
        """Turn ticks into seconds from the start."""
        return ticks * self.tick_seconds - self.origin_seconds

    def ticks(self, seconds: float) -> int:
        """Return the last tick that is not after a moment."""
        return floor((seconds + _ROUNDING_SECONDS + self.origin_seconds) / self.tick_seconds)

    def packets(self) -> Iterator[av.Packet]:
        """Yield the packets from here on; one that cannot be read is passed over with a warning."""
        num_errors = 0
        while num_errors < _MOST_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    if packet.size:  # the last one is empty: it would flush the decoder
                        num_errors = 0
                        yield packet
                return
            except IndexError:  # PyAV's end of a damaged file in which streams turned up on the way
                return
            except av.error.FFmpegError as error:
                num_errors += 1
                self.warn(f"the file cannot be read everywhere ({error.strerror})")

    def seek(self, ticks: int) -> bool:
        """Go to a key frame before a moment, if the container can; what the decoder holds is dropped."""
        try:
            self.container.seek(ticks, stream=self.stream, backward=True)
        except av.error.FFmpegError:
            return False
        return True
