"""Verdicts on a dataset: where they stand, what follows from them, and who chooses after them."""

from datetime import UTC, datetime

import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.translations import Translation, append_translations, read_translations, translation_id
from polyreel.errors import DataError
from polyreel.translation.judging import back_through, judge
from polyreel.translation.quality_settings import QualitySettings
from polyreel.translation.rating import rate, with_quality
from polyreel.translation.summary import summarise
from polyreel.translation.translator import Translated

GOOD = {"a#0": ("two red dogs", "zwei rote Hunde"), "a#1": ("a man runs", "ein Mann rennt")}
BAD = {"b#0": ("three cats sleep", "vier Katzen schlafen")}
SETTINGS = QualitySettings(without=("language",))


def caption(caption_id, lang, text, origin="human"):
    return Caption(caption_id=caption_id, clip_id=caption_id[0], lang=lang, text=text, origin=origin)


@pytest.fixture
def dataset(tmp_path):
    """Two good captions and one with another number; one without an English sentence; features."""
    clips = [Clip(clip_id=name, video=name, split=split, source=name) for name, split in (("a", "train"), ("b", "val"))]
    captions = [caption(key, "en", english) for key, (english, _) in (GOOD | BAD).items()]
    captions += [caption(key, "de", text, "machine-translated") for key, (_, text) in (GOOD | BAD).items()]
    captions.append(caption("b#7", "de", "ganz allein"))
    made = Dataset.build("small", clips, captions).save(tmp_path / "small")
    with FeatureWriter(made.features_folder("one"), FeatureSettings.imported("one", 2)) as writer:
        writer.add("a", np.ones((3, 2)))
    return made


def column(dataset, name):
    captions = dataset.captions
    keys = zip(captions["caption_id"].to_pylist(), captions["lang"].to_pylist(), strict=True)
    return dict(zip(keys, captions[name].to_pylist(), strict=True))


def test_only_translations_of_a_sentence_are_judged(dataset):
    verdicts = rate(dataset, SETTINGS)
    assert verdicts.pairs["caption_id"].to_pylist() == ["a#0", "a#1", "b#0"]
    assert verdicts.quality.score_N.tolist() == [1, 1, 0]
    assert verdicts.quality.reasons[2] == ("3 became 4",)
    assert verdicts.rows_of(dataset.captions).tolist() == [-1, -1, -1, 0, 1, 2, -1]


def test_a_split_can_be_judged_alone(dataset):
    assert rate(dataset, SETTINGS, split="train").pairs["caption_id"].to_pylist() == ["a#0", "a#1"]


def test_a_flag_changes_no_weight_and_no_row(dataset):
    flagged = with_quality(dataset, rate(dataset, SETTINGS), "flag")
    assert set(column(flagged, "weight").values()) == {1.0}
    assert column(flagged, "score")["b#0", "de"] == 0.0
    assert column(flagged, "score")["b#7", "de"] is None
    assert column(flagged, "score")["a#0", "en"] is None
    assert column(flagged, "reasons")["b#0", "de"] == ["3 became 4"]
    assert flagged.fingerprint == dataset.fingerprint


def test_a_weight_is_the_score_and_never_nothing(dataset):
    verdicts = rate(dataset, SETTINGS)
    weighed = with_quality(dataset, verdicts, "weight")
    assert column(weighed, "weight")["b#0", "de"] == pytest.approx(SETTINGS.least_weight)
    assert column(weighed, "weight")["a#0", "de"] == column(weighed, "weight")["b#0", "en"] == 1.0
    again = with_quality(weighed, verdicts, "weight")
    assert again.captions.equals(weighed.captions), "judging twice counts once"


def test_what_is_poor_can_be_dropped(dataset):
    left = with_quality(dataset, rate(dataset, SETTINGS), "drop")
    assert ("b#0", "de") not in column(left, "text")
    assert left.captions.num_rows == dataset.captions.num_rows - 1


def test_judge_writes_a_dataset_with_the_features_of_the_old(dataset, tmp_path):
    judged, _ = judge(dataset, tmp_path / "new", "weight", SETTINGS)
    assert Dataset.open(tmp_path / "new").features("one")["a"].shape == (3, 2)
    assert column(Dataset.open(tmp_path / "new"), "reasons")["b#0", "de"] == ["3 became 4"]
    assert judged.fingerprint != dataset.fingerprint


