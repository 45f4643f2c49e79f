"""Learning a language from sentence pairs: what teachers make of English, the student must make of the other side.

No video belongs to a pair, but the teachers can score its English sentence against every training clip, and that
distribution teaches as much as a video's caption does: C2KD with the bank for the batch. Beside it, or instead, the
sentence's embedding is brought to that of the English one, held fixed.

Shapes: `P` pairs of one language in a step, `S` candidates, `D` dims, `K` teachers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyreel.data.mapped import Ints
from polyreel.models.tokens import Tokens
from polyreel.training.batches import PairRows
from polyreel.training.crosslingual import imitation
from polyreel.training.objective_settings import ObjectiveSettings, TeacherPooling
from polyreel.training.objectives import pool_teachers, weighted_mean
from polyreel.training.whole_bank import OverBank, bank_divergence

_ORDERS = 7_919  # keeps the pairs' random order apart from the batches'


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """One language's pairs in a scored batch.

    Attributes:
        texts_PD: the student's unit embeddings of the sentences in that language.
        english_PD: of the same sentences in the teachers' language, without gradient; None where nothing reads them.
        over_bank: what student and teachers say of them and the candidates; None where nobody is asked.
    """

    texts_PD: Tensor
    english_PD: Tensor | None = None
    over_bank: OverBank | None = None


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """Sentence pairs of one language, as positions.

    Attributes:
        first_row: where the sentences in that language begin in the tokens.
        first_english: where those in the teachers' language do.
        bank_row_N: row of each pair's sentence in the bank of pairs.
    """

    first_row: int
    first_english: int
    bank_row_N: Ints

    def draw(self, size: int, seed: int, step: int) -> PairRows:
        """Draw pairs: each pass over them is a new order, each pair once; seed and step determine them.

        Args:
            size: pairs of a step; where there are fewer, all.
            seed: of the orders.
            step: number of the step, from 0.
        """
        count = len(self.bank_row_N)
        size = min(size, count)
        numbers = np.arange(step * size, (step + 1) * size)
        epochs = np.unique(numbers // count)
        orders = {epoch: np.random.default_rng([seed, _ORDERS, epoch]).permutation(count) for epoch in epochs.tolist()}
        rows_P = np.concatenate([orders[epoch][numbers[numbers // count == epoch] % count] for epoch in orders])
        return PairRows(
            rows_P=self.first_row + rows_P, english_P=self.first_english + rows_P, bank_rows_P=self.bank_row_N[rows_P]
        )


class WithPairs:
    """Tokens of captions, and behind them those of sentence pairs; the captions' stay where they are.

    Args:
        captions: of the captions.
        pairs: of the pairs' sentences.
    """

    def __init__(self, captions: Tokens, pairs: Tokens) -> None:
        self._captions, self._pairs = captions, pairs

    def select(self, rows: Ints) -> Tokens:
        """Gather texts by their positions; captions stand before pairs there, as in every batch."""
        num_captions = len(self._captions)
        is_pair = rows >= num_captions
        assert (np.diff(is_pair.astype(np.int8)) >= 0).all(), "captions stand before pairs"
        return Tokens.joined([self._captions.select(rows[~is_pair]), self._pairs.select(rows[is_pair] - num_captions)])


def pair_losses(settings: ObjectiveSettings, scored: ScoredPairs, weights_K: Tensor | None) -> dict[str, Tensor]:
    """Return the terms of one language's pairs, unweighted, by name.

    `pair_distillation` is the mean of `bank_divergence`, over teachers as elsewhere. `pair_alignment` is `imitation` of
    the student's own English embedding, |x - e|^2, as in Sentence-BERT with the student for its own teacher.

    Args:
        settings: which terms count, and what they read.
        scored: the pairs.
        weights_K: how "learnt" pooling weighs the teachers.
    """
    losses, trust_P = {}, None
    if scored.over_bank is not None:
        pooling, temperature = settings.teacher_pooling, settings.distillation_temperature
        divergence_P = divergence_of_pairs(scored.over_bank, pooling, temperature, weights_K)
        trust_P = trust(divergence_P, settings.pair_doubt)
        losses["pair_distillation"] = weighted_mean(divergence_P, trust_P)
    if scored.english_PD is not None:
        if trust_P is None:
            losses["pair_alignment"] = imitation(scored.texts_PD, scored.english_PD)
        else:
            distance_P = (scored.texts_PD - scored.english_PD.detach()).square().sum(-1)
            losses["pair_alignment"] = weighted_mean(distance_P, trust_P)
    return losses


def divergence_of_pairs(
    over: OverBank, pooling: TeacherPooling, temperature: float, weights_K: Tensor | None = None
) -> Tensor:
    """Return how far student and teachers are from each other on each pair `[P]`.

    `bank_divergence`, averaged over the teachers that are left after pooling.

    Args:
        over: what student and teachers say of the pairs and the candidates.
        pooling: of the teachers.
        temperature: divides the similarities of both.
        weights_K: how "learnt" pooling weighs the teachers.
    """
    pooled_KPS = pool_teachers(over.teachers_KVS, pooling, weights_K)
    return torch.stack(
        [bank_divergence(over.student_VS, one, over.log_weights_S, temperature) for one in pooled_KPS]
    ).mean(0)


def trust(divergence_P: Tensor, doubt: float) -> Tensor | None:
    """Say how far each pair is trusted, by how far student and teachers are from each other on it.

    w_i = exp(-doubt d_i / mean d), no gradient: a wrong translation is one on which the two keep disagreeing while
    they come together on the others. None with no doubt: all alike.

    Args:
        divergence_P: of student and teachers, one number a pair.
        doubt: how quickly trust falls.
    """
    if not doubt:
        return None
    divergence_P = divergence_P.detach()
    return (-doubt * divergence_P / divergence_P.mean().clamp(min=1e-12)).exp()
