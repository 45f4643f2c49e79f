"""Choosing the epoch: by R@10 of what the split has, however large it is, and by nothing else."""

import numpy as np
import pytest

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.evaluation.report import evaluate
from polyreel.models.retriever import Retriever
from polyreel.training import validation
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.validation import Validator


@pytest.fixture(scope="module")
def model(recipe, tmp_path_factory):
    run = train(recipe(text={"dropout": 0.5}, schedule={"steps": 2}), tmp_path_factory.mktemp("run") / "run")
    return Retriever.load(run / "model").train()


def test_it_agrees_with_the_report_and_leaves_the_model_in_training(toy, model):
    found = Validator(model, toy.split("val"), toy.features("noise"), ["en", "it"]).recall(model)
    assert model.training
    report = evaluate(model, toy, features=toy.features("noise"), split="val")
    assert found == {lang: pytest.approx(report.row(lang, "R@10").value) for lang in ("en", "it")}
    assert 0 < found["it"] < 100


def test_a_large_split_is_embedded_in_parts(toy, model, monkeypatch):
    whole = Validator(model, toy.split("val"), toy.features("noise"), ["en", "it"]).recall(model)
    monkeypatch.setattr(validation, "MOST_AT_ONCE", 7)
    assert Validator(model, toy.split("val"), toy.features("noise"), ["en", "it"]).recall(model) == whole


def without_captions(toy, folder, split, lang):
    splits = dict(zip(toy.clip_ids, toy.clips["split"].to_pylist(), strict=True))
    rows = zip(toy.captions["clip_id"].to_pylist(), toy.captions["lang"].to_pylist(), strict=True)
    is_kept = np.array([(splits[clip_id], code) != (split, lang) for clip_id, code in rows])
    Dataset.build("toy", toy.clips, toy.where_captions(is_kept).captions).save(folder)
    (folder / "features").symlink_to(toy.folder / "features")
    return str(folder)


def test_a_split_without_captions_to_choose_by_is_refused_before_training(toy, recipe, tmp_path):
    data = without_captions(toy, tmp_path / "data", "val", "it")
    run = train(recipe(data={"dataset": data}, schedule={"steps": 10}), tmp_path / "english")
    assert '"recall_at_10": {"en": ' in (run / "metrics.jsonl").read_text("utf-8")
    with pytest.raises(DataError, match=r"to choose the epoch have no captions in it; .*schedule\.keep = \"last\""):
        train(recipe(data={"dataset": data, "langs": ["it"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_stands_in_the_test_split_changes_nothing_that_is_learnt(toy, recipe, tmp_path):
    is_test = np.array([split == "test" for split in toy.clips["split"].to_pylist()])
    elsewhere = toy.where_clips(~is_test)
    Dataset.build("toy", elsewhere.clips, elsewhere.captions).save(tmp_path / "data")
    (tmp_path / "data" / "features").symlink_to(toy.folder / "features")
    runs = [
        train(recipe(data={"dataset": str(one)}), tmp_path / f"run-{one.name}")
        for one in (toy.folder, tmp_path / "data")
    ]
    weights, pieces = (
        [(run / file).read_bytes() for run in runs] for file in ("model/model.safetensors", "model/tokenizer.json")
    )
    assert weights[0] == weights[1] and pieces[0] == pieces[1]


def test_limits_for_languages_that_the_data_lacks_are_said(recipe):
    said = []
    settings = {"langs": [], "captions_per_clip": {"cs": 1, "en": 1}}
    asked = recipe(data=settings, objective={"lang_weight": {"sw": 2}})
    gather_material(asked, lambda done, total, doing: said.append(doing))
    assert said == ["settings without effect: no captions in cs, sw"]
