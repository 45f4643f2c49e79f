"""add-language on the command line: one verb from a text file to a run that knows the language."""

import json

import numpy as np
import pytest

from polyreel.cli import main
from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.training.loop import train
from polyreel.training.recipes import Recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny student of twenty clips."""
    words, generator = [f"thing{number}" for number in range(20)], np.random.default_rng(0)
    clips = [
        Clip(clip_id=word, video=word, split="val" if n % 4 == 0 else "train", source=word)
        for n, word in enumerate(words)
    ]
    captions = [Caption(caption_id=word, clip_id=word, lang="en", text=f"the {word}") for word in words]
    dataset = Dataset.build("tiny", clips, captions).save(tmp_path_factory.mktemp("data") / "tiny")
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=4)
    with FeatureWriter(dataset.features_folder("noise"), settings) as writer:
        for word in words:
            writer.add(word, generator.normal(size=(2, 4)))
    recipe = Recipe.model_validate(
        {
            "data": {"dataset": str(dataset.folder), "features": "noise"},
            "text": {"vocab_size": 60, "width": 8},
            "video": {"pooling": "mean"},
            "embed_dim": 8,
            "schedule": {"steps": 5},
        }
    )
    return train(recipe, tmp_path_factory.mktemp("runs") / "student")


@pytest.fixture
def pairs(tmp_path):
    place = tmp_path / "en-de.tsv"
    place.write_text("".join(f"the thing{n}\tdas Ding{n}\n" for n in range(20)), encoding="utf-8")
    return place


def test_the_verb_prints_what_changed_and_names_the_run_by_its_language(run, pairs, capsys):
    assert main(["add-language", str(run), "--pairs", str(pairs), "--steps", "4", "-q"]) == 0
    printed = capsys.readouterr().out
    assert "| en: R@10, text to video, validation |" in printed and "student-de: finished" in printed
    assert main(["add-language", str(run), "--pairs", str(pairs), "--steps", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["agreement"]["de"]["num_pairs"] == 2


def test_what_is_wrong_is_one_line(run, tmp_path, capsys):
    assert main(["add-language", str(run), "--pairs", str(tmp_path / "en-de.tsv"), "-q"]) == 2
    error = capsys.readouterr().err
    assert "does not exist; pairs are a .tsv or .txt table" in error and len(error.splitlines()) == 1
