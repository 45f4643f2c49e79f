"""How long work tells what it is doing.

The core prints nothing: whoever starts long work may hand it a `Progress`, which is called now and then. The command
line draws a bar with it, or plain lines where there is no terminal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called with how much is done."""

    def __call__(self, done: float, total: float, doing: str) -> None:
        """Tell that `done` of `total` units are done, and in a few words what is being done now."""


def silent(done: float, total: float, doing: str) -> None:
    """Tell nobody."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from drawing progress bars while it loads."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()
