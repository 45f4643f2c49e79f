from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from polyreel.errors import VideoError
from polyreel.video.export import copy_moment, make_preview


@pytest.fixture
def greys(tmp_path: Path, write_video: Callable[..., Path]) -> Path:
    """Ten seconds at five frames a second, each second brighter than the one before, a key frame every two seconds."""
    frames = [np.full((48, 64, 3), 20 + 20 * (i // 5), np.uint8) for i in range(50)]
    return write_video(tmp_path / "greys.mp4", np.stack(frames), [i / 5 for i in range(50)], options={"g": "10"})


def brightness(path: Path) -> list[tuple[float, int]]:
    """Return time and mean brightness of every frame."""
    with av.open(str(path)) as container:
        return [(frame.time, round(frame.to_ndarray(format="rgb24").mean())) for frame in container.decode(video=0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_copied_moment_starts_at_the_key_frame_before_it(greys: Path, tmp_path: Path, suffix):
    copy_moment(greys, (5.0, 7.0), tmp_path / f"part{suffix}")
    shown = brightness(tmp_path / f"part{suffix}")
    starts = [frame.time for frame in key_frames(greys) if frame.time <= 5.0]
    assert shown[0][0] == pytest.approx(0.0, abs=0.05)
    assert shown[0][1] == pytest.approx(20 + 20 * int(max(starts)), abs=4)
    assert 7.0 - max(starts) - 0.3 <= shown[-1][0] + 0.2 <= 7.0 - max(starts) + 0.7


def key_frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return [frame for frame in container.decode(video=0) if frame.key_frame]


def test_a_preview_shows_the_moment_and_nothing_else(greys: Path, tmp_path: Path):
    make_preview(greys, (4.0, 6.0), tmp_path / "preview.mp4")
    shown = brightness(tmp_path / "preview.mp4")
    assert shown[0][1] == pytest.approx(100, abs=5)
    assert shown[-1][1] == pytest.approx(120, abs=5)
    assert shown[-1][0] == pytest.approx(2.0, abs=0.3)


def test_a_preview_is_small_upright_and_of_a_kind_every_browser_plays(tmp_path: Path, write_video):
    frames = np.zeros((6, 96, 900, 3), np.uint8)
    frames[:, :, 450:] = 255  # the right half is white
    lying = write_video(tmp_path / "phone.mp4", frames, [i / 2 for i in range(6)], rotation=90)
    make_preview(lying, (0.0, 3.0), tmp_path / "preview.mp4")
    with av.open(str(tmp_path / "preview.mp4")) as container:
        frame = next(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
        assert (frame.height, frame.format.name) == (360, "yuv420p")
        assert frame.width < frame.height
        picture = frame.to_ndarray(format="rgb24")
    assert abs(int(picture[:100].mean()) - int(picture[-100:].mean())) > 200


@pytest.mark.parametrize("take", [copy_moment, make_preview])
def test_what_is_no_video_is_named(tmp_path: Path, take):
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"no\.mp4: no moment can be taken out of it"):
        take(tmp_path / "no.mp4", (0.0, 1.0), tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_span_behind_the_end_has_no_picture(greys: Path, tmp_path: Path):
    with pytest.raises(VideoError, match="has no picture from 50 to 60 seconds"):
        make_preview(greys, (50.0, 60.0), tmp_path / "out.mp4")
