from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from polyreel.video.decode import FrameBatch, open_video
from polyreel.video.shots import ShotFinder, find_shots

pytest.importorskip("scenedetect", reason="needs the extra 'shots'")


def scenes(seconds: np.ndarray, cuts: list[float]) -> np.ndarray:
    """Draw another striped ground after each cut, with a bright bar that moves on."""
    shades = np.random.default_rng(4).integers(0, 255, (len(cuts) + 1, 12, 3), dtype=np.uint8)
    frames = np.empty((len(seconds), 72, 128, 3), np.uint8)
    for frame, at in zip(frames, seconds, strict=True):
        frame[:] = shades[np.searchsorted(cuts, at, "right")].repeat(6, axis=0)[:, None]
        frame[:, int(at * 9) % 120 :][:, :6] = 255
    return frames


def test_shots_are_cut_where_the_picture_changes(tmp_path: Path, write_video) -> None:
    seconds = np.arange(120) / 10
    video = write_video(tmp_path / "film.mp4", scenes(seconds, [3.0, 7.5]), seconds.tolist())
    with open_video(video) as opened:
        spans = find_shots(opened)
    assert [start for start, _ in spans] == pytest.approx([0.0, 3.0, 7.5], abs=0.11)
    assert spans[-1][1] == pytest.approx(12.0, abs=0.1)
    assert all(earlier[1] == later[0] for earlier, later in pairwise(spans))


def test_a_long_shot_is_cut_into_equal_parts() -> None:
    finder = ShotFinder(max_seconds=4.0)
    seconds = np.arange(100) / 10
    finder.add(FrameBatch(frames=scenes(seconds, []), pts_seconds=seconds))
    assert finder.spans(10.0) == [
        (0.0, pytest.approx(10 / 3)),
        (pytest.approx(10 / 3), pytest.approx(20 / 3)),
        (pytest.approx(20 / 3), 10.0),
    ]


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"shots of 5.0 to 2.0 seconds; expected both above 0, the least not above"):
        ShotFinder(min_seconds=5.0, max_seconds=2.0)
