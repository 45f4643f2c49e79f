"""What a run says while it goes: how far it is, how fast, and a line a file in its log.

A run's log is a file of its own in the store, `log/TIME.jsonl`: one JSON object a file, written as soon as the file's
features count. It is for people and for `jq`; no program of ours reads it.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic

from polyreel.progress import Progress
from polyreel.storage import Json
from polyreel.video.portion import FileResult

GIGABYTE = 10**9
LOG_FOLDER = "log"


class Journal:
    """Counts what is done, tells progress and writes the log; several threads may call it.

    Attributes:
        failures: why clips failed, by clip id.
    """

    def __init__(self, folders: Sequence[Path], num_files: int, num_bytes: int, progress: Progress) -> None:
        self.failures: dict[str, str] = {}
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        self._logs = [folder / LOG_FOLDER / f"{stamp}.jsonl" for folder in folders]
        self._num_files, self._num_bytes, self._progress = num_files, num_bytes, progress
        self._under_way: dict[str, float] = {}
        self._files_done = 0
        self._bytes_done = self._video_seconds = 0.0
        self._started = monotonic()
        self._lock = Lock()

    def note(self, result: FileResult, share: float) -> None:
        """Take in that a file is done, or a share of it."""
        with self._lock:
            name = result.file.name
            more = share - self._under_way.get(name, 0.0)
            self._under_way[name] = share
            self._bytes_done += more * result.file.size_bytes
            self._video_seconds += more * result.video_seconds
            if share == 1.0:
                self._files_done += 1
                del self._under_way[name]
            speed = self._video_seconds / max(monotonic() - self._started, 1e-9)
            doing = (
                f"{self._files_done:,}/{self._num_files:,} files, {self._video_seconds / 3600:,.2f} h of video, "
                f"{speed:,.3g} x real time, {name.encode('utf-8', 'backslashreplace').decode()}"
            )
            self._progress(_rounded(self._bytes_done), _rounded(self._num_bytes), doing)

    def write(self, results: Sequence[FileResult]) -> None:
        """Write lines about files whose features count now."""
        for result in results:
            self.failures |= result.failures
        lines = "".join(json.dumps(_line(result)) + "\n" for result in results)
        for log in self._logs if lines else ():
            log.parent.mkdir(exist_ok=True)
            with log.open("a", encoding="utf-8") as stream:
                stream.write(lines)


def _rounded(num_bytes: float) -> float:
    return float(f"{num_bytes / GIGABYTE:.4g}")


def _line(result: FileResult) -> dict[str, Json]:
    return {
        "video": result.file.name,
        "status": "failed" if result.failures else "done",
        "bytes": result.file.size_bytes,
        "video_seconds": round(result.video_seconds, 3),
        "rows": result.num_rows,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
        "failures": result.failures,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
