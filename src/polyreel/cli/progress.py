"""What long work looks like: a bar on a terminal, a plain line every few seconds elsewhere, nothing with --quiet.

Progress goes to standard error, so results can be piped. Speed and time left count only what was done since the work
began, so a resumed job does not promise what it cannot keep.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from polyreel.progress import Progress, silent

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def shown(is_quiet: bool = False, stream: TextIO | None = None, unit: str = "") -> Iterator[Progress]:
    """Give the `Progress` that suits where standard error goes.

    Args:
        is_quiet: show nothing.
        stream: where to show it; None: standard error.
        unit: what is counted, if that has to be said.
    """
    stream = sys.stderr if stream is None else stream
    if is_quiet:
        yield silent
    elif stream.isatty():
        with _bar(stream, unit) as progress:
            yield progress
    else:
        yield Lines(stream, unit=unit)


class Pace:
    """How fast work goes, since it was first heard of.

    Args:
        clock: gives seconds; only differences count.
        unit: what is counted, if that has to be said.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, unit: str = "") -> None:
        self._clock = clock
        self._unit = f" {unit}" if unit else ""
        self._total: float | None = None
        self._first_done = self._started_seconds = 0.0

    def note(self, done: float, total: float) -> str:
        """Say speed and time left in a few words; empty while neither is known.

        Another total, or less done than before, is another piece of work and starts the clock anew.
        """
        if total != self._total or done < self._first_done:
            self._total, self._first_done, self._started_seconds = total, done, self._clock()
        seconds = self._clock() - self._started_seconds
        if seconds <= 0 or done <= self._first_done:
            return ""
        per_second = (done - self._first_done) / seconds
        speed = f"{per_second:.3g}" if per_second < 100 else f"{per_second:,.0f}"
        return f"{speed}{self._unit}/s, {clock_time((total - done) / per_second)} left"


class Lines:
    """Progress as plain lines: the first, the last, and one every few seconds between."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, unit: str = "") -> None:
        self._stream = stream
        self._clock = clock
        self._unit = f" {unit}" if unit else ""
        self._pace = Pace(clock, unit)
        self._written_seconds = -SECONDS_BETWEEN_LINES

    def __call__(self, done: float, total: float, doing: str) -> None:
        """Write a line if it is time for one."""
        pace = self._pace.note(done, total)
        is_due = self._clock() - self._written_seconds >= SECONDS_BETWEEN_LINES
        if is_due or done >= total:
            counts = [f"{done / total:4.0%}", f"{done:g}/{total:g}{self._unit}"] if total else []
            print("  ".join(filter(None, [*counts, doing, pace])), file=self._stream, flush=True)
            self._written_seconds = self._clock()


@contextmanager
def _bar(stream: TextIO, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(20), TaskProgressColumn(), TextColumn("{task.fields[pace]}"), TextColumn("{task.description}"))
    pace = Pace(unit=unit)
    with Bars(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task("", total=None, pace="")

        def progress(done: float, total: float, doing: str) -> None:
            note = f"{done:g}/{total:g}{f' {unit}' if unit else ''} {pace.note(done, total)}"
            bars.update(task, completed=done, total=total, description=doing.replace("[", r"\["), pace=note)

        yield progress


def clock_time(seconds: float) -> str:
    """Write a span of time as `m:ss` or `h:mm:ss`."""
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"
