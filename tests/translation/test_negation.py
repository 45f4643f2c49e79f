"""Negation kept, dropped, added; innocent words that look like one."""

import csv
from pathlib import Path

import pytest

from polyreel.translation.negation import NEGATION_LANGS, kept, negation_in

BY_HAND = Path(__file__).parents[2] / "benchmarks" / "negation.tsv"


@pytest.mark.parametrize(
    ("lang", "text", "found"),
    [
        ("en", "the man isn't here", "yes"),
        ("en", "a shirtless man", "maybe"),
        ("en", "a man", "no"),
        ("cs", "nemá čepici", "yes"),
        ("cs", "nese tašku nebo krabici pod nebem", "no"),
        ("cs", "nejsilnější nevěsta", "no"),
        ("cs", "neznámý muž", "maybe"),
        ("fr", "trois pas en avant", "maybe"),
        ("fr", "il n'est pas là", "yes"),
        ("de", "ein Mann und eine Frau unter Bäumen", "no"),
        ("zh", "他没有戴帽子", "yes"),
        ("ru", "мужчина без шляпы", "yes"),
        ("ru", "невеста смотрит на небо", "no"),
        ("xx", "not", None),
    ],
)
def test_negation_is_found(lang, text, found):
    assert negation_in(text, lang) == found


@pytest.mark.parametrize(
    ("english", "translated", "value"),
    [("yes", "no", 0.0), ("yes", "maybe", 1.0), ("no", "yes", 0.5), ("maybe", "yes", 1.0), ("no", "no", 1.0)],
)
def test_dropped_counts_more_than_added(english, translated, value):
    assert kept(english, translated)[0] == value


def test_the_set_written_by_hand_is_well_formed():
    with BY_HAND.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["lang"] for row in rows} == {"de", "fr", "cs", "it", "es"} <= set(NEGATION_LANGS)
    for row in rows:
        assert row["translation"].strip() and row["english"].strip()
        assert row["dropped"] != row["translation"]
        if row["dropped"]:
            assert negation_in(row["english"], "en") == "yes"
