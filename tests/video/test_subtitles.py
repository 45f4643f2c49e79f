"""Subtitles beside and inside real files."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from numbered import write_numbered

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.speech import SPEECH_FILE, Speech, read_speech
from polyreel.errors import DataError
from polyreel.video.subtitles import collect_speech, find_subtitle_files, read_subtitle_file, read_subtitles

SRT = "1\n00:00:00,500 --> 00:00:01,500\n<i>Kočka</i>\nspí.\n\n2\n00:01:02,000 --> 00:01:03,250\nPes štěká.\n"
VTT = "WEBVTT\n\n00:00.500 --> 00:01.500\n<v Anna>Kočka spí.\n\n01:02.000 --> 01:03.250 align:start\nPes štěká.\n"
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,ask Anna
Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\i1}Kočka{\\i0}\\Nspí.
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}
Dialogue: 0,0:01:02.00,0:01:03.25,Default,,0,0,0,,Pes štěká.
"""
LINES = [(0.5, 1.5, "Kočka spí."), (62.0, 63.25, "Pes štěká.")]


def lines(speech: list[Speech]) -> list[tuple[float, float, str]]:
    return [(row.start_seconds, row.end_seconds, row.text) for row in speech]


@pytest.mark.parametrize(("suffix", "content"), [("srt", SRT), ("vtt", VTT), ("ass", ASS)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
def test_text_files_of_any_kind_and_encoding(tmp_path: Path, suffix: str, content: str, encoding: str) -> None:
    file = tmp_path / f"film.{suffix}"
    file.write_bytes(content.encode(encoding))
    speech = read_subtitle_file(file, video="film.mp4", lang="cs")
    assert lines(speech) == LINES
    assert {(row.video, row.lang, row.source) for row in speech} == {("film.mp4", "cs", file.name)}


def test_files_belong_to_a_video_by_name_and_tell_their_language(tmp_path: Path) -> None:
    for name in (
        "film.srt",
        "film.cs.vtt",
        "film.pt-BR.forced.srt",
        "film.ces.ass",
        "film.part2.srt",
        "filmed.srt",
        "film.txt",
    ):
        (tmp_path / name).touch()
    found = [(file.name, lang) for file, lang in find_subtitle_files(tmp_path / "film.mp4")]
    assert found == [("film.ces.ass", "cs"), ("film.cs.vtt", "cs"), ("film.pt-BR.forced.srt", "pt"), ("film.srt", None)]


def mux_subtitles(path: Path, codec: str, texts: list[tuple[float, float, str]]) -> Path:
    """Write a video with a text track in Czech."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width = video.height = 16
        video.pix_fmt = "yuv420p"
        track = container.add_stream(codec)
        track.metadata["language"] = "ces"
        header = (
            ASS.split("[Events]")[0]
            + "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        )
        track.codec_context.subtitle_header = header.encode()
        track.time_base = Fraction(1, 1000)
        for time in range(30):
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for number, (start, end, text) in enumerate(texts):
            shown = av.subtitles.subtitle.SubtitleSet.create(
                text=f"{number},0,Default,,0,0,0,,{text}".encode(),
                start=0,
                end=round(1000 * (end - start)),
                pts=round(start * av.time_base),
            )
            packet = track.codec_context.encode_subtitle(shown)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = round(1000 * start)
            packet.duration = round(1000 * (end - start))
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "name"), [("mkv", "srt", "subrip"), ("mp4", "mov_text", "mov_text"), ("mkv", "ass", "ass")]
)
def test_text_tracks_inside_a_video_are_read(tmp_path: Path, suffix: str, codec: str, name: str) -> None:
    path = mux_subtitles(
        tmp_path / f"film.{suffix}", codec, [(0.5, 1.5, "{\\i1}Kočka{\\i0}\\Nspí."), (62.0, 63.25, "Pes štěká.")]
    )
    found = read_subtitles(path)
    assert found.skipped == ()
    assert lines(list(found.speech)) == LINES
    assert {(row.lang, row.source.split(" (")[0]) for row in found.speech} == {("cs", "track 1")}


def test_pictures_of_text_are_named_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "disc.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=1)
        video.width = video.height = 16
        video.pix_fmt = "yuv420p"
        container.add_stream("dvbsub")
        container.mux(video.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(video.encode())
    found = read_subtitles(path)
    assert found.speech == ()
    assert len(found.skipped) == 1
    assert "disc.mkv: track 1 (dvbsub) holds pictures of text, which are not read" in found.skipped[0]


def test_one_bad_source_does_not_stop_the_others(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "film.mp4", [0.0, 0.1])
    (tmp_path / "film.en.srt").write_text("no subtitles at all")
    (tmp_path / "film.cs.srt").write_text(SRT, encoding="utf-8")
    found = read_subtitles(path, "folder/film.mp4")
    assert lines(list(found.speech)) == LINES
    assert {row.video for row in found.speech} == {"folder/film.mp4"}
    (reason,) = found.skipped
    assert "film.en.srt has no line of text with a time; expected subtitles in the form of SRT" in reason


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.srt cannot be read \(No such file"):
        read_subtitle_file(tmp_path / "gone.srt", video="film.mp4")


def test_the_subtitles_of_a_folder_become_one_table(tmp_path: Path) -> None:
    for name in ("a/film.mp4", "b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_numbered(tmp_path / name, [0.0, 0.1])
    (tmp_path / "a" / "film.cs.srt").write_text(SRT, encoding="utf-8")
    (tmp_path / "b.srt").write_text("nothing")
    found = collect_speech(tmp_path, tmp_path / SPEECH_FILE)
    table = read_speech(tmp_path / SPEECH_FILE)
    assert table["video"].to_pylist() == ["a/film.mp4"] * 2
    assert table["text"].to_pylist() == [text for _, _, text in LINES]
    assert len(found.skipped) == 1


def test_speech_of_a_dataset_lies_beside_its_tables(tmp_path: Path) -> None:
    write_numbered(tmp_path / "film.mp4", [0.0, 0.1])
    (tmp_path / "film.srt").write_text(SRT, encoding="utf-8")
    clip = Clip(clip_id="1", video="film.mp4", split="all", source="film")
    dataset = Dataset.build("films", [clip], [], videos_folder=tmp_path).save(tmp_path / "films")
    collect_speech(dataset)
    assert read_speech(tmp_path / "films" / SPEECH_FILE).num_rows == 2
    with pytest.raises(DataError, match="dataset 'films' names no folder of video files, beside which"):
        collect_speech(Dataset.build("films", [clip], []), tmp_path / SPEECH_FILE)
    with pytest.raises(ValueError, match="has no place for speech; name a file"):
        collect_speech(tmp_path)
