"""The teacher bank says what live teachers say, once, and only about what it was made from."""

import json
import mmap
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.errors import DataError, FingerprintError, RecipeError
from polyreel.models.retriever import Retriever
from polyreel.storage import read_json, write_json
from polyreel.training.loop import train
from polyreel.training.teachers import TeacherBank


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    first = recipe(data={"langs": ["en"]}, schedule={"steps": 5})
    second = recipe(data={"langs": ["en"]}, schedule={"steps": 5}, text={"num_layers": 1}, seed=2)
    folder = tmp_path_factory.mktemp("teachers")
    return [train(one, folder / name) for one, name in ((first, "first"), (second, "second"))]


@pytest.fixture
def teachers(trained, tmp_path):
    """Two English teachers with different text towers, in folders of the test's own, which were never asked."""
    return [Path(shutil.copytree(run, tmp_path / run.name)) for run in trained]


def test_the_bank_equals_live_teachers(toy, teachers):
    learnt, features = toy.split("train"), toy.features("noise")
    bank = TeacherBank.build(teachers, learnt, features)
    english = learnt.in_langs(["en"]).captions
    caption_ids, texts = english["caption_id"].to_pylist()[3:20], english["text"].to_pylist()[3:20]
    clip_ids = learnt.clip_ids[4:11]
    live = []
    for run in teachers:
        teacher = Retriever.load(run / "model").eval()
        with torch.no_grad():
            texts_QD = teacher.embed_texts(teacher.text.tokenize(texts))
            clips_CD = teacher.embed_clips(*teacher.video.frames([features[clip_id] for clip_id in clip_ids]))
        live.append((texts_QD @ clips_CD.T).numpy())
    assert np.abs(bank.similarities(clip_ids, caption_ids).numpy() - np.stack(live)).max() < 1e-5


def test_it_is_computed_once(toy, teachers):
    learnt, features = toy.split("train"), toy.features("noise")
    TeacherBank.build(teachers, learnt, features)
    files = {path: path.stat().st_mtime_ns for run in teachers for path in run.glob("bank/*/*")}
    assert len(files) == 6
    TeacherBank.build(teachers, learnt, features)
    assert files == {path: path.stat().st_mtime_ns for run in teachers for path in run.glob("bank/*/*")}


def test_other_captions_get_a_bank_of_their_own(toy, teachers):
    learnt, features = toy.split("train"), toy.features("noise")
    TeacherBank.build(teachers, learnt, features)
    fewer = TeacherBank.build(teachers, learnt.first_captions({"en": 1}), features)
    assert len(fewer.sentence_ids) == len(learnt.clip_ids)
    assert all(len(list(run.glob("bank/*/"))) == 2 for run in teachers)


def test_sentences_the_teachers_have_not_seen_are_marked(toy, teachers):
    bank = TeacherBank.build(teachers, toy.split("train"), toy.features("noise"))
    assert bank.sentence_rows([bank.sentence_ids[2], "stranger#0"]).tolist() == [2, -1]


@pytest.mark.parametrize("key", ["teacher", "dataset", "features"])
def test_a_part_made_from_something_else_is_refused(toy, teachers, key):
    TeacherBank.build(teachers, toy.split("train"), toy.features("noise"))
    header = next(teachers[0].glob("bank/*/bank.json"))
    write_json(header, {**read_json(header), key: "0123"})
    with pytest.raises(FingerprintError, match=f"was made from another {key} \\(0123, expected"):
        TeacherBank.build(teachers, toy.split("train"), toy.features("noise"))


def test_a_language_the_data_lacks_and_a_run_without_a_model_are_refused(toy, teachers, tmp_path):
    with pytest.raises(DataError, match="asked in 'sw', but dataset 'toy' has"):
        TeacherBank.build(teachers, toy.split("train"), toy.features("noise"), lang="sw")
    with pytest.raises(RecipeError, match="nobody is no finished run"):
        TeacherBank.build([tmp_path / "nobody"], toy.split("train"), toy.features("noise"))


def test_teachers_of_another_extractor_are_refused(toy, teachers, tmp_path):
    other = Dataset.build("toy", toy.clips, toy.captions).save(tmp_path / "other")
    store = other.features_folder("thumbnails")
    with FeatureWriter(store, FeatureSettings(extractor="thumbnails", extractor_fingerprint="1", dim=16)) as writer:
        for clip_id in other.clip_ids:
            writer.add(clip_id, np.ones((1, 16), np.float32))
    with pytest.raises(FingerprintError, match="extractor 'thumbnails' instead of 'noise'"):
        TeacherBank.build(teachers, other.split("train"), other.features("thumbnails"))


