"""Frames out of video files: the only file of this room that knows the decoder (PyAV, which brings its own FFmpeg).

What a container says about itself is not trusted: durations are measured from the packets, frames are chosen by the
time they are shown at and never by counting, and phone videos are turned upright. Time 0 is where a player starts the
file. A video is read once, forwards, and only the frames asked for are converted, so an hour takes no more memory than
a second.

Shapes: N frames of height H and width W in RGB.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from math import inf
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt

from polyreel.errors import VideoError

VIDEO_SUFFIXES = frozenset(".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split())
_ROUNDING_SECONDS = 1e-6  # frame times are multiples of a time base, asked times are decimals; they may differ by this
_ASSUMED_FRAMES_PER_SECOND = 25  # what FFmpeg assumes of streams that carry no times

Image = npt.NDArray[np.uint8]
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured of a video file.

    Attributes:
        path: the file.
        duration_seconds: from the start to the end of the last frame, above 0.
        width: of a frame as it is shown, in pixels.
        height: of a frame as it is shown, in pixels.
        codec: FFmpeg's name, such as "h264".
    """

    path: Path
    duration_seconds: float
    width: int
    height: int
    codec: str


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


def find_videos(folder: Path) -> list[Path]:
    """List the files of a folder, and of the folders in it, that a video's suffix marks; sorted, hidden ones left out.

    Raises:
        VideoError: the folder does not exist or has no such file.
    """
    if not folder.is_dir():
        raise VideoError(f"{folder} is no folder; expected one with video files")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not shown:
        raise VideoError(f"{folder} has no video files; looked for {' '.join(sorted(VIDEO_SUFFIXES))}")
    return shown


def probe(path: Path) -> Probe:
    """Measure a video file, by reading all of it and decoding its first frame.

    Raises:
        VideoError: the file is missing, is no video, or has no frame that can be decoded.
    """
    with _open(path) as (container, stream):
        end_seconds = _end_seconds(container, stream)
    with _open(path) as (container, stream):
        for at, frame in _timed_frames(container, stream):
            height, width = _image(frame, None, av.video.reformatter.VideoReformatter()).shape[:2]
            duration = max(end_seconds, at + _step_seconds(stream))
            codec = stream.codec_context.name
            return Probe(path=path, duration_seconds=duration, width=width, height=height, codec=codec)
    raise _no_frames(path)


def decode_frames(path: Path, seconds: Sequence[float], *, size: Size | None = None) -> FrameBatch:
    """Decode what is shown at the given moments, in one pass.

    A moment shows the last frame whose time is not after it, or the first frame where there is none.

    Args:
        path: the video.
        seconds: moments from the video's start, ascending; the same frame may be shown at several.
        size: width and height to squeeze frames into; None keeps the video's own.

    Raises:
        VideoError: the file is missing, is no video, or has no frame that can be decoded.
        ValueError: there are no moments, or they are not ascending.
    """
    return next(batch for _, batch in decode_clips(path, [seconds], size=size))


def decode_clips(
    path: Path, clips_seconds: Sequence[Sequence[float]], *, size: Size | None = None
) -> Iterator[tuple[int, FrameBatch]]:
    """Decode the frames of several clips of one video in one pass; clips may overlap and come in any order.

    Args:
        path: the video.
        clips_seconds: each clip's moments, as `decode_frames` takes them.
        size: as in `decode_frames`.

    Yields:
        A clip's position in `clips_seconds` and its frames, as soon as the last of them is decoded.

    Raises:
        VideoError: as `decode_frames`.
        ValueError: as `decode_frames`.
    """
    for seconds in clips_seconds:
        if not seconds or any(later < earlier for earlier, later in pairwise(seconds)):
            raise ValueError(f"frames are asked for at {list(seconds)} seconds; expected one or more, ascending")
    wanted = sorted((at, clip) for clip, seconds in enumerate(clips_seconds) for at in seconds)
    waiting: list[list[tuple[float, Image]]] = [[] for _ in clips_seconds]
    shown = _shown_at(path, [at for at, _ in wanted], size)
    for (_, clip), frame in zip(wanted, shown, strict=True):
        waiting[clip].append(frame)
        if len(waiting[clip]) == len(clips_seconds[clip]):
            times, images = zip(*waiting[clip], strict=True)
            waiting[clip] = []
            yield clip, FrameBatch(frames=np.stack(images), pts_seconds=np.array(times, np.float64))


