"""Distillation beyond the batch: against the slow loop, and against the full sum."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from polyreel.training.batches import Candidates
from polyreel.training.candidates import choose_candidates
from polyreel.training.objectives import distillation
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
    later.put(kept.state(), torch.device("meta"))
    assert later.kept_CD.is_meta, "where the student is"
    later.put({})
    assert later.kept_CD is None
    asked.clear()
    fresh = KeptClips(embed, 6, 1)
    of(fresh, 0)
    assert asked == [2] and fresh.state() == {}, "at every step, only those looked at"
