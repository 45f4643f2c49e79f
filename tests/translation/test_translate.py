"""Captions translated into a new dataset: what becomes of them, what is done once, what survives a kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.translations import judged, read_translations, write_translations
from polyreel.errors import DataError, ItemsFailedError
from polyreel.translation.translate import translate
from polyreel.translation.translator import Translated

TEXTS = {"a#0": "a dog", "a#1": "two long cats in a garden", "b#0": "a dog", "b#1": "a red car"}


@dataclass
class Shouting:
    """Translates by shouting with an accent, and remembers what it was asked."""

    name: str = "shouting"
    revision: str = "1"
    settings: dict = field(default_factory=lambda: {"beams": 1})
    shares_texts: bool = True
    asked: list = field(default_factory=list)
    silent_about: str = "?"
    breaks_at: int = -1

    def check(self, source_lang, target_lang):
        if target_lang == "la":
            raise DataError("shouting knows no Latin")

    def __call__(self, sentences, source_lang, target_lang):
        self.asked.append((target_lang, [sentence.text for sentence in sentences]))
        if 0 <= self.breaks_at < len(self.asked):
            raise DataError("shouting is hoarse")
        texts = (sentence.text.upper() + target_lang for sentence in sentences)
        return Translated(
            texts=tuple("" if self.silent_about in text.lower() else text for text in texts), tokens_read=7
        )


@pytest.fixture
def dataset(tmp_path):
    clips = [Clip(clip_id=name, video=name, split="train", source=name) for name in "ab"]
    captions = [Caption(caption_id=key, clip_id=key[0], lang="en", text=text) for key, text in TEXTS.items()]
    written = Caption(caption_id="b#1", clip_id="b", lang="de", text="ein rotes Auto")
    made = Dataset.build("small", clips, [*captions, written]).save(tmp_path / "small")
    with FeatureWriter(made.features_folder("one"), FeatureSettings.imported("one", 2)) as writer:
        writer.add("a", np.ones((3, 2)))
    return made


def texts(dataset, lang):
    return {row.caption_id: row.text for row in dataset.iter_captions() if row.lang == lang}


def test_captions_come_out_in_every_language(dataset, tmp_path):
    ours = Shouting()
    run = translate(dataset, ["de", "fr"], ours, tmp_path / "more")
    assert texts(run.dataset, "fr") == {key: text.upper() + "fr" for key, text in TEXTS.items()}
    assert texts(run.dataset, "de") == {
        "a#0": "A DOGde", "a#1": "TWO LONG CATS IN A GARDENde", "b#0": "A DOGde", "b#1": "ein rotes Auto"
    }  # fmt: skip
    assert (run.dataset.name, run.translated, run.kept, run.tokens_read) == ("more", 7, 0, 14)
    assert ours.asked == [
        ("de", ["a dog", "two long cats in a garden"]), ("fr", ["a dog", "a red car", "two long cats in a garden"])
    ]  # fmt: skip
    assert run.dataset.features("one")["a"].tolist() == [[1, 1]] * 3


def test_provenance_is_kept(dataset, tmp_path):
    translate(dataset, ["fr"], Shouting(), tmp_path / "more")
    rows = read_translations(tmp_path / "more").to_pylist()
    assert [row["caption_id"] for row in rows] == list(TEXTS)
    first = rows[0]
    assert (first["model"], first["revision"], first["settings"]) == ("shouting", "1", '{"beams": 1}')
    assert (first["source_lang"], first["source_text"], first["made_at"], first["score"]) == ("en", "a dog", None, None)


def test_another_model_adds_and_overwrites_nothing(dataset, tmp_path):
    translate(dataset, ["fr"], Shouting(), tmp_path / "more")
    before = read_translations(tmp_path / "more").to_pylist()
    run = translate(dataset, ["fr"], Shouting(name="other", settings={"beams": 2}), tmp_path / "more")
    after = read_translations(tmp_path / "more").to_pylist()
    assert len(after) == 2 * len(before) and [row for row in after if row["model"] == "shouting"] == before
    assert texts(run.dataset, "fr")["a#0"] == "A DOGfr"
    again = Shouting(name="other", settings={"beams": 2})
    run = translate(dataset, ["fr"], again, tmp_path / "more", prefer="other")
    assert (again.asked, run.kept, run.translated) == ([], 4, 0)


def test_translations_travel_with_their_dataset(dataset, tmp_path):
    first = translate(dataset, ["fr"], Shouting(), tmp_path / "more").dataset
    ours = Shouting()
    run = translate(first, ["fr", "de"], ours, tmp_path / "most")
    assert [lang for lang, _ in ours.asked] == ["de"]
    assert read_translations(tmp_path / "most").num_rows == 7
    assert run.dataset.langs == ("en", "de", "fr")


def test_only_what_changed_is_translated_again(dataset, tmp_path):
    translate(dataset, ["fr"], Shouting(), tmp_path / "more")
    captions = [replace(row, text="a wolf") if row.text == "a dog" else row for row in dataset.iter_captions()]
    ours = Shouting()
    run = translate(Dataset.build("small", dataset.iter_clips(), captions), ["fr"], ours, tmp_path / "more")
    assert ours.asked == [("fr", ["a wolf"])]
    assert texts(run.dataset, "fr")["a#0"] == "A WOLFfr"


def test_what_fails_is_listed_and_the_rest_is_done(dataset, tmp_path):
    with pytest.raises(
        ItemsFailedError, match=r"translating with shouting: 2 failed.*\n  a#0 \(fr\): no translation"
    ) as caught:
        translate(dataset, ["fr"], Shouting(silent_about="dog"), tmp_path / "more")
    assert list(caught.value.failures) == ["a#0 (fr)", "b#0 (fr)"]
    assert set(texts(Dataset.open(tmp_path / "more"), "fr")) == {"a#1", "b#1"}
    run = translate(dataset, ["fr"], Shouting(), tmp_path / "more")
    assert (run.translated, run.kept) == (2, 2)


def test_a_translator_that_is_gone_ends_the_work_and_keeps_what_was_done(dataset, tmp_path):
    with pytest.raises(DataError, match="3 batches failed one after the other, the last: shouting is hoarse"):
        translate(dataset, ["fr", "it"], Shouting(breaks_at=2), tmp_path / "more", batch_size=1)
    assert read_translations(tmp_path / "more").num_rows == 3
    run = translate(dataset, ["fr", "it"], Shouting(), tmp_path / "more", batch_size=1)
    assert (run.translated, run.kept) == (5, 3)


def test_wrong_calls_are_refused(dataset, tmp_path):
    with pytest.raises(DataError, match="captions in 'en' cannot be translated to 'en'; name another language"):
        translate(dataset, ["en"], Shouting(), tmp_path / "more")
    with pytest.raises(DataError, match="did you mean 'cs'"):
        translate(dataset, ["cz"], Shouting(), tmp_path / "more")
    with pytest.raises(DataError, match="shouting knows no Latin"):
        translate(dataset, ["la"], Shouting(), tmp_path / "more")
    with pytest.raises(DataError, match="'small' has no captions in 'fr' to translate from; it has en, de"):
        translate(dataset, ["it"], Shouting(), tmp_path / "more", source_lang="fr")
    with pytest.raises(DataError, match="small is the dataset that is translated; name a folder for the new one"):
        translate(dataset, ["fr"], Shouting(), dataset.folder)


def test_a_foreign_folder_is_left_alone(dataset, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="taken exists and holds no translations to go on with"):
        translate(dataset, ["fr"], Shouting(), tmp_path / "taken")
    translate(dataset, ["fr"], Shouting(), tmp_path / "more")
    others = [replace(row, caption_id=f"x{row.caption_id}") for row in dataset.iter_captions()]
    with pytest.raises(DataError, match="more holds translations of another dataset"):
        translate(Dataset.build("other", dataset.iter_clips(), others), ["fr"], Shouting(), tmp_path / "more")


def test_what_a_killed_run_left_before_its_first_part_is_gone_on_with(dataset, tmp_path):
    (tmp_path / "more" / "translations").mkdir(parents=True)
    assert translate(dataset, ["fr"], Shouting(), tmp_path / "more").translated == 4


def test_a_verdict_on_a_translation_outlives_the_next_run(dataset, tmp_path):
    first = translate(dataset, ["fr"], Shouting(), tmp_path / "more").dataset
    translate(first, ["de"], Shouting(), tmp_path / "most")
    table = read_translations(tmp_path / "most")
    write_translations(tmp_path / "most", judged(table, [0.5] * 7, [["odd"]] * 7, [0.5] * 7))
    run = translate(first, ["it"], Shouting(), tmp_path / "most")
    weights = {row.lang: row.weight for row in run.dataset.iter_captions() if row.caption_id == "a#0"}
    assert weights == {"en": 1.0, "fr": 0.5, "de": 0.5, "it": 1.0}


RUN_AND_STOP = """
import os, signal, sys
from test_translate import Shouting
from polyreel import Dataset, translate
from polyreel.translation import translate as module
module._FLUSH_SECONDS = 0.0
class Killed(Shouting):
    def __call__(self, *words):
        if len(self.asked) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(*words)
translate(Dataset.open(sys.argv[1]), ["fr", "it"], Killed(), sys.argv[2], batch_size=1)
"""


def test_a_killed_run_goes_on_to_the_same_bytes(dataset, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(os.path.dirname(__file__))}  # noqa: PTH120
    command = [sys.executable, "-c", RUN_AND_STOP, str(dataset.folder), str(tmp_path / "more")]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    with pytest.raises(DataError, match="is no dataset"):
        Dataset.open(tmp_path / "more")
    assert read_translations(tmp_path / "more").num_rows == 4
    ours = Shouting()
    run = translate(dataset, ["fr", "it"], ours, tmp_path / "more", batch_size=1)
    assert len(ours.asked) == 3
    whole = translate(dataset, ["fr", "it"], Shouting(), tmp_path / "whole", batch_size=1)
    assert run.dataset.captions.equals(whole.dataset.captions)
    part = "translations/part-00000.parquet"
    assert (tmp_path / "more" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()
    assert json.loads((tmp_path / "more" / "dataset.json").read_text("utf-8"))["name"] == "more"