def _shown_at(path: Path, seconds: Sequence[float], size: Size | None) -> Iterator[tuple[float, Image]]:
    """Yield, for each of the ascending moments, the time of the frame shown then and its picture."""
    done, reformatter = 0, av.video.reformatter.VideoReformatter()  # one for all frames, it sets up its tables once
    with _open(path) as (container, stream):
        frames = _timed_frames(container, stream)
        for (at, frame), (until, _) in pairwise(chain(frames, [(inf, None)])):
            due = bisect_left(seconds, until - _ROUNDING_SECONDS, lo=done)
            if due > done:
                yield from [(at, _image(frame, size, reformatter))] * (due - done)
                done = due
            if done == len(seconds):
                return
    raise _no_frames(path)


@contextmanager
def _open(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a file and its first video stream; whatever the decoder says becomes a VideoError that names the file."""
    if not _is_unicode(str(path)):
        raise VideoError(f"{str(path)!a} has a name that is not UTF-8, which no table can hold; rename the file")
    if not path.is_file():
        raise VideoError(f"{path} does not exist or is no file")
    try:
        with av.open(str(path.absolute())) as container:  # absolute, or a name like "a:b.mp4" is taken for a protocol
            if not container.streams.video:
                found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise VideoError(f"{path} has no picture, only {found}; expected a video")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path} cannot be decoded ({error.strerror}); expected a video; the file is cut short or something else"
        ) from None


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no text came from the file system as lone surrogates
        return False
    return True


def _timed_frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield every frame that can be decoded, with its time in seconds from where a player starts the file.

    One frame is decoded after another: FFmpeg's frame threads would report a damaged packet's error with later packets,
    and good frames would be lost with it.
    """
    origin, last = _origin_seconds(container), -_step_seconds(stream)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet costs its own frames, not the video
        for frame in frames:
            at = last + _step_seconds(stream) if frame.time is None else frame.time - origin
            last = max(last, at)
            yield last, frame


def _end_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Return when the last packet's frame ends; the header's duration may be missing or wrong."""
    end, num_packets = 0.0, 0
    for packet in container.demux(stream):
        num_packets += packet.size > 0  # the last one is empty: it flushes the decoder
        if packet.pts is not None:
            step = float(packet.duration * packet.time_base) if packet.duration else _step_seconds(stream)
            end = max(end, float(packet.pts * packet.time_base) + step - _origin_seconds(container))
    return end or num_packets * _step_seconds(stream)


def _origin_seconds(container: av.container.InputContainer) -> float:
    return float((container.start_time or 0) / av.time_base)


def _step_seconds(stream: av.VideoStream) -> float:
    return 1.0 / float(stream.guessed_rate or _ASSUMED_FRAMES_PER_SECOND)


def _image(frame: av.VideoFrame, size: Size | None, reformatter: av.video.reformatter.VideoReformatter) -> Image:
    """Convert a decoded frame to RGB `[H, W, 3]`, upright, squeezed into `size` (width, height)."""
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise, as np.rot90 turns
    lies_on_its_side = quarter_turns % 2 == 1
    width, height = (frame.width, frame.height) if size is None else size[::-1] if lies_on_its_side else size
    rgb = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation="AREA")
    return np.rot90(rgb.to_ndarray(), quarter_turns)


def _no_frames(path: Path) -> VideoError:
    return VideoError(f"{path} has no frame that can be decoded; the file is cut short or damaged")
