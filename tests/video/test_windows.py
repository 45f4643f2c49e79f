from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyreel.errors import DataError
from polyreel.video.windows import fixed_windows, given_windows


def test_windows_cover_a_video() -> None:
    assert fixed_windows(10.5, length_seconds=4) == [(0, 4), (4, 8), (8, 10.5)]


def test_a_short_rest_belongs_to_the_window_before() -> None:
    assert fixed_windows(9, length_seconds=4) == [(0, 4), (4, 9)]


def test_a_shorter_video_is_one_window() -> None:
    assert fixed_windows(2, length_seconds=4) == [(0, 2)]


def test_windows_overlap_with_a_smaller_stride() -> None:
    assert fixed_windows(9, length_seconds=4, stride_seconds=2) == [(0, 4), (2, 6), (4, 9)]


@given(st.floats(0.01, 500), st.floats(0.5, 60), st.floats(0.1, 1))
def test_every_moment_is_in_a_window(duration: float, length: float, stride_share: float) -> None:
    windows = fixed_windows(duration, length_seconds=length, stride_seconds=length * stride_share)
    assert windows[0][0] == 0
    assert windows[-1][1] == duration
    assert all(later[0] <= earlier[1] for earlier, later in pairwise(windows))
    assert all(0 < end - start < 1.5 * length + 1e-6 for start, end in windows)


def test_gaps_between_windows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"windows of 4 seconds every 5 seconds; expected a stride above 0"):
        fixed_windows(10, length_seconds=4, stride_seconds=5)


def test_nothing_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="the duration is 0 seconds; expected more than 0"):
        fixed_windows(0, length_seconds=4)


def test_given_windows_are_read_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("video,start,end\na.mp4,0,2.5\nb.mp4,1,2\na.mp4,2.5,9\n")
    assert given_windows(tmp_path / "clips.csv") == {"a.mp4": [(0, 2.5), (2.5, 9)], "b.mp4": [(1, 2)]}


def test_a_given_window_that_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("video,start,end\na.mp4,0,2.5\na.mp4,3,2\n")
    with pytest.raises(DataError, match=r"clips.csv, line 3 says video 'a.mp4' from 3.0 to 2.0; expected a name"):
        given_windows(tmp_path / "clips.csv")
