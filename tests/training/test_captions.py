"""Captions written a few at a time are those that a table in memory gives."""

import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.models.tokens import Tokens
from polyreel.training.captions import tabulate

LANGS = ["it", "en", "sw"]


def by_letters(texts):
    return Tokens.from_lists([[ord(letter) for letter in text] for text in texts])


@pytest.fixture(scope="module")
def dataset():
    """Captions in no order, of clips of which some have none in a language or at all."""
    generator = np.random.default_rng(0)
    clips = [Clip(clip_id=f"c{number}", video="v", split="train", source=f"s{number}") for number in range(30)]
    captions = [
        Caption(
            caption_id=f"c{clip}#{sentence}",
            clip_id=f"c{clip}",
            lang=lang,
            text=f"{lang}{clip}.{sentence}é",
            weight=float(generator.random() + 0.1),
        )
        for clip in range(0, 28, 3)
        for sentence in range(clip % 5 + 1)
        for lang in ("en", "it", "sw", "de")
        if generator.random() < 0.7
    ]
    generator.shuffle(captions)
    return Dataset.build("shuffled", clips, captions)


def in_memory(dataset, langs):
    """The same table, by lists and dictionaries."""
    place = {clip_id: number for number, clip_id in enumerate(dataset.clip_ids)}
    rows = [row for row in dataset.captions.to_pylist() if row["lang"] in langs]
    rows.sort(key=lambda row: place[row["clip_id"]])
    number = {}
    for row in rows:
        number.setdefault(row["caption_id"], len(number))
    by_lang = {lang: [row for row in rows if row["lang"] == lang] for lang in langs}
    return place, number, rows, by_lang


@pytest.mark.parametrize("at_once", [1, 5, 10_000])
def test_all_arrays_are_those_of_lists_and_dictionaries(dataset, monkeypatch, at_once):
    monkeypatch.setattr("polyreel.training.captions.ROWS_AT_ONCE", at_once)
    table = tabulate(dataset, LANGS, by_letters)
    place, number, _, by_lang = in_memory(dataset, LANGS)
    assert table.clip_ids == list(place) and table.sentence_ids == list(number)
    first = [sum(place[name.split("#")[0]] < clip for name in number) for clip in range(31)]
    assert table.first_sentence_C.tolist() == first
    every = [row for lang in LANGS for row in by_lang[lang]]
    assert ["".join(map(chr, table.tokens.select([row]).ids)) for row in range(len(every))] == [
        r["text"] for r in every
    ]
    assert table.weight_N.tolist() == [row["weight"] for row in every]
    for lang, start in zip(LANGS, np.cumsum([0, *map(len, by_lang.values())]), strict=False):
        found, rows = table.by_lang[lang], by_lang[lang]
        assert found.first_row == start
        assert found.sentence_Q.tolist() == [number[row["caption_id"]] for row in rows]
        assert found.cumulative_weight_Q.tolist() == np.cumsum([row["weight"] for row in rows]).tolist()
        assert found.first_C.tolist() == [sum(place[row["clip_id"]] < clip for row in rows) for clip in range(31)]
        row_of = {row["caption_id"]: at for at, row in enumerate(rows)}
        assert found.row_of_sentence_S.tolist() == [row_of.get(name, -1) for name in number]
