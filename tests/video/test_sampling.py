import pytest

from polyreel.data.feature_settings import Sampling
from polyreel.video.sampling import frame_times


def test_moments_are_the_middles_of_equal_parts() -> None:
    assert frame_times((10, 12), Sampling(frames_per_second=2, min_frames=1)) == [10.25, 10.75, 11.25, 11.75]


def test_short_clips_get_enough_moments_and_long_ones_not_too_many() -> None:
    sampling = Sampling(frames_per_second=1, min_frames=4, max_frames=6)
    assert frame_times((0, 2), sampling) == [0.25, 0.75, 1.25, 1.75]
    assert len(frame_times((0, 100), sampling)) == 6


@pytest.mark.parametrize("span", [(2, 2), (3, 1), (-1, 1)])
def test_a_clip_ends_after_it_starts(span: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected a start of 0 or more, and a later end"):
        frame_times(span, Sampling())
