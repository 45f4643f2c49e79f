"""Which training clips a step's sentences are compared with, and how much each counts.

A distribution over ten million clips cannot be computed in every step. Its partition sum Z = sum_j exp(s_j / t) can be
estimated: some clips are looked at for certain (the batch's own, and for every sentence those its teachers score
highest, where nearly all of the sum lies), and of the others a sample is drawn, in which each has the same known
chance. A drawn clip counts for those that were not, by the inverse of that chance (Horvitz and Thompson 1952), so the
estimate of Z has exactly Z for its mean, whichever clips are taken for certain. Its logarithm, and so the loss, is
below the true one in the mean by about Var(Z') / 2 Z^2, which vanishes as the sample grows.

Shapes: `B` clips of the batch, `T` other candidates, `S` all of them, `C` clips of the bank, `Q` sentences.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from polyreel.data.mapped import Ints
from polyreel.training.batches import Candidates
from polyreel.training.objective_settings import TeacherPooling
from polyreel.training.objectives import pool_teachers
from polyreel.training.teachers import TeacherBank

RANKED_AT_ONCE = 2**24  # similarities
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


def hard_clips(
    bank: TeacherBank, pooling: TeacherPooling, count: int, *, ranked_among: int | None = None, seed: int = 0
) -> Callable[[Ints], Ints]:
    """Rank the bank's clips for each of its sentences by what the teachers say; return what looks them up by row.

    Args:
        bank: sentences and clips.
        pooling: of the teachers; where there is one term a teacher, or weights are learnt, their mean ranks.
        count: clips kept a sentence.
        ranked_among: clips drawn once to be ranked; None: all. It bounds the cost, Q x this many similarities a
            teacher, and changes no mean: hard clips need not be the hardest.
        seed: of that draw.
    """
    num_clips = len(bank.clip_ids)
    clips = np.arange(num_clips)
    if ranked_among is not None and ranked_among < num_clips:
        clips = np.sort(np.random.default_rng(seed).choice(num_clips, ranked_among, replace=False))
    count, num_sentences = min(count, len(clips)), bank.num_sentences
    best_QH = np.empty((num_sentences, count), np.int32)
    step = max(1, RANKED_AT_ONCE // len(clips))
    even = "mean" if pooling in ("each", "learnt") else pooling
    for first in range(0, num_sentences, step):
        rows = np.arange(first, min(first + step, num_sentences))
        pooled_QC: Tensor = pool_teachers(bank.gather(rows, clips), even)[0]
        best_QH[rows] = clips[torch.topk(pooled_QC, count, sorted=False).indices.cpu().numpy()]
    return lambda rows: best_QH[rows[rows >= 0]].ravel().astype(np.int64)
