"""Video files through PyAV, which brings its own FFmpeg: opening and measuring them.

What a container says about itself is not trusted: the duration is measured from the packets, of a long file from its
last ones. Time 0 is where a player starts the file. Which packets are decoded for which moments is in `passes.py`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import av

from polyreel.errors import VideoError
from polyreel.video.frames import Probe
from polyreel.video.measure import measure
from polyreel.video.passes import PlanError, PlannedPass, TimedFrame, plain_pass
from polyreel.video.pictures import Converter, PyavPicture
from polyreel.video.track import Track

_MOST_PIXELS = 1 << 27  # of a frame; a damaged header may promise any size, and memory is taken before pixels are seen
_OPTIONS = {"max_pixels": str(_MOST_PIXELS)}
_OPENING = _OPTIONS | {"skip_frame": "all"}  # FFmpeg would decode a frame to look at it, each time a file is opened

_Way = Literal["planned", "plain", "careful"]
_WAYS: tuple[_Way, ...] = ("planned", "plain", "careful")  # each takes over where the one before had to give up


class PyavVideo:
    """An open video file; satisfies `frames.Video`.

    Attributes:
        probe: what was measured.
        warnings: what was found wrong and read past, each once.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Measure the file, and decode its first frame.

        Raises:
            VideoError: the file is missing, is no video, or has no frame that can be decoded.
        """
        self._path, self._threads = path, threads or _num_cores()
        self._key_seconds: list[float] | None = None
        self.warnings: list[str] = []
        with self._track(is_careful=True) as track:
            extent = measure(track)
            if extent.first is None:
                raise self._no_frames()
            self._converter = Converter(track.stream.sample_aspect_ratio)
            width, height = self._converter.shown_size(extent.first)
            self.probe = Probe(
                path=path,
                duration_seconds=extent.end_seconds,
                width=width,
                height=height,
                codec=track.stream.codec_context.name,
                is_still=extent.num_packets == 1,
            )

    def key_seconds(self) -> Sequence[float]:
        """List when key frames are shown, ascending; all packets are read and none decoded."""
        if self._key_seconds is None:
            with self._track() as track:
                times = {packet.pts for packet in track.packets() if packet.is_keyframe and packet.pts is not None}
                self._key_seconds = [max(track.seconds(time), 0.0) for time in sorted(times)]
        return self._key_seconds

    def shown_at(self, seconds: Sequence[float], *, only_references: bool = False) -> Iterator[PyavPicture]:
        """Yield, for each of the ascending moments, the picture shown then.

        Raises:
            VideoError: nothing can be decoded.
        """
        num_done, latest = 0, 0.0
        shown: PyavPicture | None = None
        for way in _WAYS:
            try:
                for timed in self._pass(way, seconds[num_done:], only_references):
                    if shown is None or timed.frame is not shown.frame:
                        latest = max(latest, timed.at_seconds)
                        shown = PyavPicture(at_seconds=latest, frame=timed.frame, converter=self._converter)
                    num_done += 1
                    yield shown
            except PlanError:
                continue
            if num_done == len(seconds):
                return
        raise self._no_frames()

    def close(self) -> None:
        """Let go of the file; every pass opens it anew, so there is nothing to do."""

    def _pass(self, way: _Way, seconds: Sequence[float], only_references: bool) -> Iterator[TimedFrame]:
        with self._track(is_careful=way == "careful") as track:
            if way != "planned":
                yield from plain_pass(track, seconds, only_references=only_references)
                return
            yield from PlannedPass(track, only_references=only_references).shown_at(seconds)

    @contextmanager
    def _track(self, *, is_careful: bool = False) -> Iterator[Track]:
        """Open the file and its first video stream; what the decoder says becomes a VideoError that names the file."""
        path = self._path
        if not _is_unicode(str(path)):
            raise VideoError(f"{str(path)!a} has a name that is not UTF-8, which no table can hold; rename the file")
        if not path.is_file():
            raise VideoError(f"{path} does not exist or is no file")
        try:
            # the path is absolute, or a name like "a:b.mp4" is taken for a protocol
            with av.open(str(path.absolute()), options=_OPENING, metadata_errors="replace") as container:
                stream = self._choose(container)
                stream.codec_context.options = _OPTIONS
                stream.codec_context.thread_type = "AUTO"
                stream.codec_context.thread_count = 1 if is_careful else self._threads
                yield Track(container=container, stream=stream, warn=self._warn, is_careful=is_careful)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{path} cannot be decoded ({error.strerror}); expected a video; the file is cut short or something "
                "else"
            ) from None

    def _choose(self, container: av.container.InputContainer) -> av.VideoStream:
        """Choose the first video stream that is no cover of a record; the others are not read."""
        cover = av.stream.Disposition.attached_pic
        videos = [stream for stream in container.streams.video if not stream.disposition & cover]
        if not videos:
            found = ", ".join(sorted({stream.type for stream in container.streams if stream.type != "video"}))
            raise VideoError(f"{self._path} has no picture, only {found or 'nothing'}; expected a video")
        if videos[0].codec_context is None:
            raise VideoError(f"{self._path} has a picture of a kind that no decoder here knows; the file is damaged")
        for stream in container.streams:
            if stream is not videos[0]:
                stream.discard = av.stream.Discard.all
        return videos[0]

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _no_frames(self) -> VideoError:
        return VideoError(f"{self._path} has no frame that can be decoded; the file is cut short or damaged")


def _num_cores() -> int:
    """Count the cores this process may use; where the system does not tell, those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no text came from the file system as lone surrogates
        return False
    return True
