import io
import re

import pytest

from polyreel.cli.progress import Lines, Pace, clock_time, shown
from polyreel.progress import silent


class Clock:
    """Time that passes when told."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_pace_counts_from_when_work_was_first_heard_of():
    clock = Clock()
    pace = Pace(clock)
    assert pace.note(40, 100) == ""  # resumed: the first 40 cost nothing
    clock.seconds += 10
    assert pace.note(60, 100) == "2/s, 0:20 left"


def test_great_speed_is_written_out():
    clock = Clock()
    pace = Pace(clock)
    pace.note(0, 30_000)
    clock.seconds += 1
    assert pace.note(30_000, 30_000) == "30,000/s, 0:00 left"


@pytest.mark.parametrize(("done", "total"), [(5, 100), (5, 50)], ids=["less done", "another total"])
def test_pace_starts_anew_with_another_piece_of_work(done, total):
    clock = Clock()
    pace = Pace(clock)
    pace.note(40, 100)
    clock.seconds += 10
    assert pace.note(done, total) == ""
    clock.seconds += 5
    assert pace.note(done + 10, total).startswith("2/s, ")


def test_lines_are_written_every_few_seconds_and_at_the_end():
    clock, stream = Clock(), io.StringIO()
    lines = Lines(stream, clock)
    for done in range(1, 101):
        clock.seconds += 0.125
        lines(done, 100, "learning, loss 0.5")
    assert stream.getvalue().splitlines() == [
        "  1%  1/100  learning, loss 0.5",
        " 41%  41/100  learning, loss 0.5  8/s, 0:07 left",
        " 81%  81/100  learning, loss 0.5  8/s, 0:02 left",
        "100%  100/100  learning, loss 0.5  8/s, 0:00 left",
    ]


def test_lines_without_a_total():
    stream = io.StringIO()
    Lines(stream, Clock())(0, 0, "looking for videos")
    assert stream.getvalue() == "looking for videos\n"


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end():
    stream = Terminal()
    with shown(stream=stream) as progress:
        progress(1, 4, "decoding [odd] name.mp4")
        progress(4, 4, "decoding [odd] name.mp4")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "100% 4/4" in text
    assert "decoding [odd] name.mp4" in text


def test_quiet_is_silent():
    with shown(is_quiet=True) as progress:
        assert progress is silent


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3600, "1:00:00"), (5025, "1:23:45")])
def test_clock_time(seconds, text):
    assert clock_time(seconds) == text
