from pathlib import Path

import pytest

from polyreel.data.speech import SPEECH_FILE, SPEECH_SCHEMA, Speech, read_speech, speech_between, write_speech
from polyreel.errors import DataError


def line(video: str, start: float, end: float, text: str) -> Speech:
    return Speech(video=video, start_seconds=start, end_seconds=end, text=text, lang="cs", source="film.cs.srt")


def test_lines_are_kept_in_order_and_found_by_clip(tmp_path: Path) -> None:
    rows = [line("b.mp4", 0, 2, "dva"), line("a.mp4", 5, 7, "tři"), line("a.mp4", 1, 3, "jedna")]
    write_speech(tmp_path / SPEECH_FILE, rows)
    table = read_speech(tmp_path / SPEECH_FILE)
    assert table.schema.names == SPEECH_SCHEMA.names
    assert table["text"].to_pylist() == ["jedna", "tři", "dva"]
    assert list(speech_between(table, "a.mp4", 2.5, 5.0)) == [rows[2]]  # half-open: the clip ends where "tři" begins
    assert [row.text for row in speech_between(table, "a.mp4", 2.5, 5.1)] == ["jedna", "tři"]


def test_no_lines_are_a_table_too(tmp_path: Path) -> None:
    write_speech(tmp_path / SPEECH_FILE, [])
    assert read_speech(tmp_path / SPEECH_FILE).num_rows == 0


def test_empty_lines_are_refused() -> None:
    with pytest.raises(ValueError, match=r"speech from 3 to 3 seconds in film.cs.srt; expected a start of 0 or more"):
        line("a.mp4", 3, 3, "nic")
    with pytest.raises(ValueError, match="speech without words at 1 seconds"):
        line("a.mp4", 1, 2, " ")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"speech.parquet does not exist"):
        read_speech(tmp_path / SPEECH_FILE)
