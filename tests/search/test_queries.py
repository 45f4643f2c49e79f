"""Queries as people type them, and their sums."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clip_rows import some_clips, some_embeddings
from PIL import Image

from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import update_library
from polyreel.search.queries import LEFT_OUT, Part, embed_file, embed_query, parse_query
from polyreel.similarity import unit


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a red car", [("a red car", 1.0)]),
        ("beach -people", [("beach", 1.0), ("people", LEFT_OUT)]),
        ("-people beach -dogs at night", [("beach at night", 1.0), ("people", LEFT_OUT), ("dogs", LEFT_OUT)]),
        ('beach -"two people"', [("beach", 1.0), ("two people", LEFT_OUT)]),
        ('"beach"^2 "sunset" -"people"^3', [("beach", 2.0), ("sunset", 1.0), ("people", 3 * LEFT_OUT)]),
        ("ein T-Shirt bei -5 Grad - rot", [("ein T-Shirt bei -5 Grad - rot", 1.0)]),
        ("海滩 -人", [("海滩", 1.0), ("人", LEFT_OUT)]),
        ('"exactly this"', [("exactly this", 1.0)]),
        ('an open " quote', [('an open " quote', 1.0)]),
    ],
)
def test_what_is_typed_is_read(typed: str, expected: list[tuple[str, float]]) -> None:
    assert [(part.text, part.weight) for part in parse_query(typed)] == expected


def test_parts_are_added_up(encoder: SearchEncoder) -> None:
    red, blue = encoder.encode_text(["red", "blue"])
    np.testing.assert_allclose(embed_query("red -blue", encoder), unit((red + LEFT_OUT * blue)[None])[0], atol=1e-6)
    asked = embed_query([Part(text="red", weight=2.0), Part(text="blue")], encoder)
    np.testing.assert_allclose(asked, unit((2 * red + blue)[None])[0], atol=1e-6)
    np.testing.assert_array_equal(embed_query("red", encoder), red)


def test_what_is_left_out_is_not_found(tmp_path: Path, library: Path, encoder: SearchEncoder) -> None:
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    assert "more/both.mp4#4" not in {hit.clip_id for hit in index.search("red green -blue", 3)}
    assert index.search("blue", 1)[0].clip_id == "more/both.mp4#4"


def test_a_picture_and_a_video_find_what_looks_like_them(
    tmp_path: Path, library: Path, encoder: SearchEncoder, paint: Callable[..., Path]
) -> None:
    index = Index.create(tmp_path / "index", encoder, library)
    update_library(index, library, encoder)
    Image.new("RGB", (32, 32), "blue").save(tmp_path / "blue.png")
    for path in (tmp_path / "blue.png", paint(tmp_path / "blue.mp4", "blue")):
        assert index.search(embed_file(path, encoder), 1)[0].clip_id == "more/both.mp4#4"


def test_pages_follow_one_another_and_weak_hits_are_left_out(tmp_path: Path, encoder: SearchEncoder) -> None:
    index = Index.create(tmp_path / "index", encoder, tmp_path)
    embeddings = some_embeddings(30)
    index.add(some_clips("a", clips_each=30), embeddings, encoder.fingerprint)
    everything = index.search(embeddings[3], 30)
    pages = [hit for offset in range(0, 30, 7) for hit in index.search(embeddings[3], 7, offset=offset)]
    assert pages == everything
    assert index.search(embeddings[3], 5, offset=30) == []
    assert index.search(embeddings[3], 30, threshold=0.99) == everything[:1]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("-people", "the query only says what to leave out; say what the video shows"),
        ("  ", "the query is empty; say what the video shows"),
        ([], "the query is empty"),
        ([Part(text="red", weight=float("nan"))], "has no text or no finite weight; expected words and a number"),
        (np.ones(3, np.float32), r"the embedding has shape \[3\]; this index's have \[48\]"),
    ],
)
def test_wrong_queries_are_refused(tmp_path: Path, encoder: SearchEncoder, query: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Index.create(tmp_path / "index", encoder, tmp_path).search(query)


def test_a_picture_and_words_are_asked_together(tmp_path: Path, encoder: SearchEncoder) -> None:
    Image.new("RGB", (32, 32), "blue").save(tmp_path / "blue.png")
    like = embed_file(tmp_path / "blue.png", encoder)
    red, green = encoder.encode_text(["red", "green"])
    np.testing.assert_array_equal(embed_query(" ", encoder, like), like)
    np.testing.assert_allclose(embed_query("red", encoder, like), unit((red + like)[None])[0], atol=1e-6)
    found = embed_query("red -green", encoder, like)
    np.testing.assert_allclose(found, unit((red + LEFT_OUT * green + like)[None])[0], atol=1e-6)
    np.testing.assert_allclose(
        embed_query("-green", encoder, like), unit((LEFT_OUT * green + like)[None])[0], atol=1e-6
    )


def test_a_video_that_is_asked_with_may_be_too_long(tmp_path: Path, encoder: SearchEncoder, paint) -> None:
    film = paint(tmp_path / "film.mp4", "red", seconds_each=10.0)
    assert embed_file(film, encoder, most_seconds=11).shape == (encoder.dim,)
    with pytest.raises(ValueError, match="the video lasts 10 seconds; expected up to 5; ask with the part that you"):
        embed_file(film, encoder, most_seconds=5)
