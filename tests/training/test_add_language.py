"""A language from a text file: learnt without videos or features, nothing lost, resumable, reported."""

import shutil

import numpy as np
import pytest
from moments import stop_after

from polyreel.errors import DataError, FingerprintError, RecipeError, TrainingError
from polyreel.models.retriever import Retriever
from polyreel.storage import read_json
from polyreel.training.add_language import add_language
from polyreel.training.adding import AddingSettings, hold_out
from polyreel.training.keeping import open_kept
from polyreel.training.loop import train

GERMAN = dict(
    red="roter", blue="blauer", green="grüner", black="schwarzer", white="weißer", grey="grauer", brown="brauner",
    pink="rosa", yellow="gelber", purple="lila", dog="Hund", cat="Kater", horse="Gaul", cow="Ochse", bird="Vogel",
    fish="Fisch", bear="Bär", mouse="Mäuserich", wolf="Wolf", sheep="Hammel", goat="Bock", hen="Hahn",
)  # fmt: skip
SETTINGS = AddingSettings(steps=30, size=32, replay=32, look_every_steps=10, tolerance=5, learning_rate=0.02)


@pytest.fixture(scope="module")
def run(recipe, toy, tmp_path_factory):
    """A student of one teacher, whose dataset and teacher are gone."""
    place = tmp_path_factory.mktemp("gone")
    shutil.copytree(toy.folder, place / "toy")
    data = {"dataset": str(place / "toy")}
    teacher = train(recipe(data={**data, "langs": ["en"]}), place / "teacher")
    asked = recipe(
        data=data, objective={"distillation_weight": 1.0}, teachers={"runs": [str(teacher)]}, schedule={"steps": 150}
    )
    found = train(asked, tmp_path_factory.mktemp("run") / "run")
    shutil.rmtree(place)
    return found


@pytest.fixture(scope="module")
def pairs(toy, tmp_path_factory):
    """All English captions of training clips in German, without the clips."""
    place = tmp_path_factory.mktemp("pairs") / "en-de.tsv"
    lines = []
    for text in toy.split("train").in_langs(["en"]).captions["text"].to_pylist():
        words = text.split()
        if words[0] == "a":
            lines.append(f"{text}\tein {GERMAN[words[1]]} {GERMAN[words[2]]}\n")
    place.write_text("".join(lines * 2), encoding="utf-8")
    return [str(place)]


@pytest.fixture(scope="module")
def added(run, pairs, tmp_path_factory):
    return add_language(run, pairs, tmp_path_factory.mktemp("added") / "run", settings=SETTINGS)


def test_the_language_is_learnt_and_those_there_were_are_kept(added, run, toy):
    assert added.after.agreement["de"].top_10 > added.before.agreement["de"].top_10 + 20
    assert added.after.agreement["de"].rank_correlation > added.before.agreement["de"].rank_correlation + 0.3
    for lang in ("en", "it"):
        assert added.after.recall[lang] >= added.before.recall[lang] - SETTINGS.tolerance
    model, before = Retriever.load(added.run / "model"), Retriever.load(run / "model")
    assert model.langs == ("en", "it", "de") and "▁hund" in model.text.backbone.vocabulary()
    rows = [toy.features("noise")[clip] for clip in toy.split("test").clip_ids]
    assert np.array_equal(model.encode_clips(rows), before.encode_clips(rows)), "every index of clips stays valid"
    assert "| de: English's first clip is among its first ten, % |" in added.text()


def test_the_new_run_can_learn_the_next_language_and_replays_this_one(added, tmp_path):
    kept = open_kept(added.run)
    assert "ein roter Hund" in kept.captions["text"].to_pylist() and len(kept.teachers) == 1
    file = tmp_path / "en-nl.tsv"
    file.write_text("a red dog\teen rode hond\na blue cat\teen blauwe kat\n" * 3, encoding="utf-8")
    again = add_language(added.run, [file], tmp_path / "next", settings=SETTINGS.model_copy(update={"steps": 10}))
    assert Retriever.load(again.run / "model").langs == ("en", "it", "de", "nl")


def test_the_same_call_does_nothing_and_another_is_refused(added, run, pairs):
    again = add_language(run, pairs, added.run, settings=SETTINGS)
    assert again.to_json() == added.to_json()
    with pytest.raises(FingerprintError, match="holds a run whose settings differs; name another folder"):
        add_language(run, pairs, added.run, settings=SETTINGS.model_copy(update={"steps": 5}))


def test_a_stopped_one_goes_on_to_the_same_bytes(added, run, pairs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        add_language(run, pairs, tmp_path / "cut", settings=SETTINGS, progress=stop_after(15))
    assert read_json(tmp_path / "cut" / "run.json")["status"] == "started"
    add_language(run, pairs, tmp_path / "cut", settings=SETTINGS)
    files = [folder / "model" / "model.safetensors" for folder in (added.run, tmp_path / "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_run_without_teachers_is_its_own(recipe, pairs, tmp_path):
    run = train(recipe(), tmp_path / "run")
    found = add_language(run, pairs, tmp_path / "added", settings=SETTINGS)
    assert found.after.agreement["de"].top_10 > found.before.agreement["de"].top_10
    assert not open_kept(run).teachers


def test_what_cannot_be_done_is_said(run, pairs, recipe, tmp_path):
    strict = SETTINGS.model_copy(update={"tolerance": 0, "replay_weight": 0.0, "learning_rate": 10.0})
    with pytest.raises(TrainingError, match="no state kept what the student knew: R@10 en"):
        add_language(run, pairs, tmp_path / "strict", settings=strict)
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"loss of step \d+ is no number; the states before it are in .*lower"):
        add_language(run, pairs, tmp_path / "wild", settings=wild)
    one = tmp_path / "en-de.tsv"
    one.write_text("a dog\tein Hund\n", encoding="utf-8")
    with pytest.raises(DataError, match="there are pairs of 1 sentence in 'de'; expected 2 or more"):
        add_language(run, [one], tmp_path / "one")
    with pytest.raises(FingerprintError, match="holds something else; name a new folder"):
        add_language(run, pairs, run / "model")
    with pytest.raises(RecipeError, match=r"has no recipe\.toml, so it is no run"):
        shutil.copytree(run / "model", tmp_path / "bare")
        shutil.copytree(run / "kept", tmp_path / "bare" / "kept")
        add_language(tmp_path / "bare", pairs, tmp_path / "x")
    forgetful = train(recipe(machine={"keeps": False}, schedule={"steps": 2}), tmp_path / "forgetful")
    with pytest.raises(DataError, match=r"has kept nothing to add a language with.*machine\.keeps = false"):
        add_language(forgetful, pairs, tmp_path / "y")


def test_held_out_sentences_are_distinct_and_nowhere_else():
    from polyreel.data.pairs import Pairs

    english = tuple(f"sentence {number % 60}" for number in range(100))
    learnt, apart = hold_out(Pairs(lang="de", english=english, texts=english), 500)
    assert len(apart) == len(set(apart.english)) == 6
    assert not set(apart.english) & set(learnt.english) and set(apart.english) | set(learnt.english) == set(english)
    assert len(hold_out(Pairs(lang="de", english=english, texts=english), 3)[1]) == 3
