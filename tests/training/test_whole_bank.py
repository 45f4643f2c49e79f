"""Distillation beyond the batch: against the slow loop, against the full sum, and in a run."""

import json

import numpy as np
import pytest
import torch
from moments import stop_after
from torch.nn.functional import normalize

from polyreel.training.batches import Candidates, sample_batches
from polyreel.training.candidates import choose_candidates
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.objectives import distillation
from polyreel.training.runs import RunFolder
from polyreel.training.under_way import Training
from polyreel.training.whole_bank import KeptClips, bank_distillation, bank_divergence

TEMPERATURE = 0.2


def sims(seed, rows, clips):
    generator = torch.Generator().manual_seed(seed)
    texts, others = (normalize(torch.randn(count, 8, generator=generator), dim=-1) for count in (rows, clips))
    return texts @ others.T


def test_the_divergence_is_the_slow_loop_of_its_formula():
    student, teacher, weights = sims(1, 3, 5), sims(2, 3, 5), torch.tensor([1.0, 1.0, 4.0, 4.0, 2.0])
    found = bank_divergence(student, teacher, weights.log(), TEMPERATURE)
    for row in range(3):
        over_p = [weights[j] * torch.exp(teacher[row, j] / TEMPERATURE) for j in range(5)]
        over_q = [weights[j] * torch.exp(student[row, j] / TEMPERATURE) for j in range(5)]
        p, q = ([one / sum(over) for one in over] for over in (over_p, over_q))
        assert found[row].item() == pytest.approx(sum((a * (a / b).log()).item() for a, b in zip(p, q, strict=True)))


def test_with_the_batch_for_the_bank_it_is_the_row_direction_of_distillation():
    student, teacher, nothing = sims(1, 4, 4), sims(2, 4, 4), torch.zeros(4)
    columns = torch.arange(4)
    both = distillation(student, teacher, columns, TEMPERATURE)
    rows = bank_distillation(student, teacher, nothing, TEMPERATURE)
    of_clips = bank_distillation(student.T, teacher.T, nothing, TEMPERATURE)
    assert (rows + of_clips).item() == pytest.approx(both.item())
    assert bank_distillation(student[:0], teacher[:0], nothing, TEMPERATURE) == 0
    weights = torch.tensor([0.0, 0.0, 1.0, 0.0])
    one = bank_distillation(student[2:3], teacher[2:3], nothing, TEMPERATURE)
    assert bank_distillation(student, teacher, nothing, TEMPERATURE, weights).item() == pytest.approx(one.item())


def test_a_sample_tends_to_the_full_sum_as_it_grows():
    num_clips, batch = 2000, np.arange(4)
    student, teacher = sims(1, 4, num_clips), sims(2, 4, num_clips)
    full = bank_divergence(student, teacher, torch.zeros(num_clips), TEMPERATURE)
    hard = torch.topk(teacher, 8).indices.numpy().ravel()
    errors = []
    for sample in (20, 200, 1500):
        found = []
        for step in range(40):
            drawn = choose_candidates(batch, hard, num_clips, sample, seed=0, step=step)
            seen = np.concatenate([batch, drawn.others_T])
            weights = torch.from_numpy(drawn.log_weights_S)
            found.append(bank_divergence(student[:, seen], teacher[:, seen], weights, TEMPERATURE))
        errors.append((torch.stack(found) - full).square().mean().sqrt().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.03 * full.mean()


def test_kept_embeddings_are_made_anew_on_schedule_and_one_step_sees_the_same():
    asked = []

    def embed(clips):
        asked.append(len(clips))
        return torch.full((len(clips), 2), float(len(asked)))

    def of(kept, step):
        wanted = Candidates(step=step, others_T=np.array([4, 1]), log_weights_S=np.zeros(3, np.float32))
        first = kept.of(wanted)
        assert kept.of(wanted) is first
        return first[0, 0].item()

    kept = KeptClips(embed, 6, 3)
    assert [of(kept, step) for step in range(5)] == [1, 1, 1, 2, 2] and asked == [6, 6]
    later = KeptClips(embed, 6, 3)
    later.put(kept.state())
    assert of(later, 5) == 2, "what was saved is gone on with"
    asked.clear()
    fresh = KeptClips(embed, 6, 1)
    of(fresh, 0)
    assert asked == [2] and fresh.state() == {}, "at every step, only those looked at"


@pytest.fixture(scope="module")
def teacher(recipe, tmp_path_factory):
    return train(recipe(data={"langs": ["en"]}), tmp_path_factory.mktemp("teacher") / "run")


@pytest.fixture
def asked(recipe, teacher):
    def make(**changes):
        objective = {"whole_bank_weight": 1.0, "contrastive_weight": 0.5, **changes.pop("objective", {})}
        return recipe(objective=objective, teachers={"runs": [str(teacher)]}, **changes)

    return make


def test_a_step_compares_with_all_training_clips_of_which_the_batch_alone_learns(asked, tmp_path):
    asked = asked()
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
    ids = [under_way.table.sentence_ids[int(row)] for row in sentences]
    ids = [one if isinstance(one, str) else one.as_py() for one in ids]
    assert torch.allclose(over.teachers_KVS, bank.similarities(clips, ids), atol=1e-6)


@pytest.mark.parametrize("bank", [{}, {"refresh_every_steps": 7}, {"sample": 10, "hard": 2}])
def test_a_stopped_run_goes_on_to_the_same_bytes(asked, tmp_path, bank):
    asked = asked(bank=bank)
    whole = train(asked, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=stop_after(10))
    train(asked, tmp_path / "cut", resume=True)
    files = [run / "model" / "model.safetensors" for run in (whole, tmp_path / "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_chunks_change_nothing_but_rounding(asked, tmp_path):
    losses = []
    for name, machine in (("whole", {}), ("chunks", {"chunk": 5})):
        run = train(asked(machine=machine), tmp_path / name)
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
        losses.append([line["loss"] for line in log if "loss" in line])
    assert np.allclose(*losses, rtol=1e-3)
