from pathlib import Path

import numpy as np
import pytest
from numbered import number_of, write_numbered

from polyreel.data.feature_settings import Sampling
from polyreel.video.decode import FrameRequest, open_video, read_frames
from polyreel.video.sampling import choose_moments, frame_times


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 seconds, 5 frames a second, with a key frame each 4 seconds."""
    options = {"g": "20", "keyint_min": "20", "sc_threshold": "0", "bf": "2"}
    return write_numbered(tmp_path_factory.mktemp("keyed") / "keyed.mp4", [i / 5 for i in range(200)], options=options)


def moments_of(path: Path, spans: list[tuple[float, float]], sampling: Sampling) -> list[list[float]]:
    with open_video(path) as video:
        return [[round(at, 3) for at in moments] for moments in choose_moments(video, spans, sampling)]


def test_moments_are_the_middles_of_equal_parts() -> None:
    assert frame_times((10, 12), Sampling(frames_per_second=2, min_frames=1)) == [10.25, 10.75, 11.25, 11.75]


def test_short_clips_get_enough_moments_and_long_ones_not_too_many() -> None:
    sampling = Sampling(frames_per_second=1, min_frames=4, max_frames=6)
    assert frame_times((0, 2), sampling) == [0.25, 0.75, 1.25, 1.75]
    assert len(frame_times((0, 100), sampling)) == 6


def test_every_so_many_seconds_is_exactly_that() -> None:
    assert frame_times((3, 9.3), Sampling.every(2.0)) == [4.0, 6.0, 8.0]
    assert frame_times((0, 0.3), Sampling.every(2.0)) == [0.15]


def test_so_many_frames_of_any_clip() -> None:
    assert frame_times((0, 6), Sampling.uniform(3)) == [1.0, 3.0, 5.0]
    assert len(frame_times((0, 7200), Sampling.uniform(12))) == 12


@pytest.mark.parametrize("span", [(2, 2), (3, 1), (-1, 1)])
def test_a_clip_ends_after_it_starts(span: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected a start of 0 or more, and a later end"):
        frame_times(span, Sampling())


def test_key_frames_are_taken_where_they_are(keyed: Path) -> None:
    spans = [(0.0, 40.0), (5.0, 13.0)]
    chosen = moments_of(keyed, spans, Sampling.key_frames())
    assert chosen == [[4.0 * i for i in range(10)], [8.0, 12.0]]
    with open_video(keyed) as video:
        requests = [FrameRequest(seconds=moments) for moments in choose_moments(video, spans, Sampling.key_frames())]
        found = {position: batch for position, batch in read_frames(video, requests)}
    assert [number_of(frame) for frame in found[0].frames] == [20 * i for i in range(10)]
    np.testing.assert_allclose(found[1].pts_seconds, [8.0, 12.0], atol=1e-3)


def test_of_many_key_frames_one_in_so_many_seconds_is_taken(keyed: Path) -> None:
    assert moments_of(keyed, [(0.0, 40.0)], Sampling.key_frames(at_most_every=8.0)) == [[0.0, 8.0, 16.0, 24.0, 32.0]]
    few = Sampling.key_frames().model_copy(update={"max_frames": 3})
    assert moments_of(keyed, [(0.0, 40.0)], few) == [[0.0, 12.0, 24.0]]


def test_where_key_frames_are_too_sparse_the_clip_is_looked_at_by_time(keyed: Path) -> None:
    assert moments_of(keyed, [(5.0, 7.0)], Sampling.key_frames()) == [[5.5, 6.5]]  # there is none in it
    least = Sampling.key_frames().model_copy(update={"min_frames": 4})
    assert moments_of(keyed, [(0.0, 8.0)], least) == [[i + 0.5 for i in range(8)]]  # two are less than four
    dense = Sampling.key_frames(max_gap_seconds=2.0)
    assert moments_of(keyed, [(0.0, 12.0)], dense) == [[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]]  # the gaps are filled


def test_a_still_picture_has_one_moment(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    assert moments_of(tmp_path / "still.png", [(0.0, 0.04)], Sampling()) == [[0.003]]
