"""Video files wherever they lie: in a folder, or under a URL that fsspec knows, such as `s3://bucket/videos`.

A file is recognised in two steps. Its path, size and time of change are the fast check, which reads nothing. Its
identity is a digest of its size and of samples of its bytes, or of all of them, and is the same wherever it lies and
whenever it was touched.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import IO

import fsspec

from polyreel.errors import DataError, VideoError
from polyreel.video.decode import VIDEO_SUFFIXES, find_videos

NUM_SAMPLES, SAMPLE_BYTES = 8, 32 * 1024
BLOCK_BYTES = 2**20
_DIGEST_BYTES = 12
_CHANGE_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")  # as file systems call it


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """A file, as it was when it was looked at.

    Attributes:
        name: what clips and people call it: its path in the folder.
        place: its full path or URL.
        size_bytes: its size; 0 where there is no such file.
        mtime_ns: when it was changed last, nanoseconds since 1970; 0 where nobody knows.
    """

    name: str
    place: str
    size_bytes: int
    mtime_ns: int


def is_url(place: str | Path) -> bool:
    """Say whether a place is under a URL; any other is a path."""
    return "://" in str(place)


def list_videos(folder: str | Path) -> list[VideoFile]:
    """List the videos of a folder or URL and of the folders in it, by name.

    Raises:
        VideoError: it does not exist or has no videos.
        DataError: nothing here can open such URLs, or the other side refuses.
    """
    if not is_url(folder):
        return [file_at(path, path.relative_to(folder).as_posix()) for path in find_videos(Path(folder))]
    with _saying_which(str(folder)):
        system, root = fsspec.url_to_fs(str(folder))
        found = system.find(root, detail=True)
        root = str(system._strip_protocol(root)).rstrip("/")
    files = []
    for path, facts in sorted(found.items()):
        name = PurePosixPath(path).relative_to(root)
        if name.suffix.lower() in VIDEO_SUFFIXES and not any(part.startswith(".") for part in name.parts):
            place = str(system.unstrip_protocol(path))
            size = int(facts.get("size") or 0)
            files.append(VideoFile(name=str(name), place=place, size_bytes=size, mtime_ns=_change_ns(facts)))
    if not files:
        raise VideoError(f"{folder} has no video files; looked for {' '.join(sorted(VIDEO_SUFFIXES))}")
    return files


def file_at(path: Path, name: str) -> VideoFile:
    """Look at a local file; one that is not there has no size and no time."""
    try:
        status = path.stat()
    except OSError:
        return VideoFile(name=name, place=str(path), size_bytes=0, mtime_ns=0)
    return VideoFile(name=name, place=str(path), size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)


def identify(file: VideoFile, *, is_whole: bool = False) -> str:
    """Digest a file's size and content.

    Args:
        file: the file.
        is_whole: read all of it; otherwise samples of its start, its end and between.

    Raises:
        VideoError: it cannot be read.
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    digest.update(file.size_bytes.to_bytes(8, "little"))
    try:
        with _open(file.place) as stream:
            for block in _blocks(stream, None if is_whole else file.size_bytes):
                digest.update(block)
    except OSError as error:
        raise VideoError(f"{file.place} cannot be read ({error.strerror or error}); the file is gone or kept") from None
    return f"{'whole' if is_whole else 'sampled'}-{digest.hexdigest()}"


@contextmanager
def local_copy(file: VideoFile) -> Iterator[Path]:
    """Give a path where a file can be decoded: its own, or a copy that goes when the block ends.

    Raises:
        VideoError: it cannot be fetched.
    """
    if not is_url(file.place):
        yield Path(file.place)
        return
    with tempfile.TemporaryDirectory(prefix="polyreel-") as folder:
        copy = Path(folder) / PurePosixPath(file.name).name
        try:
            system, path = fsspec.url_to_fs(file.place)
            system.get_file(path, str(copy))
        except OSError as error:
            raise VideoError(f"{file.place} cannot be fetched ({error.strerror or error})") from None
        yield copy


def _open(place: str) -> IO[bytes]:
    stream: IO[bytes] = fsspec.open(place, "rb").open() if is_url(place) else Path(place).open("rb")
    return stream


def _blocks(stream: IO[bytes], sampled_bytes: int | None) -> Iterator[bytes]:
    """Yield all of a stream, or samples of one of so many bytes."""
    if sampled_bytes is None or sampled_bytes <= NUM_SAMPLES * SAMPLE_BYTES:
        while block := stream.read(BLOCK_BYTES):
            yield block
        return
    for number in range(NUM_SAMPLES):
        stream.seek(number * (sampled_bytes - SAMPLE_BYTES) // (NUM_SAMPLES - 1))
        yield stream.read(SAMPLE_BYTES)


def _change_ns(facts: dict[str, object]) -> int:
    changed = next((facts[key] for key in _CHANGE_KEYS if facts.get(key)), 0)
    seconds = changed.timestamp() if isinstance(changed, datetime) else changed
    return int(seconds * 1e9) if isinstance(seconds, int | float) else 0


@contextmanager
def _saying_which(url: str) -> Iterator[None]:
    try:
        yield
    except (ImportError, ValueError) as error:
        raise DataError(f"{url} cannot be opened ({error}); install what fsspec needs for such URLs") from None
    except OSError as error:
        raise VideoError(f"{url} cannot be listed ({error.strerror or error}); expected a folder of videos") from None
