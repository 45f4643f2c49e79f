"""What differs between a folder of videos and its index: new, changed, moved, touched and deleted files.

A file is recognised in two steps. Path, size and time of change are the quick half of its stamp and read nothing, so an
unchanged file costs one look. Where they differ, a digest of samples of its bytes tells whether the content is new; if
a video of the index has the same, its embeddings are taken over and nothing is decoded, which covers files that were
moved, copied or touched. The third part stands for the subtitle files beside it.

A file that is gone was deleted if its folder still holds something. If the folder is gone too, or empty, a disk may be
away, and the video is only called missing.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from polyreel.errors import VideoError
from polyreel.storage import Json, fingerprint
from polyreel.video.decode import find_videos
from polyreel.video.files import file_at, identify
from polyreel.video.subtitles import SUBTITLE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class FileStamp:
    """How a file is recognised, as the index keeps it of each clip.

    Attributes:
        quick: digest of its size, time of change, and of how it was cut into clips.
        content: digest of samples of its bytes, and of how it was cut; empty where nobody looked.
        speech: digest of the subtitle files beside it; empty where there are none.
    """

    quick: str
    content: str = ""
    speech: str = ""

    @property
    def text(self) -> str:
        """The stamp as one word."""
        return f"{self.quick}.{self.content}.{self.speech}"

    @classmethod
    def of_text(cls, text: str) -> "FileStamp":
        """Read what `text` wrote, or the quick half alone, as older indexes keep it."""
        quick, content, speech = (*text.split("."), "", "")[:3]
        return cls(quick=quick, content=content, speech=speech)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has to be done to bring an index up to date with its folder; all by paths in the library.

    Attributes:
        to_encode: stamps of videos whose content is new.
        to_reuse: stamps of videos whose embeddings are in the index, under the name in `source_of`.
        source_of: for each video of `to_reuse`, the video it is the same as; often itself.
        failed: why files could not be read.
        gone: videos that were deleted or moved.
        missing: videos that are not there, with their whole folder; perhaps a disk is away.
        num_unchanged: videos with which there is nothing to do.
    """

    to_encode: Mapping[str, FileStamp] = field(default_factory=dict)
    to_reuse: Mapping[str, FileStamp] = field(default_factory=dict)
    source_of: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    num_unchanged: int = 0

    @property
    def num_videos(self) -> int:
        """How many videos the folder has."""
        return len(self.to_encode) + len(self.to_reuse) + len(self.failed) + self.num_unchanged


def find_changes(known: Mapping[str, FileStamp], library: Path, window_seconds: float) -> Changes:
    """Compare a folder with what an index knows.

    Args:
        known: stamps of the index's videos.
        library: the folder.
        window_seconds: length of clips; another one makes all content new.

    Raises:
        VideoError: the folder does not exist; or has no videos, and neither has the index.
    """
    files = _videos(library, bool(known))
    stamps, failed = _differing(known, files, window_seconds)
    holder_of = {stamp.content: video for video, stamp in known.items() if stamp.content}
    source_of = {video: _source(video, stamp, known, holder_of) for video, stamp in stamps.items()}
    is_away, moved = cache(_is_away), {*source_of.values()}
    absent = [video for video in known if video not in files]
    missing = [video for video in absent if video not in moved and is_away((library / video).parent)]
    return Changes(
        to_encode={video: stamp for video, stamp in stamps.items() if source_of[video] is None},
        to_reuse={video: stamp for video, stamp in stamps.items() if source_of[video] is not None},
        source_of={video: source for video, source in source_of.items() if source is not None},
        failed=failed,
        gone=tuple(sorted({*absent} - {*missing})),
        missing=tuple(missing),
        num_unchanged=len(files) - len(stamps) - len(failed),
    )


def _differing(
    known: Mapping[str, FileStamp], files: Mapping[str, Path], window_seconds: float
) -> tuple[dict[str, FileStamp], dict[str, str]]:
    """Return the stamps of files that are not as the index knows them, and why some have none."""
    stamps: dict[str, FileStamp] = {}
    failed: dict[str, str] = {}
    subtitles = cache(_subtitle_files)
    for video, path in files.items():
        old = known.get(video)
        quick, speech = _quick(path, window_seconds), _beside(path, subtitles(path.parent))
        if old is not None and old.content and (old.quick, old.speech) == (quick, speech):
            continue
        try:
            content = fingerprint(identify(file_at(path, video)), window_seconds)
        except VideoError as error:
            failed[video] = str(error)
            continue
        if any("\ud800" <= sign <= "\udfff" for sign in video):
            failed[video] = f"the name {video!a} is not in UTF-8; rename the file"
            continue
        stamps[video] = FileStamp(quick=quick, content=content, speech=speech)
    return stamps, failed


def _source(video: str, stamp: FileStamp, known: Mapping[str, FileStamp], holder_of: Mapping[str, str]) -> str | None:
    """Return the video of the index that has the same content, itself if it can be; None where there is none."""
    old = known.get(video)
    if old is not None and (old.content == stamp.content or (old.quick == stamp.quick and not old.content)):
        return video
    return holder_of.get(stamp.content)


def _videos(library: Path, may_be_empty: bool) -> dict[str, Path]:
    try:
        return {path.relative_to(library).as_posix(): path for path in find_videos(library)}
    except VideoError:
        if may_be_empty and library.is_dir():
            return {}
        raise


def _quick(path: Path, window_seconds: float) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""  # it went after the folder was listed
    return fingerprint(status.st_size, status.st_mtime_ns, window_seconds)


def _subtitle_files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.suffix.lower() in SUBTITLE_SUFFIXES)


def _beside(path: Path, names: list[str]) -> str:
    """Digest the subtitle files whose names begin with the video's, out of a folder's, sorted."""
    start = path.stem + "."
    facts: list[Json] = []
    for name in names[bisect_left(names, start) :]:
        if not name.startswith(start):
            break
        looked = file_at(path.parent / name, name)
        facts.append([ascii(name), looked.size_bytes, looked.mtime_ns])
    return fingerprint(facts)[:8] if facts else ""


def _is_away(folder: Path) -> bool:
    return not folder.is_dir() or all(entry.name.startswith(".") for entry in folder.iterdir())
