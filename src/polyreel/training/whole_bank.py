"""Distillation beyond the batch: a sentence's distribution over all training clips, or a weighted sample of them.

`objectives.distillation` compares a sentence with the clips that happen to be in its batch. The teachers' clip
embeddings are all banked, so they can be asked about every training clip at the price of one matrix product; what the
student lacks is its own embeddings of clips outside the batch, which are made here without gradient, in every step or
now and then. The batch's clips keep theirs.

Shapes: `R` sentences, `V` those the teachers have read, `S` candidates, `T` of them outside the batch, `K` teachers,
`D` dims, `C` clips of the bank.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyreel.data.mapped import Ints
from polyreel.models.devices import CPU, placed
from polyreel.training.batches import Candidates
from polyreel.training.objectives import divergence, weighted_mean

EMBEDDED_AT_ONCE = 4096
_STATE = "kept_clips"


@dataclass(frozen=True, kw_only=True)
class OverBank:
    """What student and teachers say of some sentences and the step's candidates.

    Attributes:
        student_VS: cosine similarities of the student.
        teachers_KVS: of the teachers.
        log_weights_S: logarithm of how many clips each candidate stands for.
    """

    student_VS: Tensor
    teachers_KVS: Tensor
    log_weights_S: Tensor


def bank_divergence(student_RS: Tensor, teacher_RS: Tensor, log_weights_S: Tensor, temperature: float) -> Tensor:
    """Return how far the student's distribution over the bank is from the teacher's, one number a sentence, `[R]`.

    KL(p || q) with p_j ~ w_j exp(T_j / t) and q_j ~ w_j exp(S_j / t) over the candidates j. With every clip a
    candidate and all w = 1 it is the divergence over the bank itself, the row direction of `objectives.distillation`
    with the bank for the batch; with a weighted sample both partition sums are estimated without bias, and it tends to
    that divergence as the sample grows (`candidates.py`).

    Args:
        student_RS: cosine similarities of the student.
        teacher_RS: of a teacher, or of several pooled; no gradient flows into them.
        log_weights_S: logarithm of how many clips each candidate stands for.
        temperature: divides the similarities of both.
    """
    return divergence(student_RS / temperature + log_weights_S, teacher_RS.detach() / temperature + log_weights_S)


def bank_distillation(
    student_RS: Tensor,
    teacher_RS: Tensor,
    log_weights_S: Tensor,
    temperature: float,
    weights_R: Tensor | None = None,
) -> Tensor:
    """Give the student the teacher's distribution over the bank for each sentence: the mean of `bank_divergence`.

    There is no direction from clips to texts: it would need the teachers' distribution over all sentences.

    Args:
        student_RS: cosine similarities of the student.
        teacher_RS: of a teacher, or of several pooled.
        log_weights_S: logarithm of how many clips each candidate stands for.
        temperature: divides the similarities of both.
        weights_R: how much each sentence counts (`weighted_mean`); None: all alike.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(student_RS) == 0:
        return student_RS.sum() * 0
    return weighted_mean(bank_divergence(student_RS, teacher_RS, log_weights_S, temperature), weights_R)


class KeptClips:
    """The student's embeddings of clips outside the batch, without gradient.

    Args:
        embed: gives unit embeddings of clips by their positions, asked without gradient and without dropout.
        num_clips: of the bank.
        refresh_every_steps: how often all are made anew; 1: none are kept, and those asked for are made.
    """

    def __init__(self, embed: Callable[[Ints], Tensor], num_clips: int, refresh_every_steps: int) -> None:
        self._embed, self._num_clips, self._every = embed, num_clips, refresh_every_steps
        self._last: tuple[Candidates, Tensor] | None = None
        self.kept_CD: Tensor | None = None

    def of(self, candidates: Candidates) -> Tensor:
        """Return the embeddings `[T, D]` of a step's candidates outside the batch; asked again, the same ones."""
        if self._last is None or self._last[0] is not candidates:
            self._last = candidates, self._look_up(candidates)
        return self._last[1]

    def state(self) -> dict[str, Tensor]:
        """Return what a run needs to go on, by name: nothing where none are kept."""
        return {} if self.kept_CD is None else {_STATE: self.kept_CD.cpu()}

    def put(self, state: Mapping[str, Tensor], device: torch.device = CPU) -> None:
        """Go back to a saved state, on the device where the student is."""
        self.kept_CD = state[_STATE].to(device) if _STATE in state else None

    def _look_up(self, candidates: Candidates) -> Tensor:
        if self._every == 1:
            return self._of(candidates.others_T)
        if self.kept_CD is None or candidates.step % self._every == 0:
            self.kept_CD = self._of(np.arange(self._num_clips))
        return self.kept_CD[placed(candidates.others_T, self.kept_CD.device)]

    def _of(self, clips: Ints) -> Tensor:
        parts = range(0, max(1, len(clips)), EMBEDDED_AT_ONCE)
        return torch.cat([self._embed(clips[first : first + EMBEDDED_AT_ONCE]) for first in parts])
