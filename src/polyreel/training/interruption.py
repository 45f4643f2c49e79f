"""Stopping between two steps, never within one.

A step moves weights, the optimizer's moments and the random state, one after the other. Stopped halfway, they are a
state that no run was ever in, and a run resumed from it would end elsewhere than one that was left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from signal import SIG_DFL, SIGINT, SIGTERM, Handlers, Signals, default_int_handler, getsignal, signal
from threading import current_thread, main_thread
from types import FrameType

_USUAL: Mapping[Signals, Callable[[int, FrameType | None], None] | Handlers] = {
    SIGINT: default_int_handler,
    SIGTERM: SIG_DFL,
}


class StopRequest:
    """Whether somebody asked to stop, by Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self.is_made = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the request, as the handler of a signal."""
        self.is_made = True


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Let Ctrl-C and SIGTERM wait for whoever looks at the request.

    Where a signal has not its usual effect in the first place (another thread, a handler of the caller's), it is left
    alone.
    """
    request = StopRequest()
    usual: list[Signals] = []
    if current_thread() is main_thread():
        usual = [number for number, default in _USUAL.items() if getsignal(number) is default]
    for number in usual:
        signal(number, request)
    try:
        yield request
    finally:
        for number in usual:
            signal(number, _USUAL[number])
