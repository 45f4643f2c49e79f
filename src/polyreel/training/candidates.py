"""Which training clips a step's sentences are compared with, and how much each counts.

A distribution over ten million clips cannot be computed in every step. Its partition sum Z = sum_j exp(s_j / t) can be
estimated: some clips are looked at for certain (the batch's own, and for every sentence those its teachers score
highest, where nearly all of the sum lies), and of the others a sample is drawn, in which each has the same known
chance. A drawn clip counts for those that were not, by the inverse of that chance (Horvitz and Thompson 1952), so the
estimate of Z has exactly Z for its mean, whichever clips are taken for certain. Its logarithm, and so the loss, is
below the true one in the mean by about Var(Z') / 2 Z^2, which vanishes as the sample grows.

Shapes: `B` clips of the batch, `T` other candidates, `S` all of them, `C` clips of the bank, `M` of them that are
ranked, `Q` sentences of the bank, `H` hard clips of each.
"""

import numpy as np
import numpy.typing as npt
import torch

from polyreel.data.mapped import Ints
from polyreel.training.batches import Candidates
from polyreel.training.objective_settings import TeacherPooling
from polyreel.training.objectives import pool_teachers
from polyreel.training.teachers import TeacherBank

Ints32 = npt.NDArray[np.int32]
RANKED_AT_ONCE = 4096  # sentences, and clips
_DRAWS = 6_101  # keeps these draws apart from others of the same seed


def choose_candidates(
    clips_B: Ints, hard: Ints, num_clips: int, sample: int | None, *, seed: int, step: int
) -> Candidates:
    """Take the batch's clips and the hard ones for certain, and draw others.

    Args:
        clips_B: the batch's clips, distinct.
        hard: clips wanted beside them, repeated or not.
        num_clips: size of the bank, C.
        sample: how many to draw of the rest, each set of so many being as likely; None: all there are.
        seed: with the step, determines the draw.
        step: number of the step, from 0.
    """
    sure = np.union1d(clips_B, hard).astype(np.int64)
    num_rest = num_clips - len(sure)
    if sample is None or sample >= num_rest:
        others_T = np.setdiff1d(np.arange(num_clips), clips_B)
        return Candidates(step=step, others_T=others_T, log_weights_S=np.zeros(num_clips, np.float32))
    place = np.sort(np.random.default_rng([seed, _DRAWS, step]).choice(num_rest, sample, replace=False))
    drawn = place + np.searchsorted(sure - np.arange(len(sure)), place, side="right")
    weights = np.zeros(len(sure) + sample, np.float32)
    weights[len(sure) :] = np.log(num_rest / sample)
    others_T = np.concatenate([np.setdiff1d(sure, clips_B), drawn])
    return Candidates(step=step, others_T=others_T, log_weights_S=weights)


def clips_to_rank(num_clips: int, ranked_among: int | None, seed: int) -> Ints:
    """Return the clips `[M]` among which the hard ones are sought.

    Args:
        num_clips: size of the bank.
        ranked_among: how many to draw, once; None: all. It bounds the cost, Q x this many similarities a teacher, and
            changes no mean: hard clips need not be the hardest.
        seed: of that draw.
    """
    if ranked_among is None or ranked_among >= num_clips:
        return np.arange(num_clips)
    return np.sort(np.random.default_rng(seed).choice(num_clips, ranked_among, replace=False))


def rank_clips(bank: TeacherBank, pooling: TeacherPooling, clips_M: Ints, hard_QH: Ints32) -> None:
    """Fill in, for each of the bank's sentences, those clips that the teachers score highest, in no order.

    A block of sentences is compared with a block of clips at a time, so that neither's number is a matter of memory.

    Args:
        bank: Q sentences and their clips.
        pooling: of the teachers; where there is one term a teacher, or weights are learnt, their mean ranks.
        clips_M: clips to choose from, no fewer than H.
        hard_QH: what is filled in.
    """
    even: TeacherPooling = "mean" if pooling in ("each", "learnt") else pooling
    for first in range(0, len(hard_QH), RANKED_AT_ONCE):
        rows_Q = np.arange(first, min(first + RANKED_AT_ONCE, len(hard_QH)))
        hard_QH[rows_Q] = _best_clips(bank, even, rows_Q, clips_M, hard_QH.shape[1])


def _best_clips(bank: TeacherBank, pooling: TeacherPooling, rows_Q: Ints, clips_M: Ints, count: int) -> Ints:
    """Return the best `[Q, count]` of some clips for some sentences, carried from block to block."""
    scores_QH, best_QH = torch.zeros(len(rows_Q), 0), torch.zeros(len(rows_Q), 0, dtype=torch.int64)
    for first in range(0, len(clips_M), RANKED_AT_ONCE):
        part_M = clips_M[first : first + RANKED_AT_ONCE]
        sims_QM = pool_teachers(bank.gather(rows_Q, part_M), pooling)[0].cpu()
        scores = torch.cat([scores_QH, sims_QM], dim=1)
        clips = torch.cat([best_QH, torch.from_numpy(part_M).expand(len(rows_Q), -1)], dim=1)
        scores_QH, places = torch.topk(scores, min(count, scores.shape[1]), sorted=False)
        best_QH = clips.gather(1, places)
    return best_QH.numpy()
