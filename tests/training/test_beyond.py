"""Runs that look beyond their batch: what a step sees, what comes of it, and over a stop."""

import json
import signal

import numpy as np
import pytest
import torch
from moments import killed_or_terminated, stop_after

from polyreel.models.retriever import Retriever
from polyreel.training.batches import sample_batches
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.runs import RunFolder
from polyreel.training.under_way import Training


@pytest.fixture(scope="module")
def whole(all_beyond, tmp_path_factory):
    return train(all_beyond(), tmp_path_factory.mktemp("whole") / "run")


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_a_step_compares_with_all_training_clips_of_which_the_batch_alone_learns(recipe, english_teacher, tmp_path):
    asked = recipe(objective={"whole_bank_weight": 1.0}, teachers={"runs": [str(english_teacher)]})
    under_way = Training(asked, gather_material(asked), RunFolder(tmp_path))
    drawn = sample_batches(under_way.table, 8, "independent", seed=1)
    batch = next(under_way.beyond.added_to(drawn, first_step=0))
    found = under_way.scorer.score(batch)
    over = found.by_lang["en"].taught.over_bank
    clips = [under_way.table.clip_ids[clip] for clip in [*batch.clips_B, *batch.candidates.others_T]]
    assert sorted(clips) == sorted(under_way.table.clip_ids)
    store = under_way.material.features
    expected = found.by_lang["en"].texts_RD.detach().numpy() @ under_way.model.encode_clips([store[c] for c in clips]).T
    assert np.allclose(over.student_VS.detach(), expected, atol=1e-5)
    bank, sentences = under_way.material.bank, batch.by_lang["en"].sentences_R
    ids = [under_way.table.sentence_ids[row] for row in sentences]
    assert over.teachers_KVS.numpy() == pytest.approx(bank.similarities(clips, ids).numpy(), abs=1e-6)
    size, weights = len(batch.clips_B), list(under_way.model.video.parameters())
    inside, outside = (over.student_VS[:, part].sum() for part in (slice(0, size), slice(size, None)))
    assert all(
        bool(grad.any()) is found
        for part, found in ((inside, True), (outside, False))
        for grad in torch.autograd.grad(part, weights, retain_graph=True)
    )


def test_a_step_looks_at_the_hard_clips_of_its_captions_and_pairs(all_beyond, tmp_path):
    asked = all_beyond()
    under_way = Training(asked, gather_material(asked), RunFolder(tmp_path))
    drawn = sample_batches(under_way.table, 4, "independent", seed=1)
    batch = next(under_way.beyond.added_to(drawn, first_step=0))
    seen = {under_way.table.clip_ids[clip] for clip in [*batch.clips_B, *batch.candidates.others_T]}
    material, table = under_way.material, under_way.table
    captions = [table.sentence_ids[row] for row in batch.by_lang["en"].sentences_R]
    pairs = [material.pair_bank.sentence_ids[row] for row in batch.pairs["it"].bank_rows_P]
    for bank, ids in ((material.bank, captions), (material.pair_bank, pairs)):
        for sims_C in bank.similarities(table.clip_ids, ids)[0]:
            assert {table.clip_ids[clip] for clip in sims_C.topk(2).indices} <= seen
    assert len(seen) < len(table.clip_ids)


DISTILLED, ALIGNED = {"pair_alignment_weight": 0.0}, {"pair_distillation_weight": 0.0}
PAIRS_ALONE = {"objective": {**DISTILLED, "contrastive_weight": 0.0}, "video": {"tower": "teacher"}}


@pytest.mark.parametrize("changes", [{"objective": DISTILLED}, {"objective": ALIGNED}, PAIRS_ALONE])
def test_a_language_is_learnt_without_any_video_in_it(paired, english_teacher, toy, tmp_path, changes):
    run = train(paired(**changes, schedule={"steps": 100}), tmp_path / "run")
    found = {}
    test = toy.split("test")
    for name, folder in (("teacher", english_teacher), ("student", run)):
        model = Retriever.load(folder / "model")
        italian = test.in_langs(["it"]).captions
        clips = model.encode_clips([toy.features("noise")[clip] for clip in test.clip_ids])
        sims = model.encode_text(italian["text"].to_pylist()) @ clips.T
        own = [test.clip_ids.index(clip) for clip in italian["clip_id"].to_pylist()]
        found[name] = np.mean((sims > sims[np.arange(len(own)), own][:, None]).sum(1) < 5)
    assert found["student"] > found["teacher"] + 0.2
    assert Retriever.load(run / "model").langs == ("en", "it")
    assert json.loads((run / "run.json").read_text("utf-8"))["pairs_fingerprint"]


def test_a_stopped_run_goes_on_to_the_same_bytes(all_beyond, whole, tmp_path):
    """Stopped between two refreshes of the kept clips, in an epoch of pairs, with one of three epochs averaged."""
    with pytest.raises(KeyboardInterrupt):
        train(all_beyond(), tmp_path / "cut", progress=stop_after(23))
    train(all_beyond(), tmp_path / "cut", resume=True)
    assert weights(tmp_path / "cut") == weights(whole) and losses(tmp_path / "cut") == losses(whole)


@pytest.mark.slow
@pytest.mark.parametrize("logged", [1, 3])
def test_a_killed_run_goes_on_to_the_same_bytes(all_beyond, whole, tmp_path, logged):
    asked = all_beyond(machine={"save_every_seconds": 0})
    killed_or_terminated(asked, tmp_path, signal.SIGKILL, logged)
    assert weights(train(asked, tmp_path / "cut", resume=True)) == weights(whole)
