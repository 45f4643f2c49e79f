"""Adam that moves only the rows of a table that a batch has read: a sentence of ten pieces moves ten rows, not 500,000.

The table's gradient is sparse, and a row's two moments and weights move, by Adam's formula, only in the steps whose
batch has the row's piece. In all other steps dense Adam lets the moments fade and moves the row on along what is left
of them, and AdamW shrinks it; here it stays as it is. The correction of the moments counts the table's steps, not the
row's. Where every row occurs in every batch this is dense Adam, or AdamW. torch's SparseAdam does the same but for
where epsilon stands, knows no decay, and its state does not come back from a file to the last digit.

Shapes: `R` rows of a batch, `D` dims.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from polyreel.errors import RecipeError
from polyreel.models.pieces import PieceTable
from polyreel.models.retriever import Retriever


class _Kind(NamedTuple):
    """What Adam's formula needs to know."""

    rate: float
    fading: tuple[float, float]
    epsilon: float
    decay: float


def read_sparsely(model: Retriever) -> None:
    """Have the gradient of the text tower's table of pieces name the rows of the batch alone.

    Raises:
        RecipeError: the text backbone has no such table.
    """
    table = getattr(model.text.backbone, "table", None)
    if not isinstance(table, PieceTable | nn.Embedding):
        raise RecipeError(
            f'optimizer.embeddings is "lazy", but what reads the pieces of this text backbone is a '
            f'{type(table).__name__}; use "dense"'
        )
    table.sparse = True


def is_lazy(module: nn.Module) -> bool:
    """Tell whether a module is a table whose rows are moved lazily."""
    return isinstance(module, PieceTable | nn.Embedding) and module.sparse


@torch.no_grad()
def move_rows(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Move the rows of sparse gradients, which are then done with: a hook before the step of Adam or AdamW."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None and weight.grad.is_sparse:
                kind = _Kind(*(group[name] for name in ("lr", "betas", "eps", "weight_decay")))
                _move(weight, weight.grad.coalesce(), optimizer.state[weight], kind)
                weight.grad = None


def _move(weight: Tensor, gradient: Tensor, state: dict[str, Tensor], kind: "_Kind") -> None:
    if not state:
        state["step"] = torch.zeros((), device=weight.device)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    rate, (first, second), epsilon, decay = kind
    state["step"] += 1
    step = state["step"].item()
    rows_R, gradient_RD = gradient.indices()[0], gradient.values()
    mean_RD = state["exp_avg"][rows_R].lerp_(gradient_RD, 1 - first)
    square_RD = state["exp_avg_sq"][rows_R].mul_(second).addcmul_(gradient_RD, gradient_RD, value=1 - second)
    spread_RD = square_RD.sqrt().div_(math.sqrt(1 - second**step)).add_(epsilon)
    moved_RD = weight[rows_R].mul_(1 - rate * decay).addcdiv_(mean_RD, spread_RD, value=-rate / (1 - first**step))
    for whole, part_RD in ((state["exp_avg"], mean_RD), (state["exp_avg_sq"], square_RD), (weight, moved_RD)):
        whole.index_copy_(0, rows_R, part_RD)
