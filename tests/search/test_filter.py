"""What a filter lets pass: rows in memory and the index on disk must agree with the plain loop."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from clip_rows import some_clips, some_embeddings

from polyreel.data.speech import Speech
from polyreel.search.encoder import SearchEncoder
from polyreel.search.filter import Between, Filter
from polyreel.search.index import Index
from polyreel.search.rows import IndexedClip, make_rows

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
VIDEOS = ("a.mp4", "a/b.mp4", "a/b c[1].mp4", "a/deep/it's 100%_(x).mp4", "ab/c.mov", "ab/c.mov.mp4")
FILTERS = {
    Filter(): {0, 1, 2, 3, 4, 5},
    Filter(path="a"): {1, 2, 3},
    Filter(path="a/"): {1, 2, 3},
    Filter(path="a/b.mp4"): {1},
    Filter(path="a/b c[1].mp4"): {2},
    Filter(path="a/deep/it's 100%_(x).mp4"): {3},
    Filter(path="*.mp4"): {0, 1, 2, 3, 5},
    Filter(path="a/*"): {1, 2, 3},
    Filter(path="a?/c.mov"): {4},
    Filter(path="*[1]*"): {2},
    Filter(path="nowhere"): set(),
    Filter(videos=("ab/c.mov", "a.mp4")): {0, 4},
    Filter(since=NOON): {2, 3, 4},
    Filter(until=NOON): {0, 1},
    Filter(min_seconds=20): {2, 3, 4},
    Filter(max_seconds=20, path="a"): {1, 2},
    Filter(min_seconds=20, max_seconds=20): {2},
    Filter(langs=("de",)): {0, 1},
    Filter(langs=("fr", "de")): {0, 1, 3},
    Filter(langs=("sw",)): set(),
}
BY_COLUMN = [
    (Filter(columns={"kind": "holiday"}), {0, 2}),
    (Filter(columns={"kind": ("holiday", "it's work")}), {0, 1, 2}),
    (Filter(columns={"kind": 3.0}), set()),
    (Filter(columns={"stars": 4}), {1}),
    (Filter(columns={"stars": Between(low=4)}), {1, 2}),
    (Filter(columns={"stars": Between(low=0, high=4)}), {0, 1}),
    (Filter(columns={"kind": Between(low=0)}), set()),
    (Filter(columns={"seen": True}), {1}),
    (Filter(columns={"unheard_of": "x"}), set()),
    (Filter(columns={"unheard_of": Between(low=0)}), set()),
]
ALL = [*FILTERS.items(), *BY_COLUMN]


def filtered_clips() -> list[IndexedClip]:
    columns = [{"kind": "holiday", "stars": 3}, {"kind": "it's work", "stars": 4, "seen": True}]
    columns += [{"kind": "holiday", "stars": 5.5, "seen": False}, {}, {}, {}]
    facts = [(-3600.0, 10.0), (-60.0, 10.0), (0.0, 20.0), (60.0, 30.0), (3600.0, 40.0), (None, None)]
    return [
        replace(clip, columns=own, video_seconds=lasts, date_seconds=None if ago is None else NOON.timestamp() + ago)
        for clip, own, (ago, lasts) in zip(some_clips(*VIDEOS), columns, facts, strict=True)
    ]


def speech_of_clips() -> list[Speech]:
    said = [(0, "de"), (1, "de"), (1, "en"), (3, "fr"), (4, None)]
    return [
        Speech(video=VIDEOS[video], start_seconds=1, end_seconds=2, text="words", lang=lang, source="x.srt")
        for video, lang in said
    ]


@pytest.mark.parametrize(("wanted", "expected"), ALL)
def test_rows_in_memory(wanted: Filter, expected: set[int]) -> None:
    rows = make_rows(filtered_clips(), some_embeddings(6), 48, speech_of_clips())
    assert set(np.flatnonzero(wanted.mask(rows)).tolist()) == expected


@pytest.fixture(scope="module")
def filtered_index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    from colour_model import ColourModel

    from polyreel.video.extractors.pixels import PixelExtractor

    encoder = SearchEncoder(model=ColourModel(), extractor=PixelExtractor())
    folder: Path = tmp_path_factory.mktemp("filtered")
    index = Index.create(folder / "index", encoder, folder)
    clips, embeddings = filtered_clips(), some_embeddings(6)
    index.add(clips[:1], embeddings[:1], encoder.fingerprint, speech=speech_of_clips())
    index.add(clips[1:], embeddings[1:], encoder.fingerprint, speech=speech_of_clips())
    return index


@pytest.mark.parametrize(("wanted", "expected"), ALL)
def test_the_index_finds_what_the_filter_lets_pass_and_all_of_it(
    filtered_index: Index, wanted: Filter, expected: set[int]
) -> None:
    hits = filtered_index.search(some_embeddings(1, seed=5)[0], 6, filter=wanted)
    assert {VIDEOS.index(hit.clip_id.removesuffix("#0")) for hit in hits} == expected
    said = filtered_index.find_speech("words", 6, filter=wanted)
    assert {VIDEOS.index(found.hit.clip_id.removesuffix("#0")) for found in said} == expected & {0, 1, 3, 4}


def test_ranges_that_end_before_they_start_are_refused() -> None:
    with pytest.raises(ValueError, match="range of seconds ends before it starts; exchange its ends"):
        Filter(min_seconds=3, max_seconds=2)
    with pytest.raises(ValueError, match="range of dates ends before it starts"):
        Filter(since=NOON, until=datetime(2023, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="range of stars ends before it starts"):
        Filter(columns={"stars": Between(low=3, high=2)})


def test_own_columns_are_named_plainly_and_hold_plain_values() -> None:
    with pytest.raises(ValueError, match="'my column' cannot name a column; expected a word of letters, digits and _"):
        replace(some_clips("a")[0], columns={"my column": 1.0})
    with pytest.raises(TypeError, match="None is a NoneType; an own column holds text, numbers, or true and false"):
        replace(some_clips("a")[0], columns={"x": None})
