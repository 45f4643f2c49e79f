from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from polyreel.errors import VideoError
from polyreel.video.decode import FrameBatch, decode_clips, decode_frames, find_videos, probe

WriteVideo = Callable[..., Path]
NUM_FRAMES = 16
EVEN_SECONDS = [i / 10 for i in range(NUM_FRAMES)]


def grey_frames() -> np.ndarray:
    """Frame i is grey 10 + 15 i all over, so a decoded picture tells which frame it was."""
    levels = 10 + 15 * np.arange(NUM_FRAMES, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (NUM_FRAMES, 48, 64, 3))


def which(frames: np.ndarray) -> list[int]:
    """Tell which of the grey frames these are."""
    return [round((frame.mean() - 10) / 15) for frame in frames]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "grey.mp4", grey_frames(), EVEN_SECONDS)


def damage(video: Path, packets: slice) -> None:
    """Overwrite the bytes of some packets."""
    with av.open(str(video)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(video.read_bytes())
    for first, size in places[packets]:
        data[first : first + size] = b"\xff" * size
    video.write_bytes(data)


def test_probe_measures(video: Path) -> None:
    found = probe(video)
    assert (found.width, found.height, found.codec) == (64, 48, "h264")
    assert found.duration_seconds == pytest.approx(1.6, abs=0.1)


def test_a_moment_shows_the_last_frame_not_after_it(video: Path) -> None:
    batch = decode_frames(video, [0.0, 0.1, 0.19, 0.31, 0.31, 1.55, 99.0])
    assert which(batch.frames) == [0, 1, 1, 3, 3, 15, 15]
    np.testing.assert_allclose(batch.pts_seconds, [0.0, 0.1, 0.1, 0.3, 0.3, 1.5, 1.5], atol=1e-3)
    assert batch.frames.shape == (7, 48, 64, 3)


def test_before_the_first_frame_the_first_is_shown(tmp_path: Path, write_video: WriteVideo) -> None:
    late = write_video(tmp_path / "late.mkv", grey_frames(), [at + 0.5 for at in EVEN_SECONDS])
    assert which(decode_frames(late, [-1.0, 0.2, 1.0]).frames)[0] == 0


def test_variable_frame_rates_follow_the_times(tmp_path: Path, write_video: WriteVideo) -> None:
    random = np.random.default_rng(3)
    seconds = np.round(np.cumsum(np.r_[0.0, random.choice([0.02, 0.1, 1.4], NUM_FRAMES - 1)]), 3)
    video = write_video(tmp_path / "variable.mp4", grey_frames(), seconds.tolist())
    asked = np.sort(random.uniform(0, seconds[-1] + 1, 60))
    expected = [max(i for i, at in enumerate(seconds) if at <= moment) for moment in asked]
    assert which(decode_frames(video, asked.tolist()).frames) == expected


def test_phone_videos_are_turned_upright(tmp_path: Path, write_video: WriteVideo) -> None:
    """The flag means: turn counterclockwise by so many degrees; a red left half comes to lie at the bottom."""
    half_red = np.zeros((NUM_FRAMES, 48, 64, 3), np.uint8)
    half_red[:, :, :32, 0] = 250
    video = write_video(tmp_path / "phone.mp4", half_red, EVEN_SECONDS, rotation=90)
    assert (probe(video).width, probe(video).height) == (48, 64)
    frame = decode_frames(video, [0.5]).frames[0]
    assert frame.shape == (64, 48, 3)
    assert frame[:30, :, 0].max() < 60
    assert frame[34:, :, 0].min() > 200
    assert decode_frames(video, [0.5], size=(20, 30)).frames.shape == (1, 30, 20, 3)


def test_frames_are_squeezed_into_the_wanted_size(video: Path) -> None:
    batch = decode_frames(video, [0.75], size=(10, 20))
    assert batch.frames.shape == (1, 20, 10, 3)
    assert which(batch.frames) == [7]


def test_clips_of_one_video_may_overlap_and_come_in_any_order(video: Path) -> None:
    found = dict(decode_clips(video, [[1.05, 1.25], [0.05, 1.15], [0.25]]))
    assert {clip: which(batch.frames) for clip, batch in found.items()} == {0: [10, 12], 1: [0, 11], 2: [2]}


def test_clips_come_when_their_last_frame_is_decoded(video: Path) -> None:
    assert [clip for clip, _ in decode_clips(video, [[1.05, 1.25], [0.05, 1.15], [0.25]])] == [2, 1, 0]


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_containers_tell_times_differently(tmp_path: Path, write_video: WriteVideo, suffix: str) -> None:
    """A transport stream starts late, and an AVI has decoding times only."""
    codec = "mpeg4" if suffix == "avi" else "libx264"
    video = write_video(tmp_path / f"grey.{suffix}", grey_frames(), EVEN_SECONDS, codec=codec)
    assert probe(video).duration_seconds == pytest.approx(1.6, abs=0.1)
    assert which(decode_frames(video, [0.05, 0.75, 1.55]).frames) == [0, 7, 15]


def test_a_bare_stream_has_neither_times_nor_duration(tmp_path: Path, write_video: WriteVideo) -> None:
    video = write_video(tmp_path / "bare.h264", grey_frames(), EVEN_SECONDS)
    assert probe(video).duration_seconds == pytest.approx(NUM_FRAMES / 25)
    assert which(decode_frames(video, [0.01, 0.21, 0.61]).frames) == [0, 5, 15]


def test_the_duration_of_a_file_cut_short_is_what_is_left(tmp_path: Path, write_video: WriteVideo) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (NUM_FRAMES, 48, 64, 3), dtype=np.uint8)
    video = write_video(tmp_path / "cut.mp4", noise, EVEN_SECONDS, options={"movflags": "faststart"})
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with av.open(str(video)) as container:
        assert container.duration / av.time_base > 1.4  # the header still promises all
    assert 0.3 < probe(video).duration_seconds < 1.2
    assert decode_frames(video, [9.0]).pts_seconds[0] < 1.2


