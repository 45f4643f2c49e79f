"""What cameras, phones and downloads are like: codecs, containers, times, shapes and colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered import SIDE, number_of, numbered, write_numbered
from PIL import Image

from polyreel.errors import VideoError
from polyreel.video.colour import to_bt709
from polyreel.video.decode import FrameRequest, decode_frames, open_video, probe, read_frames

EVEN_SECONDS = [i / 10 for i in range(24)]
CONTAINERS = {
    "libx264": ("mp4", "mkv", "mov", "ts", "avi"),
    "libx265": ("mp4", "mkv", "ts"),
    "libvpx-vp9": ("webm", "mkv", "mp4"),
    "libsvtav1": ("webm", "mp4"),
    "mpeg4": ("avi", "mp4", "mkv", "mov"),
    "mjpeg": ("avi", "mov", "mkv"),
}
QUICK = {
    "libx264": {"preset": "veryfast", "g": "12"},
    "libx265": {"preset": "ultrafast", "g": "12", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
    "libsvtav1": {"preset": "12", "g": "12", "svtav1-params": "lp=1"},
    "mpeg4": {"g": "12", "qscale": "3"},
    "mjpeg": {},
}


def write_codec(path: Path, codec: str, seconds: list[float]) -> Path:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return write_numbered(path, seconds, codec=codec, pix_fmt=pix_fmt, options=QUICK[codec])


PAIRS = [(codec, suffix) for codec, suffixes in CONTAINERS.items() for suffix in suffixes]


@pytest.mark.parametrize(("codec", "suffix"), PAIRS)
def test_codecs_and_containers_give_exact_frames_and_times(tmp_path: Path, codec: str, suffix: str) -> None:
    path = write_codec(tmp_path / f"video.{suffix}", codec, EVEN_SECONDS)
    assert probe(path).duration_seconds == pytest.approx(2.4, abs=0.1)
    batch = decode_frames(path, [0.0, 0.05, 0.31, 1.25, 1.75, 2.31])
    assert [number_of(frame) for frame in batch.frames] == [0, 0, 3, 12, 17, 23]
    np.testing.assert_allclose(batch.pts_seconds, [0.0, 0.0, 0.3, 1.2, 1.7, 2.3], atol=2e-3)


@pytest.fixture(scope="module")
def irregular_seconds() -> np.ndarray:
    """120 times of a phone that pauses: steps of a few hundredths to 4 seconds, 2 minutes in all."""
    steps = np.random.default_rng(5).choice([0.02, 0.1, 0.5, 1.4, 4.0], 119)
    return np.round(np.r_[0.0, np.cumsum(steps)], 3)


@pytest.fixture(scope="module", params=["h264", "open", "hevc", "vp9", "long"])
def irregular(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, irregular_seconds) -> Path:
    """The same frames in groups of several kinds, with pictures that refer forwards and backwards."""
    kinds = {
        "h264": ("mp4", "libx264", {"preset": "medium", "g": "10", "bf": "3", "b-pyramid": "normal"}),
        "open": ("mkv", "libx264", {"preset": "medium", "g": "10", "bf": "3", "x264-params": "open-gop=1"}),
        "hevc": ("mp4", "libx265", {"preset": "medium", "g": "10", "x265-params": "log-level=none"}),
        "vp9": ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "10", "lag-in-frames": "10"}),
        "long": ("mp4", "libx264", {"preset": "medium", "g": "1000", "bf": "3", "sc_threshold": "0"}),
    }
    suffix, codec, options = kinds[request.param]
    path = tmp_path_factory.mktemp("irregular") / f"{request.param}.{suffix}"
    return write_numbered(path, irregular_seconds.tolist(), codec=codec, options=options)


@pytest.mark.parametrize("num_moments", [3, 12, 60, 300])
def test_any_moments_of_irregular_videos_are_exact(irregular: Path, irregular_seconds, num_moments: int) -> None:
    """Far moments are sought, near ones decoded, and where nothing is wanted nothing is; the answer is the same."""
    random = np.random.default_rng(num_moments)
    moments = np.sort(random.uniform(0, irregular_seconds[-1] + 2, num_moments)).tolist()
    moments[1] = float(irregular_seconds[40])  # exactly when a frame comes
    moments.sort()
    expected = [int(np.searchsorted(irregular_seconds, at + 1e-6, "right")) - 1 for at in moments]
    batch = decode_frames(irregular, moments)
    assert [number_of(frame) for frame in batch.frames] == expected
    np.testing.assert_allclose(batch.pts_seconds, irregular_seconds[expected], atol=1e-3)


def test_groups_in_which_nothing_is_wanted_are_never_decoded(tmp_path: Path) -> None:
    """Every group but two is destroyed; who decodes a destroyed one notices."""
    seconds = [i / 5 for i in range(200)]
    path = write_numbered(tmp_path / "film.mp4", seconds, options={"g": "10", "keyint_min": "10", "sc_threshold": "0"})
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for first, size in [*packets[10:60], *packets[70:150], *packets[160:]]:
        content[first : first + size] = b"\xff" * size
    path.write_bytes(content)
    with open_video(path) as video:
        batches = read_frames(video, [FrameRequest(seconds=[0.5, 12.5, 13.1, 30.9])])
        assert [number_of(frame) for _, batch in batches for frame in batch.frames] == [2, 62, 65, 154]
        assert video.warnings == []


def test_frames_that_no_other_refers_to_can_be_passed_over(tmp_path: Path) -> None:
    options = {"g": "30", "bf": "1", "b-pyramid": "none", "b_strategy": "0", "sc_threshold": "0"}
    path = write_numbered(tmp_path / "b.mp4", EVEN_SECONDS, options=options)
    with open_video(path) as video:
        request = FrameRequest(seconds=[i / 10 + 0.05 for i in range(20)])
        (_, batch), *_ = read_frames(video, [request], only_references=True)
    shown = [number_of(frame) for frame in batch.frames]
    assert set(np.diff(shown)) == {0, 2}  # every other frame is passed over, and the one before it taken
    np.testing.assert_allclose(batch.pts_seconds, np.array(shown) / 10, atol=1e-3)


def test_several_sizes_come_of_one_pass_in_pieces(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "video.mp4", EVEN_SECONDS)
    requests = [
        FrameRequest(seconds=[0.15, 0.35, 0.55, 0.75, 0.95], size=(32, 16)),
        FrameRequest(seconds=[0.35, 0.75], size=(64, 64)),
    ]
    with open_video(path) as video:
        pieces = [(position, batch) for position, batch in read_frames(video, requests, batch_size=2)]
    assert [(position, [number_of(frame) for frame in batch.frames]) for position, batch in pieces] == [
        (0, [1, 3]),
        (0, [5, 7]),
        (1, [3, 7]),
        (0, [9]),
    ]
    assert {batch.frames.shape[1:] for _, batch in pieces} == {(16, 32, 3), (64, 64, 3)}


def test_cropping_keeps_the_middle_undistorted(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    frame = np.zeros((40, 120, 3), np.uint8)
    frame[:, 40:80] = 200
    write_frames(path, [frame], codec="ffv1", pix_fmt="yuv444p")
    assert decode_frames(path, [0.0], size=(20, 20), fit="crop").frames[0, :, 1:-1].min() > 190
    assert decode_frames(path, [0.0], size=(20, 20)).frames[0, :, :6].max() < 10


def write_frames(path: Path, frames: list[np.ndarray], *, codec: str, pix_fmt: str, **settings: object) -> Path:
    """Write frames in a source format (the array's own), with further settings of the codec's context."""
    source = settings.pop("source", "rgb24")
    options = settings.pop("options", {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format=source).reformat(format=pix_fmt, threads=1)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = tmp_path / "anamorphic.mp4"
    write_frames(path, [numbered(5)] * 3, codec="libx264", pix_fmt="yuv420p", sample_aspect_ratio=Fraction(2, 1))
    assert (probe(path).width, probe(path).height) == (128, 64)
    assert decode_frames(path, [0.0]).frames.shape == (1, 64, 128, 3)
    assert number_of(decode_frames(path, [0.1]).frames[0]) == 5


def test_one_half_of_an_interlaced_picture_is_shown(tmp_path: Path) -> None:
    """Even lines, of one moment, are white; odd lines, of the next, black. Mixed they would be grey."""
    combed = np.zeros((64, 64, 3), np.uint8)
    combed[::2] = 235
    options = {"x264-params": "tff=1", "flags": "+ildct+ilme", "crf": "1"}
    path = tmp_path / "broadcast.mkv"
    write_frames(path, [combed] * 3, codec="libx264", pix_fmt="yuv420p", options=options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    for size in (None, (32, 32)):
        assert decode_frames(path, [0.15], size=size).frames.min() > 215


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "gray", "yuv422p10le", "bgra", "gray16le"])
def test_odd_sizes_grey_and_ten_bits(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "odd.mkv"
    frame = np.full((17, 33, 3), 40, np.uint8)
    frame[:, 16:] = 200
    write_frames(path, [frame] * 2, codec="ffv1", pix_fmt=pix_fmt)
    assert (probe(path).width, probe(path).height) == (33, 17)
    shown = decode_frames(path, [0.1]).frames[0].astype(int)
    np.testing.assert_allclose(shown[:, :14], 40, atol=3)
    np.testing.assert_allclose(shown[:, 19:], 200, atol=3)


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    frame = np.full((32, 32, 4), 200, np.uint8)
    frame[:, :16, 3] = 0
    frame[:, 16:, 3] = 255
    path = write_frames(tmp_path / "alpha.mov", [frame] * 2, codec="qtrle", pix_fmt="argb", source="rgba")
    shown = decode_frames(path, [0.0]).frames[0]
    assert shown[:, :16].max() == 0
    assert shown[:, 16:].min() == 200


def test_a_still_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    for name in ("photo.jpg", "100%d.png", "photo.bmp"):
        Image.fromarray(numbered(77)).save(tmp_path / name)
        found = probe(tmp_path / name)
        assert (found.is_still, found.width, found.height) == (True, SIDE, SIDE)
        assert number_of(decode_frames(tmp_path / name, [0.0]).frames[0]) == 77


def test_an_animated_gif_keeps_its_times(tmp_path: Path) -> None:
    frames = [Image.fromarray(numbered(i)) for i in range(4)]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 500, 200, 300], loop=0)
    assert probe(path).duration_seconds == pytest.approx(1.1, abs=0.02)
    batch = decode_frames(path, [0.05, 0.3, 0.59, 0.65, 0.95])
    assert [number_of(frame) for frame in batch.frames] == [0, 1, 1, 2, 3]
    np.testing.assert_allclose(batch.pts_seconds, [0, 0.1, 0.1, 0.6, 0.8], atol=1e-3)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("flac", rate=8000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = SIDE
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(1))))
        container.mux(cover.encode())
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="mono")
        noise.sample_rate = 8000
        container.mux(sound.encode(noise))
        container.mux(sound.encode())
    with pytest.raises(VideoError, match=r"song.flac has no picture, only audio; expected a video"):
        probe(path)


@pytest.mark.parametrize("lie", [0, 1, 10**6])
def test_a_duration_in_the_header_is_not_believed(tmp_path: Path, lie: int) -> None:
    path = write_numbered(tmp_path / "lie.mp4", [i / 10 for i in range(40)])
    content = bytearray(path.read_bytes())
    for box in (b"mvhd", b"mdhd"):
        place = content.index(box) + 4 + 4 + 8  # version and flags, then two dates
        ticks = int.from_bytes(content[place : place + 4], "big")
        content[place + 4 : place + 8] = min(lie * ticks, 2**32 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    assert probe(path).duration_seconds == pytest.approx(4.0, abs=0.1)
    assert number_of(decode_frames(path, [3.95]).frames[0]) == 39


def test_hdr_by_hand() -> None:
    """Paper white of 203 cd/m2 is 0.5807 in PQ and about 0.75 in HLG; it becomes 0.9, rolled off, and 0.9^(1/2.4)."""
    white = round(255 * 0.9 ** (1 / 2.4))
    for transfer, signal in (("pq", 0.58069), ("hlg", 0.75)):
        grey = np.full((1, 1, 3), round(65535 * signal), np.uint16)
        np.testing.assert_allclose(to_bt709(grey, transfer), white, atol=1)
        assert to_bt709(np.zeros((1, 1, 3), np.uint16), transfer).max() == 0
        ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None].repeat(3, axis=2)
        shown = to_bt709(ramp, transfer).astype(int)
        assert (np.diff(shown[0, :, 0]) >= 0).all()
        assert shown[0, -1, 0] > 250
    mid = np.full((1, 1, 3), round(65535 * 0.38), np.uint16)  # 26.2 cd/m2 by the formula of ST 2084
    assert to_bt709(mid, "pq")[0, 0, 0] == pytest.approx(255 * (26.2 / 203) ** (1 / 2.4), abs=2)


@pytest.mark.parametrize(("number", "signal"), [(16, 0.58069), (18, 0.75)])
def test_hdr_files_are_shown_as_on_an_ordinary_screen(tmp_path: Path, number: int, signal: float) -> None:
    luma = round(64 + 876 * signal)  # ten bits, limited range
    frame = av.VideoFrame(64, 64, "yuv420p10le")
    for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=10, options={"x265-params": "log-level=none", "crf": "5"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, number, 9, 1
        for time in range(3):
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    np.testing.assert_allclose(decode_frames(path, [0.1]).frames, 244, atol=3)
