from pathlib import Path

import numpy as np
import pytest
from colour_model import ColourModel

from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import open_library, update_library
from polyreel.search.strength import (
    BACKGROUND_FILE,
    KEPT_FILE,
    Strengths,
    background_bank,
    background_queries,
    band_of,
)
from polyreel.similarity import QueryBank, share_below
from polyreel.storage import read_json, write_json
from polyreel.video.extractors.pixels import PixelExtractor


@pytest.fixture
def index(encoder: SearchEncoder, library: Path, tmp_path: Path) -> Index:
    index = open_library(tmp_path / "index", library, encoder)
    update_library(index, library, encoder)
    return index


def test_a_share_counts_what_is_lower_and_half_of_what_is_equal() -> None:
    background = np.array([0.3, 0.1, 0.2, 0.2])
    found = share_below(np.array([0.0, 0.1, 0.2, 0.25, 0.9]), background)
    assert found.tolist() == [0.0, 0.125, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="there is no background to compare scores with"):
        share_below(np.array([0.5]), np.array([]))


def test_the_background_says_the_same_in_every_language_of_the_interface() -> None:
    queries = background_queries()
    assert {"en", "de", "es", "fr", "zh", "ar"} <= queries.keys()
    assert {len(texts) for texts in queries.values()} == {64}
    assert all(len({*texts}) == len(texts) for texts in queries.values())
    assert all(text == text.strip() != "" for texts in queries.values() for text in texts)


@pytest.mark.parametrize(
    ("query", "lang", "band"), [("red", "en", "strong"), ("rot", "de", "strong"), ("tax", "en", "weak")]
)
def test_what_is_there_is_strong_and_what_is_not_is_weak(index: Index, query: str, lang: str, band: str) -> None:
    """To the model of these tests whatever is no colour is grey, which no clip is."""
    best = index.search(query, 1)[0]
    assert band_of(Strengths(index).of([best.score], lang)[0]) == band


def test_strength_rises_with_the_score_and_an_unknown_language_is_judged_by_all(index: Index) -> None:
    strengths = Strengths(index)
    scores = [hit.score for hit in index.search("red", 4)]
    for lang in ("en", "sw", None):
        found = strengths.of(scores, lang)
        assert found == sorted(found, reverse=True) and 0 <= found[-1] <= found[0] <= 1
    assert strengths.of(scores, "sw") == strengths.of(scores, None)
    assert strengths.of([], "en") == []


def test_the_bank_is_kept_beside_the_model_and_made_anew_for_another(tmp_path: Path) -> None:
    first = SearchEncoder(model=ColourModel(), extractor=PixelExtractor(), model_folder=tmp_path)
    made = background_bank(first)
    kept = QueryBank.open(tmp_path, first.model.fingerprint, BACKGROUND_FILE)
    np.testing.assert_allclose(kept.rows("de"), made.rows("de"), atol=1e-3)
    stamp = (tmp_path / BACKGROUND_FILE).stat().st_mtime_ns
    background_bank(first)
    assert (tmp_path / BACKGROUND_FILE).stat().st_mtime_ns == stamp
    other = SearchEncoder(model=ColourModel(seed=1), extractor=PixelExtractor(), model_folder=tmp_path)
    assert background_bank(other).model == other.model.fingerprint
    assert QueryBank.open(tmp_path, other.model.fingerprint, BACKGROUND_FILE).model == other.model.fingerprint


def test_the_background_is_asked_again_when_the_index_has_grown(
    index: Index, library: Path, encoder: SearchEncoder, paint
) -> None:
    strengths = Strengths(index)
    grey = float(index.search("tax", 1)[0].score)
    assert strengths.of([grey], "en")[0] < 0.6
    paint(library / "grey.mp4", "grey")
    update_library(index, library, encoder)
    assert strengths.of([grey], "en")[0] < 0.6, "who asks does not wait for it"
    strengths.refresh("en")
    assert strengths.of([grey], "en")[0] < 0.1


def test_what_the_background_got_is_kept_with_the_index(index: Index, encoder: SearchEncoder) -> None:
    first = Strengths(index)
    scores = [hit.score for hit in index.search("red", 4)]
    wanted = first.of(scores, "de")
    kept = index.folder / KEPT_FILE
    assert read_json(kept)["best"].keys() == {"de"}
    asked: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return encoder.encode_text(texts)

    assert Strengths(index, encode).of(scores, "de") == wanted
    assert asked == [], "nothing is asked again"
    first.refresh()
    assert read_json(kept)["best"].keys() == background_queries().keys()
    Strengths(index, encode).refresh()
    assert asked == []
    kept.write_text('{"schema_version": 1, "best"')
    assert Strengths(index, encode).of(scores, "de") == wanted
    assert len(asked) == 64 * len(background_queries())


def test_what_another_model_got_is_not_taken(index: Index) -> None:
    scores = [hit.score for hit in index.search("red", 4)]
    wanted = Strengths(index).of(scores, "en")
    kept = read_json(index.folder / KEPT_FILE)
    write_json(index.folder / KEPT_FILE, {**kept, "best": {"en": {"num_clips": len(index), "scores": [2.0]}}})
    assert Strengths(index).of(scores, "en") == [0.0] * len(scores)
    write_json(index.folder / KEPT_FILE, {**read_json(index.folder / KEPT_FILE), "encoder_fingerprint": "another"})
    assert Strengths(index).of(scores, "en") == wanted
