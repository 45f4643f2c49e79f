"""What a training looks like: a page that stays in place on a terminal, plain lines elsewhere.

The page has a bar, losses by term and language, and how fast and how large the run is. Lines say the same in words.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from polyreel.cli.progress import Lines, Pace
from polyreel.progress import Progress, silent

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from polyreel.training.watching import Seen, Watch

BAR_WIDTH = 24


@contextmanager
def watched(is_quiet: bool = False, stream: TextIO | None = None) -> "Iterator[tuple[Progress, Watch]]":
    """Give a `Progress` and a `Watch` that suit where standard error goes.

    Args:
        is_quiet: show nothing.
        stream: where to show it; None: standard error.
    """
    stream = sys.stderr if stream is None else stream
    if is_quiet:
        yield silent, _look_away
    elif stream.isatty():
        from rich.console import Console

        with shown_on(Console(file=stream)) as page:
            yield page.progress, page.watch
    else:
        yield Lines(stream), _look_away


def _look_away(seen: "Seen") -> None:
    """Leave it to the lines, which say the same."""


class Page:
    """What is on the terminal: the bar, and below it what was last seen of the run."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._done, self._total, self._doing, self._note = 0.0, 1.0, "", ""
        self._seen: Seen | None = None
        self._recall: dict[str, float] = {}

    def progress(self, done: float, total: float, doing: str) -> None:
        """Note how much is done."""
        self._done, self._total, self._doing = done, total, doing
        self._note = self._pace.note(done, total)

    def watch(self, seen: "Seen") -> None:
        """Note what is seen."""
        self._seen = seen
        if seen.recall is not None:
            self._recall = dict(seen.recall)

    def __rich__(self) -> "Group":
        """Draw the page as it is now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1))
        counts = Text(f"{self._done:g}/{self._total:g}  {self._note}", no_wrap=True)
        line.add_row(ProgressBar(total=max(self._total, 1), completed=self._done, width=BAR_WIDTH), counts)
        if self._seen is None:
            return Group(line, Text(self._doing, no_wrap=True, overflow="ellipsis"))
        return Group(line, self._losses(self._seen), Text(self._measures(self._seen), style="dim"))

    def _losses(self, seen: "Seen") -> "Table":
        """Draw one row a language and one column a term, with the latest validation behind them."""
        from rich.table import Table

        terms = seen.by_term
        langs = list(dict.fromkeys(lang for by_lang in terms.values() for lang in by_lang))
        table = Table(box=None, pad_edge=False)
        for name in ("", *(term.replace("_", " ") for term in terms), *(["val R@10"] if self._recall else [])):
            table.add_column(name, justify="right")
        rows = {lang: [by_lang.get(lang) for by_lang in terms.values()] for lang in langs}
        if len(langs) > 1:
            rows["sum"] = [sum(by_lang.values()) for by_lang in terms.values()]
        for lang, losses in rows.items():
            recall = [_number(self._recall.get(lang), 1)] if self._recall else []
            table.add_row(lang, *(_number(loss, 3) for loss in losses), *recall)
        return table

    def _measures(self, seen: "Seen") -> str:
        words = [f"loss {seen.loss:.3f}", *seen.measures().values(), f"rate {seen.learning_rate:.2g}"]
        if seen.best_step:
            words.append(f"best R@10 {seen.best_recall:.1f} at step {seen.best_step}")
        return " · ".join(words)


@contextmanager
def shown_on(console: "Console") -> Iterator[Page]:
    """Keep a page in place on a terminal until the block ends; it stays there as it was last."""
    from rich.live import Live

    page = Page()
    with Live(page, console=console, refresh_per_second=4):
        yield page


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
