"""Moments within a training, at which tests let things happen."""

import signal
import subprocess
import sys
import time
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


def killed_or_terminated(asked, folder, number, logged):
    """Train in a process of its own, into `cut` of a folder, and send it a signal once so many lines are logged.

    Returns:
        Its exit status, and what it said.
    """
    (folder / "recipe.toml").write_text(asked.to_toml())
    verb = [sys.executable, "-m", "polyreel.cli", "train", folder / "recipe.toml", "-o", folder / "cut", "-q"]
    process, path = subprocess.Popen(verb, stderr=subprocess.PIPE, text=True), folder / "cut" / "metrics.jsonl"
    while not (path.is_file() and len(path.read_bytes().splitlines()) >= logged):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    process.send_signal(number)
    _, said = process.communicate()
    return process.returncode, said
