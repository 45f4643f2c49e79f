"""Frames out of video files, at chosen moments, each file read once.

Several clips, and several extractors with frames of their own sizes, share one pass. A video takes no more memory than
the frames of one batch, however long it is; frames are scaled while they are decoded.

    with open_video(path) as video:
        for position, batch in read_frames(video, [FrameRequest(seconds=[0.5, 1.5], size=(224, 224))], batch_size=64):
            ...
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from polyreel.errors import VideoError
from polyreel.video.frames import Fit, FrameBatch, FrameRequest, Image, Picture, Probe, Size, Video

__all__ = [
    "Fit",
    "FrameBatch",
    "FrameRequest",
    "Image",
    "Picture",
    "Probe",
    "Size",
    "Video",
    "decode_clips",
    "decode_frames",
    "find_videos",
    "open_video",
    "probe",
    "read_frames",
]

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()
)


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


def _open_with_pyav(path: Path, threads: int | None) -> Video:
    from polyreel.video.pyav import PyavVideo

    return PyavVideo(path, threads)


BACKENDS: dict[str, Callable[[Path, int | None], Video]] = {"pyav": _open_with_pyav}
"""Decoders by name: each opens a path with so many threads."""


@contextmanager
def open_video(path: Path, *, threads: int | None = None, backend: str = "pyav") -> Iterator[Video]:
    """Open a video file, and close it when the block ends.

    Args:
        path: the file.
        threads: how many threads may decode at a time; None means one a core of this machine.
        backend: a name of `BACKENDS`.

    Raises:
        VideoError: the file is missing, is no video, or has no frame that can be decoded.
        ValueError: there is no backend of this name.
    """
    if backend not in BACKENDS:
        raise ValueError(f"there is no decoder {backend!r}; expected one of {', '.join(sorted(BACKENDS))}")
    video = BACKENDS[backend](path, threads)
    try:
        yield video
    finally:
        video.close()


def probe(path: Path) -> Probe:
    """Measure a video file.

    Raises:
        VideoError: the file is missing, is no video, or has no frame that can be decoded.
    """
    with open_video(path) as video:
        return video.probe


def read_frames(
    video: Video,
    requests: Sequence[FrameRequest],
    *,
    batch_size: int | None = None,
    only_references: bool = False,
) -> Iterator[tuple[int, FrameBatch]]:
    """Read the frames of several requests in one pass; their spans may overlap and come in any order.

    Args:
        video: what `open_video` gave.
        requests: what is wanted.
        batch_size: a request's frames come in pieces of so many, as soon as they are there, the last one shorter; None
            gives each request whole.
        only_references: pass over frames that no other frame is decoded from, which is faster; those before them are
            taken instead. The times of a batch say which were taken.

    Yields:
        A request's position in `requests` and its next frames, in the order of its moments.

    Raises:
        VideoError: the video has no frame that can be decoded.
        ValueError: `batch_size` is below 1.
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected 1 or more")
    wanted = sorted((at, position) for position, request in enumerate(requests) for at in request.seconds)
    missing = [len(request.seconds) for request in requests]
    waiting: list[list[tuple[float, Image]]] = [[] for _ in requests]
    images: dict[tuple[Size | None, Fit], Image] = {}
    last: Picture | None = None
    shown = video.shown_at([at for at, _ in wanted], only_references=only_references)
    for (_, position), picture in zip(wanted, shown, strict=True):
        if picture is not last:
            images, last = {}, picture
        form = (requests[position].size, requests[position].fit)
        if form not in images:
            images[form] = picture.image(*form)
        waiting[position].append((picture.at_seconds, images[form]))
        missing[position] -= 1
        if missing[position] == 0 or len(waiting[position]) == batch_size:
            yield position, _batch(waiting[position])
            waiting[position] = []


def decode_frames(
    path: Path, seconds: Sequence[float], *, size: Size | None = None, fit: Fit = "squeeze"
) -> FrameBatch:
    """Decode what is shown at the given moments, in one pass.

    A moment shows the last frame whose time is not after it, or the first frame where there is none.

    Args:
        path: the video.
        seconds: moments from the video's start, ascending; the same frame may be shown at several.
        size: width and height of the frames; None keeps the video's own.
        fit: how frames come into `size`.

    Raises:
        VideoError: the file is missing, is no video, or has no frame that can be decoded.
        ValueError: there are no moments, or they are not ascending.
    """
    return next(batch for _, batch in decode_clips(path, [seconds], size=size, fit=fit))


def decode_clips(
    path: Path, clips_seconds: Sequence[Sequence[float]], *, size: Size | None = None, fit: Fit = "squeeze"
) -> Iterator[tuple[int, FrameBatch]]:
    """Decode the frames of several clips of one video in one pass; clips may overlap and come in any order.

    Args:
        path: the video.
        clips_seconds: each clip's moments, as `decode_frames` takes them.
        size: as in `decode_frames`.
        fit: as in `decode_frames`.

    Yields:
        A clip's position in `clips_seconds` and its frames, as soon as the last of them is decoded.

    Raises:
        VideoError: as `decode_frames`.
        ValueError: as `decode_frames`.
    """
    requests = [FrameRequest(seconds=seconds, size=size, fit=fit) for seconds in clips_seconds]
    with open_video(path) as video:
        yield from read_frames(video, requests)


def _batch(frames: Sequence[tuple[float, Image]]) -> FrameBatch:
    times, images = zip(*frames, strict=True)
    return FrameBatch(frames=np.stack(images), pts_seconds=np.array(times, np.float64))
