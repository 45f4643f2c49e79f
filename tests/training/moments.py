"""Moments within a training, at which tests let things happen."""

import signal
from contextlib import contextmanager

from torch.nn.modules.module import register_module_forward_hook

from polyreel.models.video import VideoTower


@contextmanager
def when_clips_are_read_for_the(time, happens):
    """Let something happen when clips are embedded for the n-th time: a step does so once, and so does a validation."""
    read = []

    def count(module, *_):
        if isinstance(module, VideoTower):
            read.append(module)
            if len(read) == time:
                happens()

    hook = register_module_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def send_sigterm():
    signal.raise_signal(signal.SIGTERM)


def stop_after(step):
    """Return a progress that presses Ctrl-C after so many of 30 steps."""

    def interrupt(done, total, doing):
        if (done, total) == (step, 30):
            raise KeyboardInterrupt

    return interrupt
