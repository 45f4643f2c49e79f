"""The loop learns, is repeatable, leaves usable runs, and refuses what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError, FingerprintError, RecipeError, TrainingError
from polyreel.evaluation.report import evaluate
from polyreel.models.retriever import Retriever
from polyreel.storage import read_json
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.recipe_files import load_recipe


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def log(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_learns_and_records_what_happened(toy, recipe, tmp_path):
    run = train(recipe(schedule={"steps": 150, "validate_every_steps": 30}), tmp_path / "run")
    report = evaluate(Retriever.load(run / "model"), toy, features=toy.features("noise"))
    assert report.row("mean", "R@1").value > 5 * report.row("mean", "R@1").chance
    assert report.row("mean", "R@1").chance == pytest.approx(100 / 20)
    losses = [row["loss"] for row in log(run) if "loss" in row]
    assert losses[-1] < losses[0] / 2
    assert {row["step"] for row in log(run) if "val" in row} == {30, 60, 90, 120, 150}
    record = read_json(run / "run.json")
    assert record["status"] == "finished" and record["seed"] == 1
    assert record["dataset_fingerprint"] == toy.fingerprint
    assert record["versions"]["torch"]
    assert record["device"] == "cpu"
    assert load_recipe(run / "recipe.toml") == recipe(schedule={"steps": 150, "validate_every_steps": 30})
    assert not (run / "checkpoints").exists()


def test_distillation_teaches_a_language_that_has_no_contrastive_term(toy, recipe, tmp_path):
    teacher = train(recipe(data={"langs": ["en"]}, schedule={"steps": 100}), tmp_path / "teacher")
    student = train(
        recipe(
            objective={"contrastive_weight": 0, "distillation_weight": 1},
            teachers={"runs": [str(teacher)]},
            schedule={"steps": 150},
        ),
        tmp_path / "student",
    )
    report = evaluate(Retriever.load(student / "model"), toy, features=toy.features("noise"))
    assert report.row("it", "R@1").value > 5 * report.row("it", "R@1").chance
    assert read_json(student / "run.json")["teacher_fingerprints"] == [Retriever.load(teacher / "model").fingerprint]


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_does_not(recipe, tmp_path):
    first, again = (train(recipe(text={"dropout": 0.2}), tmp_path / name) for name in ("first", "again"))
    other = train(recipe(text={"dropout": 0.2}, seed=2), tmp_path / "other")
    assert weights(first) == weights(again) != weights(other)


def test_a_finished_run_is_left_alone_and_another_recipe_is_refused(recipe, tmp_path):
    run = train(recipe(), tmp_path / "run")
    written = (run / "model" / "model.safetensors").stat().st_mtime_ns
    train(recipe(), run)
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(FingerprintError, match=r"holds a run of another recipe, which differs in seed \(1, here 3\)"):
        train(recipe(seed=3), run)


def test_ctrl_c_leaves_a_usable_run_that_resumes_to_the_same_bytes(toy, recipe, tmp_path):
    asked = recipe(text={"dropout": 0.2}, optimizer={"name": "adamw"})
    whole = train(asked, tmp_path / "whole")

    def interrupt(done, total, doing):
        if total == 30 and done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    assert read_json(tmp_path / "cut" / "run.json")["status"] == "interrupted"
    evaluate(Retriever.load(tmp_path / "cut" / "model"), toy, features=toy.features("noise"))
    with pytest.raises(FingerprintError, match="unfinished run; continue it with --resume"):
        train(asked, tmp_path / "cut")
    resumed = train(asked, tmp_path / "cut", resume=True)
    assert weights(resumed) == weights(whole)
    assert [row["step"] for row in log(resumed)] == [row["step"] for row in log(whole)]


def validations(run):
    return {row["step"]: row["val"]["mean_recall_at_10"] for row in log(run) if "val" in row}


@pytest.fixture(scope="module")
def restless(recipe):
    """A recipe that learns so fast that it forgets: its best weights are not its last."""
    schedule = {"steps": 40, "validate_every_steps": 4, "learning_rate": "constant"}
    return recipe(optimizer={"learning_rate": 0.3}, schedule=schedule)


@pytest.fixture(scope="module")
def restless_run(restless, tmp_path_factory):
    return train(restless, tmp_path_factory.mktemp("restless") / "run")


def test_the_kept_model_is_the_first_that_validated_best(toy, restless_run):
    recalls, best_step = validations(restless_run), read_json(restless_run / "run.json")["best_step"]
    assert best_step == max(recalls, key=recalls.get) and recalls[best_step] > recalls[40]
    report = evaluate(Retriever.load(restless_run / "model"), toy, features=toy.features("noise"), split="val")
    assert report.row("mean", "R@10").value == pytest.approx(recalls[best_step])


def test_the_best_weights_outlive_an_interruption_after_them(restless, restless_run, tmp_path):
    after_best = read_json(restless_run / "run.json")["best_step"] + 1

    def interrupt(done, total, doing):
        if total == 40 and done == after_best:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(restless, tmp_path / "cut", progress=interrupt)
    assert weights(tmp_path / "cut") == weights(restless_run), "the best so far are the run's model already"
    assert weights(train(restless, tmp_path / "cut", resume=True)) == weights(restless_run)


def test_patience_ends_a_run_that_gets_no_better_and_no_other(recipe, tmp_path):
    schedule = {"steps": 200, "validate_every_steps": 2, "patience": 3, "learning_rate": "constant"}
    run = train(recipe(schedule=schedule), tmp_path / "run")
    recalls, best_step = validations(run), read_json(run / "run.json")["best_step"]
    assert len(recalls) > 1 + 3, "every better validation gives new patience"
    assert max(recalls) == best_step + 3 * 2 < 200


NEIGHBOURS = {
    "regression_weight": 0.1,
    "max_margin_weight": 0.1,
    "partial_order_weight": 0.1,
    "partials_by": "teachers",
    "text_contrast_weight": 0.1,
    "conditional_weight": 0.1,
    "one_to_k_weight": 0.1,
    "self_teaching_weight": 0.1,
    "imitation_weight": 0.1,
}


@pytest.fixture(scope="session")
def teachers(recipe, tmp_path_factory):
    """Two English teachers, the second hardly trained."""
    folder = tmp_path_factory.mktemp("teachers")
    asked = [recipe(data={"langs": ["en"]}, schedule={"steps": steps}) for steps in (100, 2)]
    return [str(train(one, folder / str(number))) for number, one in enumerate(asked)]


def test_every_neighbours_term_trains_and_is_logged(toy, recipe, teachers, tmp_path):
    asked = recipe(objective=NEIGHBOURS, teachers={"runs": teachers[:1]}, schedule={"steps": 100})
    run = train(asked, tmp_path / "run")
    parts = [row["parts"] for row in log(run) if "parts" in row]
    terms = {key.removesuffix("_weight") for key in NEIGHBOURS if key != "partials_by"} | {"contrastive"}
    assert {name.split("/")[0] for name in parts[0]} == terms
    assert "self_teaching/en" not in parts[0]
    report = evaluate(Retriever.load(run / "model"), toy, features=toy.features("noise"))
    assert report.row("it", "R@1").value > 5 * report.row("it", "R@1").chance


def test_the_own_english_teaches_a_language_that_has_no_contrastive_term(toy, recipe, tmp_path):
    settings = {"contrastive_weight": 1, "self_teaching_weight": 1e6, "lang_weight": {"it": 1e-6}}
    run = train(recipe(objective=settings, schedule={"steps": 150}), tmp_path / "run")
    report = evaluate(Retriever.load(run / "model"), toy, features=toy.features("noise"))
    assert report.row("it", "R@1").value > 5 * report.row("it", "R@1").chance


def test_imitation_alone_is_pretraining_on_text(toy, recipe, teachers, tmp_path):
    settings = {"contrastive_weight": 0, "imitation_weight": 1}
    run = train(recipe(objective=settings, teachers={"runs": teachers[:1]}, schedule={"steps": 150}), tmp_path / "run")
    student, teacher = Retriever.load(run / "model"), Retriever.load(Path(teachers[0]) / "model")
    italian = student.encode_text(["un cane rosso", "un gatto blu", "un pesce nero"])
    english = teacher.encode_text(["a red dog", "a blue cat", "a black fish"])
    assert np.argmax(italian @ english.T, axis=1).tolist() == [0, 1, 2]
    assert all("val" not in row for row in log(run)), "clips cannot say how good it is"

    started = train(recipe(start=str(run), schedule={"steps": 1}), tmp_path / "started")
    afresh = train(recipe(schedule={"steps": 1}), tmp_path / "afresh")
    assert read_json(started / "run.json")["start_fingerprint"] == student.fingerprint
    near, far = (Retriever.load(one / "model").encode_text(["un cane rosso"]) for one in (started, afresh))
    assert (near @ italian[0]).item() > 0.95 > (far @ italian[0]).item()
    with pytest.raises(RecipeError, match=r"differs from the run it starts with in text\.project"):
        train(recipe(start=str(run), embed_dim=8), tmp_path / "narrower")
    with pytest.raises(RecipeError, match="starts with in the pieces its texts are cut into"):
        train(recipe(start=str(run), data={"captions_per_clip": {"en": 1}}), tmp_path / "fewer")
    with pytest.raises(RecipeError, match="is no finished run: it has no model"):
        train(recipe(start=str(tmp_path / "nobody")), tmp_path / "lost")


def test_learnt_teacher_weights_prefer_the_better_teacher_and_resume_to_the_same_bytes(recipe, teachers, tmp_path):
    asked = recipe(
        objective={"distillation_weight": 1, "teacher_pooling": "learnt", "teacher_weights_learning_rate": 0.1},
        teachers={"runs": teachers},
    )
    whole = train(asked, tmp_path / "whole")
    good, bad = [row["teacher_weights"] for row in log(whole) if "loss" in row][-1]
    assert good + bad == pytest.approx(1) and good > 0.7

    def interrupt(done, total, doing):
        if total == 30 and done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    resumed = train(asked, tmp_path / "cut", resume=True)
    assert weights(resumed) == weights(whole)
    assert log(resumed)[-2]["teacher_weights"] == log(whole)[-2]["teacher_weights"]


def test_who_cannot_be_imitated_is_refused_before_anything_is_trained(recipe, teachers, tmp_path):
    imitating = {"imitation_weight": 1}
    with pytest.raises(RecipeError, match="embeddings have width 16 and embed_dim is 8"):
        train(recipe(objective=imitating, teachers={"runs": teachers[:1]}, embed_dim=8), tmp_path / "run")
    with pytest.raises(RecipeError, match=r"learn from its own 'en', but learns it; add it to data\.langs"):
        train(recipe(objective={"self_teaching_weight": 1}, data={"langs": ["it"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_references_words_for_pooling_are_said(recipe, teachers, tmp_path):
    said = []
    asked = recipe(
        objective={"distillation_weight": 1, "teacher_pooling": "min"},
        teachers={"runs": teachers},
        schedule={"steps": 1},
        reference=True,
    )
    run = train(asked, tmp_path / "run", progress=lambda done, total, doing: said.append(doing))
    assert "the reference calls it 'min': similarities are pooled the other way round" in said
    assert Retriever.load(run / "model").settings.video.frame_sampling == "first"
    assert load_recipe(run / "recipe.toml") == asked


def test_data_without_a_validation_split_has_one_set_aside_aloud(toy, recipe, tmp_path):
    said = []
    whole = toy.split("train")
    Dataset.build("toy", whole.clips, whole.captions).save(tmp_path / "data")
    (tmp_path / "data" / "features").symlink_to(toy.folder / "features")
    train(
        recipe(data={"dataset": str(tmp_path / "data")}),
        tmp_path / "run",
        progress=lambda done, total, doing: said.append(doing),
    )
    assert "no split 'val': 8 of 80 sources set aside for it" in " ".join(said)
    material = gather_material(recipe(data={"dataset": str(tmp_path / "data")}))
    assert len(material.val.clip_ids) == 8
    assert sorted(material.learnt.clip_ids + material.val.clip_ids) == sorted(whole.clip_ids)


def test_settings_without_effect_are_said(recipe, tmp_path):
    said = []
    train(
        recipe(video={"width": 8, "num_heads": 1}, schedule={"steps": 1}),
        tmp_path / "run",
        progress=lambda done, total, doing: said.append(doing),
    )
    assert "settings without effect: video.num_heads, video.width" in said


def test_clips_without_features_and_a_loss_that_is_no_number_are_refused(toy, recipe, tmp_path):
    whole = toy.split("train")
    ids = ["stranger" if clip_id == "clip000" else clip_id for clip_id in whole.clip_ids]
    clips = whole.clips.set_column(0, "clip_id", [ids])
    captions = whole.where_clips(np.array([clip_id != "clip000" for clip_id in whole.clip_ids])).captions
    Dataset.build("toy", clips, captions).save(tmp_path / "data")
    (tmp_path / "data" / "features").symlink_to(toy.folder / "features")
    with pytest.raises(DataError, match="1 clips of dataset 'toy' have no 'noise' features, the first is 'stranger'"):
        train(recipe(data={"dataset": str(tmp_path / "data")}), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"the loss is nan at step .*lower optimizer\.learning_rate"):
        train(recipe(optimizer={"learning_rate": 1e30}), tmp_path / "wild")


def test_keeping_the_last_weights_needs_no_validation_clips_and_learns_from_all(toy, recipe, tmp_path):
    whole = toy.split("train")
    Dataset.build("toy", whole.clips, whole.captions).save(tmp_path / "data")
    (tmp_path / "data" / "features").symlink_to(toy.folder / "features")
    asked = recipe(data={"dataset": str(tmp_path / "data")}, schedule={"keep": "last"})
    assert gather_material(asked).learnt.clip_ids == whole.clip_ids
    run = train(asked, tmp_path / "run")
    assert not any("val" in row for row in log(run))
    assert Retriever.load(run / "model").langs == ("en", "it")
    assert recipe(schedule={"keep": "last", "patience": 3}).idle_settings() == [
        "schedule.patience",
        "schedule.validate_every_steps",
    ]


def test_missing_captions_are_filled_only_where_the_recipe_says_so(recipe):
    masked, filled = (gather_material(recipe(data={"substitutes": langs})).learnt for langs in ([], ["en", "it"]))
    count = {name: data.in_langs(["it"]).captions.num_rows for name, data in {"m": masked, "f": filled}.items()}
    assert count["m"] == len(masked.clip_ids) == count["f"], "every clip has an Italian caption of its own"
    english = recipe(data={"substitutes": ["en", "it", "de"], "langs": ["de"]})
    assert gather_material(english).learnt.langs == ("de",)
