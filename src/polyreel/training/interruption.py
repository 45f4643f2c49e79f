"""Ctrl-C between two steps, never within one.

A step moves weights, the optimizer's moments and the random state, one after the other. Stopped halfway, they are a
state that no run was ever in, and a run resumed from it would end elsewhere than one that was left alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGINT, default_int_handler, getsignal, signal
from threading import current_thread, main_thread


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block.

    Where Ctrl-C does not raise KeyboardInterrupt in the first place (another thread, a handler of the caller's), the
    block runs as it is.

    Raises:
        KeyboardInterrupt: at the end of a block in which Ctrl-C was pressed.
    """
    if current_thread() is not main_thread() or getsignal(SIGINT) is not default_int_handler:
        yield
        return
    pressed: list[int] = []
    signal(SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal(SIGINT, default_int_handler)
    if pressed:
        raise KeyboardInterrupt
