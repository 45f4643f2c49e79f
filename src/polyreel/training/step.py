"""One step: how a batch moves the weights.

Shapes: `K` teachers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polyreel.models.retriever import Retriever
from polyreel.training.adaptation import Release
from polyreel.training.batches import ParallelBatch
from polyreel.training.descent import Backward, cut_at_embeddings, in_one_piece
from polyreel.training.faults import naming_memory
from polyreel.training.optimization import clip_gradients, gradient_norm, make_optimizer, rate_factor, set_rate
from polyreel.training.processes import Processes
from polyreel.training.recipes import Recipe
from polyreel.training.scoring import Scorer
from polyreel.training.terms import Loss


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A step that was taken, or not.

    Attributes:
        loss: of the batch, before the weights moved.
        gradient_norm: before gradients were clipped; None where nobody asked for it.
        has_moved: false where the loss is no number, and so the weights stayed as they were.
    """

    loss: Loss
    gradient_norm: float | None
    has_moved: bool


class Stepper:
    """Move a student's weights, batch by batch.

    Args:
        recipe: objective, optimizer, schedule.
        model: the student.
        scorer: what a batch offers to the objective.
        processes: those that take each step together.
        num_steps: how many there will be.
        steps_an_epoch: how many make an epoch.

    Attributes:
        optimizer: of the student's weights, and of the teachers' where they are learnt.
        teacher_logits_K: the teachers' weights before softmax; None where none are learnt.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Retriever,
        scorer: Scorer,
        processes: Processes,
        *,
        num_steps: int,
        steps_an_epoch: int,
    ) -> None:
        self._recipe, self._model, self._scorer, self._processes = recipe, model, scorer, processes
        self._num_steps, self._steps_an_epoch = num_steps, steps_an_epoch
        self._release = Release(model, recipe.adapt.release_after_epochs * steps_an_epoch)
        self.optimizer = make_optimizer(recipe.optimizer, model)
        self.teacher_logits_K = self._learn_teacher_weights()

    @property
    def learning_rate(self) -> float:
        """The present rate of everything but the text backbone."""
        return float(self.optimizer.param_groups[0]["lr"])

    def take(self, batch: ParallelBatch, step: int, *, is_measured: bool) -> Taken:
        """Take a step.

        Args:
            batch: what it is taken on; the same in every process.
            step: its number, from 0.
            is_measured: whether the gradients' norm is wanted; it is known anyway where gradients are clipped.

        Raises:
            TrainingError: memory is not enough.
        """
        self._release.at(step)
        set_rate(self.optimizer, rate_factor(self._recipe.schedule, step, self._num_steps, self._steps_an_epoch))
        self.optimizer.zero_grad(set_to_none=True)
        with naming_memory(self._recipe, batch):
            loss, backward = self._descend(batch)
            if not torch.isfinite(loss.total):
                return Taken(loss=loss, gradient_norm=None, has_moved=False)
            backward()
            norm = clip_gradients(self._model, self._recipe.optimizer)
            if norm is None and is_measured:
                norm = gradient_norm(self._model)
            self.optimizer.step()
        return Taken(loss=loss, gradient_norm=norm, has_moved=True)

    def _descend(self, batch: ParallelBatch) -> tuple[Loss, Backward]:
        weights_K = None if self.teacher_logits_K is None else self.teacher_logits_K.softmax(dim=0)
        if self._recipe.machine.chunk is None and self._processes.count == 1:
            return in_one_piece(self._scorer, self._recipe.objective, batch, weights_K)
        return cut_at_embeddings(self._scorer, self._recipe.objective, batch, weights_K, self._processes)

    def _learn_teacher_weights(self) -> Tensor | None:
        """Start the weights of the teachers asked even, in the optimizer with a rate of their own.

        None where none are learnt: one teacher alone has nothing to be weighed against.
        """
        settings, num_teachers = self._recipe.objective, self._recipe.teachers.num_asked
        if not settings.pools_teachers or settings.teacher_pooling != "learnt" or num_teachers < 2:
            return None
        logits_K = nn.Parameter(torch.zeros(num_teachers, device=self._model.device))
        rate = settings.teacher_weights_learning_rate
        self.optimizer.add_param_group({"params": [logits_K], "lr": rate, "peak": rate, "weight_decay": 0.0})
        return logits_K
