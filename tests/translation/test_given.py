"""Translations somebody already has, as tables."""

import pytest

from polyreel.errors import DataError
from polyreel.translation.opening import open_translator
from polyreel.translation.translator import Sentence

SENTENCES = [Sentence(caption_id="a#0", text="a dog"), Sentence(caption_id="b#0", text="a dog")]


def given(tmp_path, content, name="texts.csv"):
    (tmp_path / name).write_text(content, encoding="utf-8")
    translator = open_translator(f"table:{tmp_path / name}")
    translator.check("en", "de")
    return translator


def test_by_caption_id(tmp_path):
    ours = given(tmp_path, "caption_id,en,de,fr\na#0,a dog,ein Hund,\nb#0,a dog,der Hund,un chien\n")
    assert ours(SENTENCES, "en", "de").texts == ("ein Hund", "der Hund")
    assert ours(SENTENCES, "en", "fr").texts == (None, "un chien")
    assert (ours.name, ours.shares_texts) == ("table:texts.csv", False)


def test_by_sentence(tmp_path):
    ours = given(tmp_path, "en\tde\na dog\tein Hund\na cat\teine Katze\n", "texts.tsv")
    assert ours(SENTENCES, "en", "de").texts == ("ein Hund", "ein Hund")


def test_a_corrected_table_is_another_revision(tmp_path):
    first = given(tmp_path, "caption_id,de\na#0,ein Hund\n").revision
    assert given(tmp_path, "caption_id,de\na#0,der Hund\n").revision != first


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"texts.csv, line 3 translates en 'a dog' to 'de' otherwise than .* line 2 does"
    ):
        given(tmp_path, "en,de\na dog,ein Hund\na dog,der Hund\n")
    with pytest.raises(
        DataError, match="neither a column 'caption_id' nor the sentences in a column 'en'; it has id, de"
    ):
        given(tmp_path, "id,de\na#0,ein Hund\n")
    with pytest.raises(DataError, match="has no column 'de'; it has caption_id, fr"):
        given(tmp_path, "caption_id,fr\na#0,un chien\n")
