"""Following a folder: its index is brought up to date whenever something changes in it.

The system says that something changed; what it was is found by comparing the folder with the index, as always, so a
lost event costs a minute and nothing else. A file that is being copied or downloaded changes all the time: it waits
until it has looked the same for a while. A file that cannot be used is told once and left alone until it changes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

from watchfiles import watch

from polyreel.errors import DataError, VideoError
from polyreel.progress import Progress, silent
from polyreel.search.changes import Changes, FileStamp, find_changes
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import WINDOW_SECONDS, LibraryUpdate, apply_changes, known_stamps
from polyreel.search.succession import is_current
from polyreel.video.files import file_at

DEFAULT_SETTLE_SECONDS = 1.0
LOOK_SECONDS = 60.0  # how often the folder is looked at even if the system says nothing
_COMMIT_SECONDS = 2.0
_TICK_SECONDS = 0.5
Report = Callable[[LibraryUpdate], None]


def watch_library(
    index: Index,
    videos_folder: Path,
    encoder: SearchEncoder,
    *,
    report: Report,
    stop: Event | None = None,
    window_seconds: float = WINDOW_SECONDS,
    settle_seconds: float = DEFAULT_SETTLE_SECONDS,
    progress: Progress = silent,
) -> None:
    """Keep an index up to date with its folder until told to stop, or Ctrl-C.

    Args:
        index: the folder's index.
        videos_folder: the folder; it may go and come back, as disks do.
        encoder: what the index was made with.
        report: told of every update that did something or failed at something.
        stop: ends the watch when set.
        window_seconds: length of clips.
        settle_seconds: how long a new or changed file must have looked the same.
        progress: told after every video.

    Raises:
        DataError: an index by another model has taken this one's place.
    """
    library, stop = videos_folder.resolve(), stop or Event()
    watcher = _Watcher(index, library, encoder, window_seconds, Settling(settle_seconds), progress)
    own_folder = index.folder.resolve()
    while not stop.is_set():
        place = _identity(library)
        if place is None:
            stop.wait(_TICK_SECONDS)
            continue
        looked_at = 0.0
        for events in watch(
            library,
            watch_filter=lambda _, path: _concerns(Path(path), library, own_folder),
            stop_event=stop,
            debounce=int(1000 * _TICK_SECONDS),
            rust_timeout=int(1000 * _TICK_SECONDS),
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            if _identity(library) != place:
                break  # another disk is there now, or none
            if events or watcher.is_waiting or time.monotonic() - looked_at >= LOOK_SECONDS:
                update = watcher.look()
                looked_at = time.monotonic()
                if update is not None:
                    report(update)


class Settling:
    """Tells which files have looked the same for a while.

    Args:
        seconds: how long.
        clock: gives seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def is_settled(self, path: Path) -> bool:
        """Look at a file; True if it has not changed since a look that was long enough ago."""
        file, now = file_at(path, path.name), self._clock()
        look = (file.size_bytes, file.mtime_ns)
        before = self._seen.get(path)
        if before is None or before[0] != look:
            self._seen[path] = look, now
            return self._seconds <= 0
        return now - before[1] >= self._seconds

    def forget(self, paths: set[Path]) -> None:
        """Forget all files but these."""
        self._seen = {path: seen for path, seen in self._seen.items() if path in paths}


class _Watcher:
    """What is remembered from one look at the folder to the next."""

    def __init__(
        self,
        index: Index,
        library: Path,
        encoder: SearchEncoder,
        window_seconds: float,
        settling: Settling,
        progress: Progress,
    ) -> None:
        self._index, self._library, self._encoder = index, library, encoder
        self._window_seconds, self._settling, self._progress = window_seconds, settling, progress
        self._failed: dict[str, FileStamp] = {}
        self.is_waiting = False

    def look(self) -> LibraryUpdate | None:
        """Bring the index up to date with all files that have settled; None where there is nothing to do."""
        if not is_current(self._index):
            raise DataError(f"{self._index.folder} has gone over to another model; start again to follow with that")
        try:
            changes = find_changes(known_stamps(self._index), self._library, self._window_seconds)
        except (VideoError, OSError):
            return None  # the folder is gone or going, or has no videos yet
        new = {**changes.to_encode, **changes.to_reuse}
        waiting = {video for video in new if not self._settling.is_settled(self._library / video)}
        self._settling.forget({self._library / video for video in new})
        self.is_waiting = bool(waiting)
        hopeless = {video for video, stamp in self._failed.items() if new.get(video) == stamp}
        ready = _without(changes, waiting | hopeless)
        if not (ready.to_encode or ready.to_reuse or ready.gone):
            return None
        update = apply_changes(
            self._index,
            self._library,
            ready,
            self._encoder,
            window_seconds=self._window_seconds,
            commit_seconds=_COMMIT_SECONDS,
            progress=self._progress,
        )
        self._failed = {video: stamp for video, stamp in self._failed.items() if video in hopeless}
        self._failed |= {video: new[video] for video in update.failures if video in new}
        return update


def _without(changes: Changes, videos: set[str]) -> Changes:
    """Leave videos for later, and those whose embeddings they are waiting to take over."""
    needed = {changes.source_of[video] for video in videos if video in changes.source_of}
    return replace(
        changes,
        to_encode=_less(changes.to_encode, videos),
        to_reuse=_less(changes.to_reuse, videos),
        failed={},
        gone=tuple(video for video in changes.gone if video not in needed),
    )


def _less(stamps: Mapping[str, FileStamp], videos: set[str]) -> dict[str, FileStamp]:
    return {video: stamp for video, stamp in stamps.items() if video not in videos}


def _concerns(path: Path, library: Path, own_folder: Path) -> bool:
    """Tell whether a change may matter: not in hidden folders, nor in the index itself."""
    hidden = any(part.startswith(".") for part in path.relative_to(library).parts) if library in path.parents else False
    return not hidden and own_folder not in (path, *path.parents)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Tell folders apart that lie at the same path one after another."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