def test_judge_overwrites_nothing(dataset, tmp_path):
    with pytest.raises(DataError, match="small is there already; name another folder"):
        judge(dataset, tmp_path / "small", "flag")
    in_memory = Dataset.build("loose", dataset.clips, dataset.captions)
    with pytest.raises(ValueError, match="dataset 'loose' is in memory only"):
        judge(in_memory, tmp_path / "new", "flag")


def test_nothing_to_judge_is_an_error(dataset):
    with pytest.raises(DataError, match=r"has no caption in another language with an English sentence; .* in en"):
        rate(dataset.in_langs(["en"]))


def translated(caption_id, source_text, text, model):
    return Translation(
        caption_id=caption_id,
        lang="de",
        translation_id=translation_id("en", source_text, model, "", "{}"),
        text=text,
        source_lang="en",
        source_text=source_text,
        model=model,
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_of_several_models_the_better_text_is_chosen(dataset, tmp_path):
    poor, fine = (
        ("b#0", "three cats sleep", "vier Katzen schlafen"),
        ("b#0", "three cats sleep", "drei Katzen schlafen"),
    )
    append_translations(dataset.folder, [translated(*poor, "poor"), translated(*fine, "fine")])
    judged, _ = judge(dataset, tmp_path / "new", "weight", SETTINGS)
    assert column(judged, "text")["b#0", "de"] == "drei Katzen schlafen"
    assert column(judged, "weight")["b#0", "de"] == 1.0
    rows = {row["model"]: row for row in read_translations(tmp_path / "new").to_pylist()}
    assert rows["poor"]["score"] == 0.0 and rows["poor"]["reasons"] == ["3 became 4"]
    assert rows["fine"]["score"] == 1.0 and rows["fine"]["weight"] == 1.0
    assert rows["poor"]["weight"] == pytest.approx(SETTINGS.least_weight)
    assert read_translations(dataset.folder)["score"].null_count == 2, "the old table stays as it was"


def test_a_translation_that_is_dropped_is_chosen_by_nobody(dataset, tmp_path):
    append_translations(dataset.folder, [translated("b#0", "three cats sleep", "vier Katzen schlafen", "poor")])
    judged, _ = judge(dataset, tmp_path / "new", "drop", SETTINGS)
    assert ("b#0", "de") not in column(judged, "text")
    assert read_translations(tmp_path / "new")["weight"].to_pylist() == [0.0]


class Back:
    """Knows German alone, and says what it is given."""

    def check(self, source_lang, target_lang):
        if source_lang != "de":
            raise DataError(f"no {source_lang!r}")

    def __call__(self, sentences, source_lang, target_lang):
        return Translated(texts=tuple(None if one.text == "?" else f"{one.text} {target_lang}" for one in sentences))


def test_a_translator_makes_round_trips_a_batch_at_a_time():
    back = back_through(Back(), batch_size=2)
    assert back(["eins", "?", "drei"], "de") == ["eins en", None, "drei en"]
    with pytest.raises(DataError, match="no 'fr'"):
        back(["un"], "fr")


def test_the_summary_counts_by_language_and_shows_the_worst(dataset):
    summary = summarise("small", rate(dataset, SETTINGS))
    (german,) = summary.languages
    assert (german.lang, german.captions, german.dropped) == ("de", 3, 1)
    assert german.mean_score == pytest.approx(2 / 3)
    assert german.with_reason["numbers"] == 1
    assert german.with_reason["length"] is None, "three captions say nothing of usual lengths"
    assert sum(german.histogram) == 3 and german.histogram[0] == 1 and german.histogram[-1] == 2
    assert [one.caption_id for one in german.worst] == ["b#0"]
    assert summary.not_asked == ("language", "likeness", "round_trip")
    text = "\n".join(summary.lines())
    assert "de German" in text and "1 (33.3%)" in text and "numbers 1" in text
    assert "0.00  b#0: 3 became 4" in text and "vier Katzen schlafen" in text
    assert "worst" not in "\n".join(summary.lines(num_worst=0))
    assert summary.to_json()["languages"][0]["dropped"] == 1