def test_a_damaged_packet_costs_its_own_frame(tmp_path: Path, write_video: WriteVideo) -> None:
    video = write_video(tmp_path / "damaged.mp4", grey_frames(), EVEN_SECONDS, codec="mpeg4", options={"g": "1"})
    damage(video, slice(5, 6))
    assert which(decode_frames(video, [0.45, 0.65, 1.55]).frames) == [4, 6, 15]


def test_a_file_of_damaged_packets_is_refused(tmp_path: Path, write_video: WriteVideo) -> None:
    video = write_video(tmp_path / "dead.mp4", grey_frames(), EVEN_SECONDS)
    damage(video, slice(None))
    with pytest.raises(VideoError, match=r"dead.mp4 has no frame that can be decoded"):
        probe(video)
    with pytest.raises(VideoError, match=r"dead.mp4 has no frame that can be decoded"):
        decode_frames(video, [0.0])


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"text.mp4 cannot be decoded \(Invalid data found.*\); expected a video"):
        probe(tmp_path / "text.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"song.mp4 has no picture, only audio; expected a video"):
        probe(tmp_path / "song.mp4")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone.mp4 does not exist or is no file"):
        decode_frames(tmp_path / "gone.mp4", [0.0])


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("take:1.mp4").write_bytes(video.read_bytes())
    assert which(decode_frames(Path("take:1.mp4"), [0.45]).frames) == [4]


@pytest.mark.parametrize("seconds", [[], [1.0, 0.5]])
def test_moments_ascend(video: Path, seconds: list[float]) -> None:
    with pytest.raises(ValueError, match=r"frames are asked for at \[.*\] seconds; expected one or more, ascending"):
        decode_frames(video, seconds)


def test_videos_are_found_by_suffix_in_all_folders(tmp_path: Path) -> None:
    for name in ("b.MP4", "a/c.mkv", "notes.txt", ".hidden.mp4", ".cache/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)] == ["a/c.mkv", "b.MP4"]


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"has no video files; looked for \.3gp"):
        find_videos(tmp_path)
    with pytest.raises(VideoError, match="gone is no folder; expected one with video files"):
        find_videos(tmp_path / "gone")


@pytest.mark.parametrize(
    ("frames", "seconds", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), [0, 1], "frames are float32"),
        (np.zeros((0, 4, 4, 3), np.uint8), [], r"expected uint8 \[N, H, W, 3\], N at least 1"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0], r"2 frames have times of shape \[1\]; expected one each"),
        (np.zeros((2, 4, 4, 3), np.uint8), [1, 0], "times are not finite or fall"),
    ],
)
def test_a_batch_checks_itself(frames: np.ndarray, seconds: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameBatch(frames=frames, pts_seconds=np.array(seconds, np.float64))
