"""All translations at rest, and the one that is chosen."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.clips import Caption, Clip, as_table
from polyreel.data.dataset import Dataset
from polyreel.data.translations import (
    TRANSLATION_SCHEMA,
    Translation,
    append_translations,
    chosen,
    judged,
    read_translations,
    translation_id,
    with_translations,
    write_translations,
)
from polyreel.errors import DataError

TEXTS = {"a#0": "a dog", "a#1": "a cat", "b#0": "a dog"}


def translated(caption_id, text, lang="de", model="one", **values):
    source = TEXTS[caption_id]
    key = translation_id("en", source, model, "", "{}")
    return Translation(
        caption_id=caption_id, lang=lang, translation_id=key, text=text, source_lang="en", source_text=source,
        model=model, **values,
    )  # fmt: skip


def table(*rows):
    return as_table(rows, TRANSLATION_SCHEMA)


@pytest.fixture
def dataset():
    clips = [Clip(clip_id=name, video=name, split="train", source=name) for name in "ab"]
    captions = [Caption(caption_id=key, clip_id=key[0], lang="en", text=text) for key, text in TEXTS.items()]
    return Dataset.build("small", clips, captions)


def shown(dataset, lang="de"):
    return [(row.caption_id, row.text) for row in dataset.iter_captions() if row.lang == lang]


def test_parts_make_one_table_that_other_tools_open(tmp_path):
    rows = [translated("a#0", "ein Hund"), translated("a#1", "eine Katze", score=0.5, reasons=("short",))]
    for row in rows:
        append_translations(tmp_path, [row])
    assert read_translations(tmp_path).equals(table(*rows))
    assert pq.read_table(tmp_path / "translations").num_rows == 2
    write_translations(tmp_path, read_translations(tmp_path))
    assert [path.name for path in (tmp_path / "translations").iterdir()] == ["part-00000.parquet"]
    assert read_translations(tmp_path).equals(table(*rows))


def test_a_dataset_without_translations_has_none(tmp_path):
    assert read_translations(tmp_path).equals(TRANSLATION_SCHEMA.empty_table())


def test_a_key_is_kept_once(tmp_path):
    with pytest.raises(DataError, match="translation row 1 repeats caption_id 'a#0', lang 'de', translation_id"):
        write_translations(tmp_path, [translated("a#0", "ein Hund"), translated("a#0", "ein Köter")])
    assert not (tmp_path / "translations").exists()


def test_equal_sentences_translated_alike_have_equal_ids():
    ids = {key: translated(key, "x").translation_id for key in TEXTS}
    assert ids["a#0"] == ids["b#0"] != ids["a#1"]
    assert translated("a#0", "x", model="two").translation_id != ids["a#0"]


def test_the_best_score_is_chosen_then_the_first():
    rows = table(
        translated("a#0", "first"), translated("a#0", "better", model="two", score=0.2),
        translated("a#1", "first"), translated("a#1", "second", model="two"),
        translated("b#0", "good", score=0.9), translated("b#0", "best, dropped", model="two", score=1.0, weight=0.0),
    )  # fmt: skip
    assert chosen(rows)["text"].to_pylist() == ["better", "first", "good"]
    assert chosen(rows, "two")["text"].to_pylist() == ["better", "second"]
    assert chosen(rows.slice(0, 0)).num_rows == 0
    with pytest.raises(DataError, match="there is no translation by 'three'; there are those by one, two"):
        chosen(rows, "three")


def test_a_verdict_is_put_in_and_decides():
    rows = table(translated("a#0", "ein Hund"), translated("a#1", "eine"))
    verdict = judged(rows, [0.9, None], [[], ["short"]], [1.0, 0.0])
    assert verdict.schema.equals(TRANSLATION_SCHEMA)
    assert verdict["reasons"].to_pylist() == [[], ["short"]]
    assert chosen(verdict)["text"].to_pylist() == ["ein Hund"]
    with pytest.raises(DataError, match=r"translation row 0 has the score 1.5; it is a number from 0 to 1"):
        judged(rows, [1.5, None], [[], []], [1.0, 1.0])
    with pytest.raises(DataError, match=r"translation row 1 has the weight nan"):
        judged(rows, [0.5, None], [[], []], [1.0, float("nan")])


def test_captions_are_machine_translated_and_weighted(dataset):
    rows = table(
        translated("b#0", "ein Hund", weight=0.5), translated("a#0", "ein Hund"), translated("a#0", "un chien", "fr")
    )
    more = with_translations(dataset, rows)
    assert more.langs == ("en", "de", "fr")
    added = list(more.iter_captions())[3:]
    assert [(row.caption_id, row.lang, row.clip_id, row.origin, row.weight) for row in added] == [
        ("a#0", "de", "a", "machine-translated", 1.0), ("a#0", "fr", "a", "machine-translated", 1.0),
        ("b#0", "de", "b", "machine-translated", 0.5),
    ]  # fmt: skip
    assert with_translations(more, rows).captions.equals(more.captions)


def test_what_people_wrote_stays(dataset):
    written = Caption(caption_id="a#0", clip_id="a", lang="de", text="der Hund")
    mixed = Dataset.build("mixed", dataset.iter_clips(), [*dataset.iter_captions(), written])
    more = with_translations(mixed, table(translated("a#0", "ein Hund"), translated("a#1", "eine Katze")))
    assert shown(more) == [("a#0", "der Hund"), ("a#1", "eine Katze")]


def test_choosing_again_replaces_what_was_chosen(dataset):
    rows = table(translated("a#0", "ein Hund"), translated("a#0", "der Köter", model="two"))
    more = with_translations(dataset, rows)
    assert shown(more) == [("a#0", "ein Hund")]
    assert shown(with_translations(more, rows, "two")) == [("a#0", "der Köter")]
    assert shown(with_translations(more, judged(rows, [0, 0], [[], []], [0, 0]))) == []


def test_translations_of_another_sentence_count_nothing(dataset):
    old = replace(translated("a#0", "ein Wolf"), source_text="a wolf")
    strange = replace(translated("a#0", "ein Hund"), caption_id="z#0")
    assert with_translations(dataset, table(old, strange)).captions.equals(dataset.captions)


def test_further_columns_of_captions_are_kept(dataset):
    noted = dataset.captions.append_column("note", pa.array(["x", "y", "z"]))
    more = with_translations(replace(dataset, captions=noted), table(translated("a#0", "ein Hund")))
    assert more.captions["note"].to_pylist() == ["x", "y", "z", None]
