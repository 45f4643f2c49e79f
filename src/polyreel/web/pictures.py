"""Thumbnails and previews: made when they are first asked for, kept in the index's folder, bounded in size.

One at a time is made of each kind, so that a page full of new hits cannot take the machine; who asks for the same one
meanwhile waits for it instead of making it again.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

from PIL import Image

from polyreel.errors import VideoError
from polyreel.search.hits import Hit
from polyreel.storage import fingerprint, write_aside
from polyreel.video.decode import decode_frames
from polyreel.video.export import copy_moment, make_preview
from polyreel.video.windows import Span

THUMBNAIL_SIZE = (320, 320)
MOST_PREVIEW_SECONDS = 60.0
MOST_CUT_SECONDS = 600.0
MOST_KEPT_BYTES = 1 << 30
_THUMBNAIL_QUALITY = 80


class Pictures:
    """What is shown of clips beside their files.

    Args:
        folder: where pictures are kept.
        most_bytes: beyond which those not looked at for longest are deleted.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._locks = {"jpg": Lock(), "mp4": Lock(), "cut": Lock()}

    def thumbnail(self, clip: Hit) -> Path:
        """Return a JPEG of the clip's middle.

        Raises:
            VideoError: the file is gone, or cannot be decoded.
        """
        return self._kept(clip, "jpg", _write_thumbnail)

    def preview(self, clip: Hit) -> Path:
        """Return a small mp4 of the clip, for browsers that cannot play the file itself.

        Raises:
            VideoError: the file is gone, or cannot be decoded.
        """
        return self._kept(clip, "mp4", _write_preview)

    def cut(self, clip: Hit, span: Span) -> Path:
        """Return a part of a clip's file, copied without decoding.

        Raises:
            VideoError: the file is gone, or what is in it cannot be copied.
            ValueError: the span is empty or too long.
        """
        if not 0 < span[1] - span[0] <= MOST_CUT_SECONDS:
            raise ValueError(
                f"a cut from {span[0]:g} to {span[1]:g} seconds; expected up to {MOST_CUT_SECONDS:g} seconds"
            )
        part = replace(clip, start_seconds=span[0], end_seconds=span[1])
        return self._kept(part, f"cut{clip.video.suffix.lower()}", _write_cut)

    def _kept(self, clip: Hit, kind: str, write: Callable[[Hit, Path], None]) -> Path:
        try:
            stamp = clip.video.stat()
        except OSError:
            raise VideoError(
                f"{clip.video.name} is not there any more; `polyreel index` brings the index up to date"
            ) from None
        name = fingerprint(str(clip.video), stamp.st_mtime_ns, stamp.st_size, clip.start_seconds, clip.end_seconds)
        path = self._folder / f"{name}.{kind}"
        with self._locks[kind.partition(".")[0]]:
            if path.is_file():
                path.touch()
            else:
                self._folder.mkdir(parents=True, exist_ok=True)
                write(clip, path)
                self._forget_oldest()
        return path

    def _forget_oldest(self) -> None:
        files = [(path, path.stat()) for path in self._folder.iterdir() if not path.name.startswith(".")]
        excess = sum(stat.st_size for _, stat in files) - self._most_bytes
        for path, stat in sorted(files, key=lambda file: file[1].st_mtime_ns)[:-1]:
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size


def _write_thumbnail(clip: Hit, path: Path) -> None:
    middle = (clip.start_seconds + clip.end_seconds) / 2
    picture = Image.fromarray(decode_frames(clip.video, [middle]).frames[0])
    picture.thumbnail(THUMBNAIL_SIZE)
    with write_aside(path) as aside:
        picture.save(aside, "JPEG", quality=_THUMBNAIL_QUALITY)


def _write_cut(part: Hit, path: Path) -> None:
    copy_moment(part.video, (part.start_seconds, part.end_seconds), path)


def _write_preview(clip: Hit, path: Path) -> None:
    end = min(clip.end_seconds, clip.start_seconds + MOST_PREVIEW_SECONDS)
    make_preview(clip.video, (clip.start_seconds, end), path)
