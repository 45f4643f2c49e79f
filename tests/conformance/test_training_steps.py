"""Four Adam steps of each of the reference's stages, by our recipes, scorer, objective and optimizer."""

import json

import numpy as np
import pytest
import torch

from polyreel.models.tokens import Tokens
from polyreel.training.batches import CaptionTable, LangCaptions, LangRows, ParallelBatch
from polyreel.training.optimization import make_optimizer
from polyreel.training.recipes import Recipe
from polyreel.training.scoring import Scorer
from polyreel.training.teachers import BankedTeacher, TeacherBank
from polyreel.training.terms import objective

TOLERANCE = 1e-4
STEPS, SIZE = 4, 8
CLIPS = np.arange(STEPS * SIZE)
NAMES = [str(clip) for clip in CLIPS]


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "conformance" / "training_steps.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def told(shared):
    return json.loads((shared / "conformance" / "training_steps.json").read_text())


@pytest.fixture(scope="module")
def table(golden, told):
    """The captions of all steps as one table: a clip and a sentence each."""
    ids, by_lang = [], {}
    for lang in told["langs"]:
        by_lang[lang] = LangCaptions(
            first_row=len(ids),
            sentence_Q=CLIPS,
            first_C=np.arange(len(CLIPS) + 1),
            cumulative_weight_Q=np.arange(1.0, len(CLIPS) + 1),
            row_of_sentence_S=CLIPS,
        )
        for step in range(STEPS):
            pairs = zip(golden[f"step{step}_ids_{lang}"], golden[f"step{step}_mask_{lang}"], strict=True)
            ids += [row[mask == 1].tolist() for row, mask in pairs]
    return CaptionTable(
        clip_ids=NAMES,
        sentence_ids=NAMES,
        first_sentence_C=np.arange(len(CLIPS) + 1),
        tokens=Tokens.from_lists(ids),
        weight_N=np.ones(len(ids), np.float32),
        by_lang=by_lang,
    )


@pytest.fixture(scope="module")
def frames(golden):
    video, mask = (np.concatenate([golden[f"step{step}_{name}"] for step in range(STEPS)]) for name in FRAMES)
    return torch.from_numpy(video), torch.from_numpy(mask) > 0


FRAMES = ("video", "video_mask")


@pytest.fixture(scope="module")
def bank(reference_model, table, frames):
    english = table.tokens.select(table.by_lang["en"].first_row + CLIPS)
    teachers = []
    for name in ("teacher0", "teacher1"):
        teacher = reference_model(name)
        with torch.no_grad():
            clips, texts = teacher.embed_clips(*frames).numpy(), teacher.embed_texts(english).numpy()
        teachers.append(BankedTeacher(fingerprint=name, clips_CD=clips, sentences_SD=texts))
    return TeacherBank(teachers, NAMES, NAMES)


def recipe(stage, told):
    """Ask for a stage as the reference's scripts do: the maximum over teachers is what it calls min."""
    objective = {"temperature": told["tau"]}
    if stage == "c2kd":
        objective |= {
            "contrastive_weight": told["alpha"],
            "distillation_weight": 1 - told["alpha"],
            "distillation_temperature": told["tau_distillation"],
            "teacher_pooling": "min",
        }
    return Recipe.model_validate(
        {
            "data": {"dataset": "golden", "features": "golden"},
            "objective": objective,
            "teachers": {"runs": ["teacher0", "teacher1"] if stage == "c2kd" else []},
            "optimizer": {"learning_rate": told["learning_rate"]},
            "reference": True,
        }
    ).expanded()


def batch_of(table, step, langs):
    clips = CLIPS[step * SIZE : (step + 1) * SIZE]
    return ParallelBatch(
        clips_B=clips,
        by_lang={
            lang: LangRows(rows_R=table.by_lang[lang].first_row + clips, columns_R=np.arange(SIZE), sentences_R=clips)
            for lang in langs
        },
    )


@pytest.mark.parametrize("stage", ["zero_shot", "translate_train", "c2kd"])
def test_losses_of_four_steps_and_the_similarities_after_them(
    stage, golden, told, table, frames, bank, reference_model
):
    asked, student = recipe(stage, told), reference_model("student")
    scorer = Scorer(asked, student, table, frames, bank if stage == "c2kd" else None)
    optimizer = make_optimizer(asked.optimizer, student)
    losses = []
    for step in range(STEPS):
        batch = batch_of(table, step, ["en"] if stage == "zero_shot" else told["langs"])
        loss = objective(asked.objective, scorer.score(batch)).total
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(losses, golden[f"loss_{stage}"], rtol=TOLERANCE)
    with torch.no_grad():
        found = scorer.score(batch_of(table, 0, told["langs"]))
    for lang, sims in found.by_lang.items():
        expected = golden[f"final_sims_{stage}_{lang}"]
        assert np.abs(sims.student_RC.numpy() - expected).max() <= TOLERANCE * np.abs(expected).max()
