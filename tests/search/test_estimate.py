from pathlib import Path

import pytest

from polyreel.search.encoder import SearchEncoder
from polyreel.search.estimate import estimate_work


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def test_the_rest_is_taken_to_be_like_what_was_tried(encoder: SearchEncoder, library: Path) -> None:
    """Two clips of a file at most are tried; by this clock each file takes one second."""
    videos = sorted(library.rglob("*.mp4"))
    found = estimate_work(videos, encoder, clock=Clock())
    assert found is not None
    assert (found.num_videos, found.num_tried) == (3, 3)
    assert found.video_seconds == pytest.approx(2 + 4 + 8, rel=0.02)
    assert found.work_seconds == pytest.approx(3, rel=0.02)


def test_files_that_cannot_be_read_are_passed_over(encoder: SearchEncoder, library: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    assert estimate_work([broken], encoder) is None
    assert estimate_work([], encoder) is None
    found = estimate_work([broken, library / "red.mp4"], encoder)
    assert found is not None and (found.num_videos, found.num_tried) == (2, 1)


def test_trying_ends_after_a_while(encoder: SearchEncoder, library: Path, paint) -> None:
    videos = [paint(library / f"{number}.mp4", "red") for number in range(6)]
    ticks = iter([0.0, 0.0, 1.0, 100.0])
    found = estimate_work(videos, encoder, clock=lambda: next(ticks))
    assert found is not None and found.num_tried == 1