def test_a_run_that_was_stopped_teaches_nobody(toy, recipe, tmp_path):
    def interrupt(done, total, doing):
        if total == 5 and done == 3:
            raise KeyboardInterrupt

    half = recipe(schedule={"steps": 5})
    with pytest.raises(KeyboardInterrupt):
        train(half, tmp_path / "half", progress=interrupt)
    assert (tmp_path / "half" / "model" / "config.json").is_file()
    with pytest.raises(RecipeError, match=r"half is no finished run: it was stopped; go on with it by .* --resume"):
        TeacherBank.build([tmp_path / "half"], toy.split("train"), toy.features("noise"))
    train(half, tmp_path / "half", resume=True)
    TeacherBank.build([tmp_path / "half"], toy.split("train"), toy.features("noise"))


def test_a_model_that_came_without_its_run_teaches_too(toy, teachers, tmp_path):
    learnt, features = toy.split("train"), toy.features("noise")
    Retriever.load(teachers[0] / "model").save(tmp_path / "imported")
    clip_ids, caption_ids = learnt.clip_ids[:3], [f"{clip_id}#0" for clip_id in learnt.clip_ids[:3]]
    found, expected = (
        TeacherBank.build([one], learnt, features).similarities(clip_ids, caption_ids)
        for one in (tmp_path / "imported", teachers[0])
    )
    assert found.tolist() == expected.tolist()


def test_a_teacher_is_not_opened_again_while_its_files_are_as_they_were(toy, teachers, monkeypatch):
    learnt, features = toy.split("train"), toy.features("noise")
    found = TeacherBank.build(teachers, learnt, features)
    opened = []
    load = Retriever.load
    monkeypatch.setattr(Retriever, "load", lambda folder: opened.append(folder) or load(folder))
    assert TeacherBank.build(teachers, learnt, features).fingerprints == found.fingerprints and not opened
    model = load(teachers[0] / "model")
    with torch.no_grad():
        model.text.project.linear.bias.add_(1.0)
    model.save(teachers[0] / "model")
    changed = TeacherBank.build(teachers, learnt, features)
    assert changed.fingerprints[0] == model.fingerprint != found.fingerprints[0]
    assert changed.fingerprints[1] == found.fingerprints[1]


def test_what_is_written_in_pieces_is_what_is_written_at_once(toy, teachers, monkeypatch):
    learnt, features = toy.split("train"), toy.features("noise")
    whole = TeacherBank.build(teachers, learnt, features)
    for run in teachers:
        shutil.rmtree(run / "bank")
    monkeypatch.setattr("polyreel.training.teachers.ASKED_AT_ONCE", 7)
    parts = TeacherBank.build(teachers, learnt, features)
    ids = learnt.clip_ids, whole.sentence_ids
    torch.testing.assert_close(parts.similarities(*ids), whole.similarities(*ids), atol=1e-6, rtol=1e-5)


def test_rows_are_read_from_the_disk_and_strangers_are_refused(toy, teachers):
    bank = TeacherBank.build(teachers, toy.split("train"), toy.features("noise"))
    assert all(isinstance(part.base, np.memmap | mmap.mmap) for part in (*bank._clips, *bank._sentences))
    with pytest.raises(KeyError, match="stranger"):
        bank.similarities([bank.clip_ids[0], "stranger"], bank.sentence_ids[:1])


def test_the_best_teacher_alone_teaches_as_if_it_were_the_only_one_named(recipe, teachers, tmp_path):
    with (teachers[1] / "metrics.jsonl").open("a") as log:
        log.write('{"step": 5, "val": {"mean_recall_at_10": 101}}\n')
    objective = {"distillation_weight": 1.0, "teacher_pooling": "learnt"}
    both = recipe(objective=objective, teachers={"runs": [str(one) for one in teachers], "chosen": "best"})
    alone = recipe(objective=objective, teachers={"runs": [str(teachers[1])]})
    assert both.idle_settings() == alone.idle_settings() == ["objective.teacher_pooling"]
    runs = [train(one, tmp_path / name) for one, name in ((both, "both"), (alone, "alone"))]
    models, logs = (
        [(run / name).read_bytes() for run in runs] for name in ("model/model.safetensors", "metrics.jsonl")
    )
    losses = [[json.loads(line).get("loss") for line in log.splitlines()] for log in logs]
    assert models[0] == models[1] and losses[0] == losses[1]
    assert b"teacher_weights" not in logs[0], "one has nothing to be weighed against"
