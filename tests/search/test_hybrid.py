from pathlib import Path

import pytest

from polyreel.data.speech import Speech
from polyreel.search.encoder import SearchEncoder
from polyreel.search.filter import Filter
from polyreel.search.hits import Hit
from polyreel.search.hybrid import Answer, _coverage, alone, find_said, fuse
from polyreel.search.index import Index
from polyreel.search.library import update_library
from polyreel.search.moments import Moment


def moment(video: str, start: float, end: float, score: float = 0.5) -> Moment:
    peak = Hit(clip_id=f"{video}#{start:g}", video=Path(video), start_seconds=start, end_seconds=end, score=score)
    return alone(peak)


def said(place: int, one: Moment) -> Answer:
    line = Speech(video="x", start_seconds=one.start_seconds, end_seconds=one.end_seconds, text="so", source="s")
    return Answer(moment=one, said_place=place, lines=(line,))


def test_ranks_are_fused_by_hand():
    seen = [moment("a", 0, 4), moment("b", 0, 4), moment("c", 0, 4)]
    heard = [said(1, moment("d", 0, 1)), said(2, moment("c", 3, 5))]
    answers = fuse(seen, heard)
    assert [(one.moment.video.name, one.seen_place, one.said_place) for one in answers] == [
        ("c", 3, 2),
        ("a", 1, None),
        ("d", None, 1),
        ("b", 2, None),
    ]
    assert answers[0].fused == pytest.approx(1 / 63 + 1 / 62)
    assert answers[0].moment == seen[2] and answers[0].lines == heard[1].lines


def test_moments_that_only_touch_or_are_of_other_videos_stay_apart():
    assert len(fuse([moment("a", 0, 4)], [said(1, moment("a", 4, 6)), said(2, moment("b", 0, 4))])) == 3


@pytest.mark.parametrize(
    ("query", "text", "coverage"),
    [
        ("a red circle", "A lot of A", 1 / 10),
        ("a red circle", "the RED circle!", 9 / 10),
        ("mèo đen", "con meo đen", 1.0),
        ("你好鲸鱼", "他说你好", 1 / 3),
        ("大", "大きい", 0.0),
        ("...", "a", 0.0),
    ],
)
def test_coverage_is_the_part_of_the_querys_letters_that_is_heard(query, text, coverage):
    assert _coverage(query, text) == pytest.approx(coverage)


@pytest.fixture
def index(tmp_path: Path, library: Path, encoder: SearchEncoder, paint) -> Index:
    paint(library / "talk.mp4", "green", "green", "green")
    lines = (
        "1\n00:00:02,000 --> 00:00:05,000\nThe red tide is coming\n\n"
        "2\n00:00:06,000 --> 00:00:07,000\nsaid the green king\n\n"
        "3\n00:00:10,000 --> 00:00:11,000\nА это тёмная ночь\n"
    )
    (library / "talk.en.srt").write_text(lines)
    (library / "red.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nthe red one\n")
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    return index


def test_what_is_said_is_found_though_it_is_not_seen(index: Index):
    query_D = index.embed("red tide")
    (found,) = find_said(index, "red tide", query_D)
    assert (found.moment.video.name, found.moment.start_seconds, found.moment.end_seconds) == ("talk.mp4", 2.0, 5.0)
    assert [line.text for line in found.lines] == ["The red tide is coming"]
    assert found.moment.score == pytest.approx(
        next(hit.score for hit in index.search(query_D, 10) if hit.clip_id == found.moment.peak.clip_id)
    )
    answers = fuse([alone(hit) for hit in index.search(query_D, 3)], [found])
    assert answers[0].moment.video.name == "talk.mp4" or answers[1].moment.video.name == "talk.mp4"


def test_what_is_seen_and_said_comes_first(index: Index):
    query_D = index.embed("red")
    answers = fuse([alone(hit) for hit in index.search(query_D, 5)], find_said(index, "red", query_D))
    assert (answers[0].moment.video.name, answers[0].said_place is not None) == ("red.mp4", True)


def test_words_of_every_script_are_heard(index: Index):
    (found,) = find_said(index, "темная ночь", index.embed("x"))
    assert found.moment.start_seconds == 10.0
    assert find_said(index, "темная ночь", index.embed("x"), filter=Filter(path="more")) == []


def test_lines_that_follow_each_other_are_one_moment(index: Index):
    (found,) = find_said(index, "the king tide", index.embed("x"))[:1]
    assert found.moment.video.name == "talk.mp4"
    assert (found.moment.start_seconds, found.moment.end_seconds, len(found.lines)) == (2.0, 7.0, 2)


def test_a_common_word_brings_nothing_in(index: Index):
    assert find_said(index, "the elephant dances", index.embed("x")) == []
