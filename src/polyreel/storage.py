"""Where artefacts live on disk: written aside and renamed, named by the fingerprint of what made them.

A process killed at any moment leaves the old state or the new one, because every file and folder is completed under
another name in the same place and then renamed. Fingerprints are BLAKE2 digests, so a name can be compared instead of
the bytes.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from polyreel.errors import DataError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

_DIGEST_BYTES = 12


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise.

    The block may create a file or a folder there. An existing file is replaced at once; an existing folder is moved
    away first (it is back if the new one cannot take its place) and deleted after.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        yield aside
        _flush(aside)
        if path.is_dir():
            _swap_folders(aside, path)
        else:
            aside.replace(path)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


def _swap_folders(new: Path, place: Path) -> None:
    retired = new.with_suffix(".old")
    place.rename(retired)
    try:
        new.rename(place)
    except OSError:
        retired.rename(place)
        raise
    shutil.rmtree(retired)


def _flush(path: Path) -> None:
    for file in [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
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


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Digest the names and bytes of files, in the order of their names."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for path in sorted(paths, key=lambda file: (file.name, file.as_posix())):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
        digest.update(f"{path.name}\0{content}\0".encode())
    return digest.hexdigest()
