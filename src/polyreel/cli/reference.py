"""The page docs/cli.md, written from the verbs' own help, so that it cannot say anything else.

Run as `python -m polyreel.cli.reference docs/cli.md`, which is what `make docs` does.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from typer import Typer

from polyreel.cli.app import app

WIDTH = 100

_HEAD = """\
# The command line

Written by `make docs` from `polyreel --help`; a test keeps it current. Exit status: 0 done, 1 some items failed (they
are listed), 2 the call was wrong, 130 stopped by Ctrl-C. Results go to standard output, progress and errors to standard
error.
"""


def reference() -> str:
    """Return the page as Markdown: the help of `polyreel` and of every verb."""
    calls = [(), *verbs(app)]
    return _HEAD + "".join(
        f"\n## polyreel {' '.join(words)}".rstrip() + f"\n\n```text\n{help_of(words)}```\n" for words in calls
    )


def verbs(table: Typer, group: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every verb, such as `("import", "tables")`."""
    for command in table.registered_commands:
        yield (*group, str(command.name))
    for inner in table.registered_groups:
        if inner.typer_instance is not None:
            yield from verbs(inner.typer_instance, (*group, str(inner.name)))


def help_of(words: tuple[str, ...]) -> str:
    """Return what `polyreel WORDS --help` prints, as wide as the page."""
    printed = StringIO()
    with redirect_stdout(printed):
        app([*words, "--help"], prog_name="polyreel", standalone_mode=False, terminal_width=WIDTH)
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
