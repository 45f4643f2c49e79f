import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from polyreel.errors import ItemsFailedError, VideoError
from polyreel.search.cuts import copy_moments, write_cut_list
from polyreel.search.hits import Hit
from polyreel.search.moments import Moment
from polyreel.video.decode import decode_frames, probe


def moment(video: Path, start: float, end: float, score: float = 0.5) -> Moment:
    peak = Hit(clip_id=f"{video.name}#{start:g}", video=video, start_seconds=start, end_seconds=end, score=score)
    return Moment(video=video, start_seconds=start, end_seconds=end, peak=peak, num_clips=1)


def write_film(path: Path, rate: int, num_frames: int) -> Path:
    """A grey that grows with every frame; every second begins with a key frame."""
    options = {"x264-params": f"keyint={rate}:scenecut=0:bframes=0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for grey in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey, np.uint8))))
        container.mux(stream.encode())
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten seconds at 25 frames a second."""
    return write_film(tmp_path / "a film.mp4", 25, 250)


def test_moments_become_files_that_show_them(film: Path, tmp_path: Path):
    calls: list[tuple[float, float, str]] = []
    moments = [moment(film, 4.0, 6.0), moment(film, 8.5, 9.5)]
    files = copy_moments(moments, tmp_path / "cuts", progress=lambda *call: calls.append(call))
    assert [file.name for file in files] == ["01 a film 0m04s.mp4", "02 a film 0m08s.mp4"]
    assert [probe(file).duration_seconds for file in files] == pytest.approx([2.0, 1.5], abs=0.1)
    assert [decode_frames(file, [0.0]).frames.mean() for file in files] == pytest.approx([100, 200], abs=3)
    assert [call[:2] for call in calls] == [(1, 2), (2, 2)]


def test_a_moment_whose_file_is_gone_does_not_stop_the_others(film: Path, tmp_path: Path):
    with pytest.raises(ItemsFailedError, match=r"copying moments to .*cuts: 1 failed, the rest is done") as caught:
        copy_moments([moment(tmp_path / "gone.mp4", 0, 1), moment(film, 0, 1)], tmp_path / "cuts")
    assert list(caught.value.failures) == ["01 gone 0m00s.mp4"]
    assert [file.name for file in (tmp_path / "cuts").iterdir()] == ["02 a film 0m00s.mp4"]


def test_a_spreadsheet_of_moments(film: Path, tmp_path: Path):
    write_cut_list(tmp_path / "hits.csv", [moment(film, 4.0, 6.04, 0.91234)])
    with (tmp_path / "hits.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {
            "place": "1",
            "score": "0.9123",
            "video": str(film),
            "start_seconds": "4.0",
            "end_seconds": "6.04",
            "peak_seconds": "4.0",
            "start": "00:00:04:00",
            "end": "00:00:06:01",
            "rate": "25.0",
        }
    ]


def test_an_edl_reads_back_as_it_was_meant(film: Path, tmp_path: Path):
    adapters = pytest.importorskip("opentimelineio.adapters", reason="needs OpenTimelineIO and its EDL adapter")
    write_cut_list(tmp_path / "hits.edl", [moment(film, 4.0, 6.0), moment(film, 1.0, 1.2)], title="ein\nroter Kreis")
    timeline = adapters.read_from_file(str(tmp_path / "hits.edl"), rate=25)
    assert timeline.name == "ein roter Kreis"
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == ["a film.mp4", "a film.mp4"]
    spans = [(clip.source_range.start_time.to_frames(), clip.source_range.duration.to_frames()) for clip in clips]
    assert spans == [(100, 50), (25, 5)]
    starts = [clip.range_in_parent().start_time.to_frames() for clip in clips]
    assert starts == [0, 50]
    assert "01:00:00:00 01:00:02:00" in (tmp_path / "hits.edl").read_text()


def test_an_otio_file_knows_rates_and_places_of_files(film: Path, tmp_path: Path):
    otio = pytest.importorskip("opentimelineio", reason="needs OpenTimelineIO")
    fast = write_film(tmp_path / "50 %.mkv", 50, 100)
    write_cut_list(tmp_path / "hits.otio", [moment(film, 4.0, 6.0, 0.9), moment(fast, 0.5, 1.5)])
    timeline = otio.adapters.read_from_file(str(tmp_path / "hits.otio"))
    one, other = timeline.find_clips()
    assert one.source_range == otio.opentime.TimeRange(
        otio.opentime.RationalTime(100, 25), otio.opentime.RationalTime(50, 25)
    )
    assert one.available_range().duration.to_seconds() == pytest.approx(10.0)
    assert other.source_range.start_time == otio.opentime.RationalTime(25, 50)
    assert other.media_reference.target_url == fast.as_uri()
    assert one.metadata["polyreel"]["score"] == 0.9


def test_the_cameras_timecode_is_where_a_list_counts_from(film: Path, tmp_path: Path):
    from polyreel.video.timecodes import read_clock

    coded = tmp_path / "coded.mov"
    with av.open(str(film)) as source, av.open(str(coded), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata["timecode"] = "10:00:00:05"
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert read_clock(coded).first_frame == 36000 * 25 + 5
    write_cut_list(tmp_path / "hits.edl", [moment(coded, 4.0, 6.0)])
    assert "10:00:04:05 10:00:06:05 01:00:00:00 01:00:02:00" in (tmp_path / "hits.edl").read_text()
    write_cut_list(tmp_path / "hits.otio", [moment(coded, 4.0, 6.0)])
    clip = json.loads((tmp_path / "hits.otio").read_text())["tracks"]["children"][0]["children"][0]
    assert clip["source_range"]["start_time"]["value"] == 36000 * 25 + 5 + 100


def test_lists_of_other_kinds_and_too_long_ones_are_refused(film: Path, tmp_path: Path):
    with pytest.raises(ValueError, match=r"hits.txt ends in .txt; expected one of .csv, .edl, .otio"):
        write_cut_list(tmp_path / "hits.txt", [])
    with pytest.raises(ValueError, match="1000 moments are to go into an EDL, which numbers at most 999"):
        write_cut_list(tmp_path / "hits.edl", [moment(film, 0, 1)] * 1000)
    with pytest.raises(VideoError, match=r"gone.mp4 cannot be read"):
        write_cut_list(tmp_path / "hits.csv", [moment(tmp_path / "gone.mp4", 0, 1)])


@pytest.mark.parametrize(
    ("code", "rate", "frame"),
    [
        ("00:00:10:00", Fraction(25), 250),
        ("01:00:00:00", Fraction(30000, 1001), 108000),
        ("01:00:00;00", Fraction(30000, 1001), 107892),
        ("00:01:00;02", Fraction(30000, 1001), 1800),
        ("00:10:00;00", Fraction(60000, 1001), 35964),
        ("nonsense", Fraction(25), None),
        ("1:2:3", Fraction(25), None),
    ],
)
def test_timecodes_are_read_with_and_without_numbers_left_out(code, rate, frame):
    from polyreel.video.timecodes import frame_of, timecode

    assert frame_of(code, rate) == frame
    if frame is not None and ";" not in code:
        assert timecode(frame, rate) == code
