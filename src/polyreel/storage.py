"""Where artefacts live on disk: written aside and renamed, named by the fingerprint of what made them.

A process killed at any moment leaves the old state or the new one, because every file and folder is completed under
another name in the same place and then renamed. Fingerprints are BLAKE2 digests, so a name can be compared instead of
the bytes.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeAlias

from polyreel.errors import DataError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

_DIGEST_BYTES = 12
_HERE, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD and the flag of renameat2(2)


@contextmanager
def write_aside(path: Path, *, is_expendable: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; put it in the place of `path` when the block ends well, delete it otherwise.

    The block may create a file or a folder there. It takes the place of an older one at once. What killed processes of
    this machine left in the same folder is deleted.

    Args:
        path: the file or folder to write.
        is_expendable: an older folder may go with all that is in it; otherwise it may hold nothing that the new one
            does not hold too, so that no foreign file is ever deleted.

    Raises:
        DataError: something else is in the place of `path`; it stays as it is.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_leftovers(path.parent.absolute())
    aside = path.parent / f".{path.name}.{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
    try:
        yield aside
        _flush(aside)
        _check_replaceable(aside, path, is_expendable)
        if path.is_dir():
            _exchange(aside, path)
        else:
            aside.replace(path)
    finally:
        _delete(aside)


def _check_replaceable(new: Path, place: Path, is_expendable: bool) -> None:
    if not (new.exists() and place.exists()):
        return
    if new.is_dir() != place.is_dir():
        found, wanted = ("folder", "file") if place.is_dir() else ("file", "folder")
        raise DataError(f"{place} is a {found}, and a {wanted} is to be written; it stays; name another place")
    if place.is_dir() and not is_expendable:
        strangers = sorted({entry.name for entry in place.iterdir()} - {entry.name for entry in new.iterdir()})
        if strangers:
            raise DataError(f"{place} holds {strangers[0]!r}, which would be lost; it stays; name another folder")


def _exchange(new: Path, place: Path) -> None:
    """Swap two folders, at once where the system can: then even a kill leaves one of them in its place."""
    if sys.platform == "linux":
        import ctypes

        ends = (_HERE, os.fsencode(new.absolute()), _HERE, os.fsencode(place.absolute()))
        if ctypes.CDLL(None).renameat2(*ends, _RENAME_EXCHANGE) == 0:
            return
    retired = new.with_suffix(".old")
    place.rename(retired)
    try:
        new.rename(place)
    except OSError:
        retired.rename(place)
        raise
    shutil.rmtree(retired)


@cache
def _machine() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


@cache
def _delete_leftovers(folder: Path) -> None:
    """Delete, once a process, what killed writers left in a folder; those of other machines may be alive."""
    for entry in folder.glob(f".*.{_machine()}-*-*.part"):
        writer = entry.name.rpartition(f".{_machine()}-")[2].partition("-")[0]
        if writer.isdigit() and not _is_running(int(writer)):
            _delete(entry)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    for file in [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_vacant(path: Path) -> bool:
    """Tell whether a folder can be made at a path: nothing is there, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder and be the only one to write in it; a killed process gives it back by itself.

    Raises:
        DataError: another process is writing in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is writing to {folder}; wait until it is done") from None
        yield
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, aside and renamed."""
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Json) -> None:
    """Write a JSON file for people and programs: indented, UTF-8, keys in the order given, no NaN."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Json]:
    """Read a JSON file that holds one object.

    Raises:
        DataError: the file is missing, is not JSON, or holds something else than an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); it may have been edited or cut short") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}; expected one JSON object")
    return value


def published_name(model: Path) -> str:
    """Return a model's name without its owner, also of a folder in the hub's cache, which is called by a commit."""
    return model.parent.parent.name.rpartition("--")[2] if model.parent.name == "snapshots" else model.name


def fingerprint(*parts: "bytes | Json") -> str:
    """Digest values into 24 hexadecimal digits; equal values give equal digits on every machine.

    Args:
        parts: byte strings as they are, everything else as JSON with sorted keys.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, ensure_ascii=False).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def fingerprint_streamed(parts: Iterable[tuple[int, Iterable[bytes | memoryview]]]) -> str:
    """Digest byte strings that come in pieces, as `fingerprint` digests the same byte strings whole.

    Args:
        parts: the size of each byte string, and its pieces.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for size, pieces in parts:
        digest.update(size.to_bytes(8, "little"))
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Digest the names and bytes of files, in the order of their names."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for path in sorted(paths, key=lambda file: (file.name, file.as_posix())):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
        digest.update(f"{path.name}\0{content}\0".encode())
    return digest.hexdigest()


@cache
def code_fingerprint() -> str:
    """Digest every Python file of this package: what measured, beside what was measured."""
    package = Path(__file__).parent
    return fingerprint(*(part for file in sorted(package.rglob("*.py")) for part in (file.name, file.read_bytes())))
