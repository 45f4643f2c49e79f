"""What is said is found as text, in languages with and without spaces between their words."""

from pathlib import Path

import pytest
from clip_rows import some_clips, some_embeddings

from polyreel.data.speech import Speech
from polyreel.search.encoder import SearchEncoder
from polyreel.search.filter import Filter
from polyreel.search.index import Index

SAID = {
    "zh": ("我们今天去海滩游泳", "海滩"),
    "ja": ("今日は海岸で泳ぎました", "海岸"),
    "th": ("วันนี้เราไปว่ายน้ำที่ชายหาด", "ชายหาด"),
    "ar": ("ذهبنا اليوم إلى الشاطئ للسباحة", "الشاطئ"),
    "hi": ("आज हम समुद्र तट पर तैरने गए", "समुद्र"),
    "de": ("Wir fahren über die Brücke zum Strand", "STRAND"),
}


def line(video: str, start: float, text: str, lang: str | None = None, lasts: float = 1.0) -> Speech:
    return Speech(video=video, start_seconds=start, end_seconds=start + lasts, text=text, lang=lang, source="a.srt")


@pytest.fixture
def index(tmp_path: Path, encoder: SearchEncoder) -> Index:
    index = Index.create(tmp_path / "index", encoder, tmp_path)
    lines = [line(f"{lang}.mp4", 5.0, text, lang) for lang, (text, _) in SAID.items()]
    clips = some_clips(*(f"{lang}.mp4" for lang in SAID), clips_each=2)
    index.add(clips, some_embeddings(len(clips)), encoder.fingerprint, speech=lines)
    return index


@pytest.mark.parametrize("is_compacted", [False, True])
def test_single_words_of_every_script_are_found(index: Index, is_compacted: bool) -> None:
    if is_compacted:
        index.compact()
    for lang, (_, word) in SAID.items():
        assert [found.hit.clip_id for found in index.find_speech(word)] == [f"{lang}.mp4#4"]


def test_accents_may_be_left_out(index: Index) -> None:
    assert [found.hit.clip_id for found in index.find_speech("brucke")] == ["de.mp4#4"]


def test_a_hit_says_what_is_said_and_where(index: Index, tmp_path: Path) -> None:
    [found] = index.find_speech("海滩")
    assert found.lines == (line("zh.mp4", 5.0, SAID["zh"][0], "zh"),)
    assert (found.hit.video, found.hit.start_seconds) == (tmp_path / "zh.mp4", 4.0)
    assert index.lines("zh.mp4#4") == found.lines
    assert index.lines("zh.mp4#0") == ()


def test_the_clip_that_says_more_of_it_comes_first_and_pages_follow(index: Index, encoder: SearchEncoder) -> None:
    lines = [line("x", 0, "a blue whale"), line("x", 4, "a whale"), line("x", 8, "nothing of it")]
    index.add(some_clips("x", clips_each=3), some_embeddings(3), encoder.fingerprint, speech=lines)
    assert [found.hit.clip_id for found in index.find_speech("blue whale")] == ["x#0", "x#4"]
    assert [found.hit.clip_id for found in index.find_speech("blue whale", 1, offset=1)] == ["x#4"]
    assert index.find_speech("blue whale", filter=Filter(videos=("de.mp4",))) == []


def test_a_line_belongs_to_every_clip_it_is_heard_in(index: Index, encoder: SearchEncoder) -> None:
    lines = [line("x", 3.5, "a long sentence", lasts=6.0), line("x", 12.0, "beyond the last clip")]
    index.add(some_clips("x", clips_each=3), some_embeddings(3), encoder.fingerprint, speech=lines)
    assert [len(index.lines(f"x#{start}")) for start in (0, 4, 8)] == [1, 1, 1]
    assert index.find_speech("beyond") == []


def test_what_a_video_says_goes_with_it(index: Index, encoder: SearchEncoder) -> None:
    index.add(some_clips("zh.mp4"), some_embeddings(1), encoder.fingerprint)
    assert index.find_speech("海滩") == []
    index.remove(["ja.mp4"])
    assert index.find_speech("海岸") == []


def test_wrong_questions_are_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="the query is empty; give a word that is said"):
        index.find_speech(" ")
    with pytest.raises(ValueError, match="k is 0 and offset 0; expected 1 or more, and 0 or more"):
        index.find_speech("x", 0)
    with pytest.raises(ValueError, match="k is 5 and offset -1; expected 1 or more, and 0 or more"):
        index.search("red", offset=-1)


def test_thumbnails_are_kept(index: Index, encoder: SearchEncoder) -> None:
    index.add(some_clips("x", clips_each=2), some_embeddings(2), encoder.fingerprint, thumbnails={"x#4": b"jpeg"})
    assert index.thumbnail("x#4") == b"jpeg"
    assert index.thumbnail("x#0") is None
    with pytest.raises(KeyError, match="there is no clip 'y#0'"):
        index.thumbnail("y#0")


def test_a_silent_index_finds_nothing_until_another_process_adds_speech(tmp_path: Path, encoder: SearchEncoder) -> None:
    reader = Index.create(tmp_path / "index", encoder, tmp_path)
    writer = Index.open(tmp_path / "index", encoder)
    writer.add(some_clips("x", clips_each=2), some_embeddings(2), encoder.fingerprint)
    assert reader.find_speech("whale") == []
    writer.add(some_clips("y", clips_each=1), some_embeddings(1), encoder.fingerprint, speech=[line("y", 0, "a whale")])
    assert [found.hit.clip_id for found in reader.find_speech("whale")] == ["y#0"]
    writer.remove(["y"])
    assert reader.find_speech("whale") == []
