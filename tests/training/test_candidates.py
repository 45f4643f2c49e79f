"""Candidates: who is looked at for certain, who is drawn, and that the weights make the sum right in the mean."""

import numpy as np
import pytest

from polyreel.training import candidates
from polyreel.training.candidates import choose_candidates, clips_to_rank, rank_clips
from polyreel.training.teachers import BankedTeacher, TeacherBank

CLIPS = 12


def ints(*numbers):
    return np.array(numbers, np.int64)


def looked_at(found, clips_B):
    return np.concatenate([clips_B, found.others_T])


def unit(seed, rows):
    drawn = np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("sample", [None, 8, 100])
def test_where_all_fit_in_every_clip_is_there_once_and_counts_for_itself(sample):
    batch = ints(7, 2, 9)
    found = choose_candidates(batch, ints(2, 3, 3), CLIPS, sample, seed=1, step=4)
    assert sorted(looked_at(found, batch)) == list(range(CLIPS))
    assert not found.log_weights_S.any() and found.step == 4


def test_batch_and_hard_clips_are_certain_and_each_drawn_one_counts_for_those_that_were_not():
    batch, hard = ints(7, 2), ints(5, 0, 5, 2)
    found = choose_candidates(batch, hard, CLIPS, 4, seed=1, step=0)
    seen = looked_at(found, batch)
    assert len(set(seen)) == len(seen) == 8 and set(seen[:4]) == {7, 2, 5, 0}
    assert np.allclose(np.exp(found.log_weights_S), [1, 1, 1, 1, 2, 2, 2, 2])
    again = choose_candidates(batch, hard, CLIPS, 4, seed=1, step=0)
    assert (again.others_T == found.others_T).all(), "seed and step determine the draw"


def test_the_estimated_sum_is_the_sum_in_the_mean_over_all_draws_there_are():
    values, batch, hard = np.random.default_rng(0).exponential(size=7) ** 3, ints(3), ints(6)
    estimates = {}
    for step in range(300):
        found = choose_candidates(batch, hard, 7, 2, seed=0, step=step)
        seen = looked_at(found, batch)
        estimates[tuple(seen)] = values[seen] @ np.exp(found.log_weights_S.astype(np.float64))
    assert len(estimates) == 10, "every pair of the five clips that are not certain was drawn"
    assert np.mean(list(estimates.values())) == pytest.approx(values.sum(), rel=1e-6)
    assert np.std(list(estimates.values())) > 0.01 * values.sum()


@pytest.mark.parametrize("pooling", ["max", "min", "mean", "each"])
@pytest.mark.parametrize("at_once", [3, 4096])
def test_hard_clips_are_those_the_pooled_teachers_score_highest(pooling, at_once, monkeypatch):
    monkeypatch.setattr(candidates, "RANKED_AT_ONCE", at_once)
    teachers = [
        BankedTeacher(fingerprint=str(k), clips_CD=unit(k, CLIPS), sentences_SD=unit(9 + k, 7)) for k in range(2)
    ]
    bank = TeacherBank(teachers, [str(clip) for clip in range(CLIPS)], list("abcdefg"))
    sims_KQC = bank.gather(np.arange(7), np.arange(CLIPS)).numpy()
    pooled_QC = {"max": sims_KQC.max(0), "min": sims_KQC.min(0)}.get(pooling, sims_KQC.mean(0))
    for clips in (clips_to_rank(CLIPS, None, 3), clips_to_rank(CLIPS, 5, 3)):
        hard = np.full((7, 4), -1, np.int32)
        rank_clips(bank, pooling, clips, hard)
        expected = clips[np.argsort(-pooled_QC[:, clips], axis=1)[:, :4]]
        assert np.sort(hard, axis=1).tolist() == np.sort(expected, axis=1).tolist()


def test_the_clips_to_rank_are_all_or_a_draw_that_the_seed_determines():
    assert clips_to_rank(CLIPS, None, 1).tolist() == clips_to_rank(CLIPS, CLIPS, 1).tolist() == list(range(CLIPS))
    few = clips_to_rank(CLIPS, 5, 1)
    assert len(set(few)) == 5 and sorted(few) == few.tolist() == clips_to_rank(CLIPS, 5, 1).tolist()
    assert few.tolist() != clips_to_rank(CLIPS, 5, 2).tolist()
