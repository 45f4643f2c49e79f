"""Large files from the web: with progress, resumed where they broke off, complete or under another name.

A file in the making is `FILE.part`, and `FILE.part.json` says what it is a part of. It is not written aside and thrown
away like everything else, because a later call goes on where it ends: with an HTTP range request, guarded by the
server's own mark of the content (`If-Range`), so that parts of two different files are never joined.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from polyreel.errors import PolyreelError
from polyreel.progress import Progress, silent
from polyreel.storage import read_json, write_json

ATTEMPTS = 5
PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 60
CHUNK_BYTES = 2**18
MEGABYTE = 10**6
_OK, _PARTIAL, _RANGE_REFUSED, _SERVER_FAULT = 200, 206, 416, 500


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What a file in the making is a part of: how long it will be, and the server's mark of its content."""

    total_bytes: int | None
    mark: str | None


def download(
    url: str,
    file: Path,
    *,
    progress: Progress = silent,
    attempts: int = ATTEMPTS,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Download a file, going on where an earlier call or a broken connection stopped.

    Args:
        url: where it is.
        file: where it goes; it appears when it is complete.
        progress: told how many megabytes are there.
        attempts: how often the connection may break without a byte gained.
        pause_seconds: wait before each further attempt.

    Raises:
        PolyreelError: the server refuses, or cannot be reached often enough; what came is kept.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    left = attempts
    while True:
        before = _size(part)
        try:
            reason = _go_on(url, part, progress)
        except HTTPError as error:
            error.close()
            reason = f"the server says {error.code} {error.reason}"
            left = left if error.code >= _SERVER_FAULT else 0
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
        if reason is None:
            part.replace(file)
            _state(part).unlink()
            return
        left = attempts if _size(part) > before else left - 1
        if left <= 0:
            kept = f"; {_size(part) / MEGABYTE:.1f} MB are kept, so call again to go on" if _size(part) else ""
            raise PolyreelError(f"{url} could not be downloaded: {reason}{kept}")
        time.sleep(pause_seconds)


def _go_on(url: str, part: Path, progress: Progress) -> str | None:
    """Bring the part nearer to the whole; return None once it is whole, otherwise why it is not."""
    known = _known(url, part)
    if known.total_bytes is not None and _size(part) == known.total_bytes:
        return None
    with _answer(url, part, known) as response:
        told = _told(response)
        if response.status != _PARTIAL:
            part.unlink(missing_ok=True)  # the whole is sent, from its beginning
        elif not _continues(response, part) or told != known:
            part.unlink(missing_ok=True)
            return "the file has changed since it was begun"
        write_json(_state(part), {"url": url, "total_bytes": told.total_bytes, "mark": told.mark})
        _append(response, part, told.total_bytes, progress)
    is_whole = told.total_bytes is None or _size(part) == told.total_bytes
    return None if is_whole else "the connection was cut"


@contextmanager
def _answer(url: str, part: Path, known: _Part) -> Iterator[HTTPResponse]:
    headers = {"Accept-Encoding": "identity"}
    if _size(part):
        headers["Range"] = f"bytes={_size(part)}-"
        if known.mark is not None:
            headers["If-Range"] = known.mark
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as response:
            yield response
    except HTTPError as error:
        if error.code == _RANGE_REFUSED:
            error.close()
            part.unlink(missing_ok=True)
            raise OSError("the file has become shorter than the part that is here; it begins anew") from None
        raise


def _told(response: HTTPResponse) -> _Part:
    """Read from an answer what the whole is."""
    if response.status == _PARTIAL:
        length = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        length = response.headers.get("Content-Length", "")
    mark = response.headers.get("ETag") or response.headers.get("Last-Modified")
    is_strong = mark is not None and not mark.startswith("W/")  # weak marks do not promise the same bytes
    return _Part(total_bytes=int(length) if length.isdigit() else None, mark=mark if is_strong else None)


def _continues(response: HTTPResponse, part: Path) -> bool:
    span = response.headers.get("Content-Range", "").removeprefix("bytes ")
    return span.partition("-")[0] == str(_size(part))


def _append(response: HTTPResponse, part: Path, total_bytes: int | None, progress: Progress) -> None:
    done = _size(part)
    name = part.name.removesuffix(".part")
    with part.open("ab") as stream:
        while chunk := response.read(CHUNK_BYTES):
            stream.write(chunk)
            done += len(chunk)
            total = done if total_bytes is None else total_bytes
            progress(round(done / MEGABYTE, 1), round(total / MEGABYTE, 1), f"MB of {name}")


def _known(url: str, part: Path) -> _Part:
    state = read_json(_state(part)) if _state(part).is_file() else {}
    if state.get("url") != url:
        part.unlink(missing_ok=True)  # it is a part of something else
        return _Part(total_bytes=None, mark=None)
    total, mark = state.get("total_bytes"), state.get("mark")
    return _Part(total_bytes=total if isinstance(total, int) else None, mark=mark if isinstance(mark, str) else None)


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
