"""How weights move: the optimizer a recipe asks for, and the learning rate at every step.

The rate is a function of the step alone, so a resumed run needs no scheduler state.
"""

import math

import torch
from torch import Tensor, nn

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.adaptation import layers
from polyreel.training.lazy import move_rows, read_sparsely
from polyreel.training.processes import whole
from polyreel.training.schedule_settings import OptimizerSettings, ScheduleSettings

_NEVER_BY_ZERO = 1e-6  # as in torch's clip_grad_norm_


def make_optimizer(settings: OptimizerSettings, model: Retriever) -> torch.optim.Optimizer:
    """Make a fused Adam or AdamW; the text backbone may have its own rate, and each of its layers one of its own.

    Raises:
        RecipeError: the layers are to differ, or rows of the table are to be moved lazily, and the backbone has none.
    """
    rate = settings.learning_rate
    backbone_rate = settings.backbone_learning_rate or rate
    backbone = model.text.backbone
    of_backbone = {id(weight) for weight in backbone.parameters()}
    others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in of_backbone]
    groups: list[dict[str, object]] = [{"params": others, "lr": rate, "peak": rate}]
    for weights, factor in _by_depth(backbone, settings.layer_decay):
        groups.append({"params": weights, "lr": rate, "peak": backbone_rate * factor})
    groups = [group for group in groups if group["params"]]
    optimizer: torch.optim.Optimizer
    if settings.name == "adamw":
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    else:
        optimizer = torch.optim.Adam(groups, fused=True)
    if settings.embeddings == "lazy":
        read_sparsely(model)
        optimizer.register_step_pre_hook(move_rows)
    return optimizer


def _by_depth(backbone: nn.Module, decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Return a backbone's weights that learn, each with its factor of the rate.

    What stands above the layers has factor 1, as has the highest layer; each layer below has `decay` times that of the
    next above; what stands below the layers, as the embeddings do, is one layer more.
    """
    weights = [weight for weight in backbone.parameters() if weight.requires_grad]
    if decay == 1.0:
        return [(weights, 1.0)]
    blocks = layers(backbone)
    if not blocks:
        raise RecipeError(
            f"optimizer.layer_decay is {decay}, but this text backbone has no layers; leave it out, or set "
            "optimizer.backbone_learning_rate"
        )
    depth = {id(weight): number for number, block in enumerate(blocks, 1) for weight in block.parameters()}
    is_above, groups = False, dict[int, list[nn.Parameter]]()
    for weight in backbone.parameters():
        is_above = is_above or id(weight) in depth
        if weight.requires_grad:
            groups.setdefault(depth.get(id(weight), len(blocks) if is_above else 0), []).append(weight)
    return [(groups[number], decay ** (len(blocks) - number)) for number in sorted(groups)]


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group `factor` times its peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def rate_factor(settings: ScheduleSettings, step: int, num_steps: int, steps_an_epoch: int) -> float:
    """Return what the peak learning rate is multiplied by at a step, counted from 0.

    exponential: decay^epoch. one-cycle: rises linearly over the first `warm_up` share of the steps, then falls to 0
    along half a cosine (Smith 2018, as in torch's OneCycleLR, without its change of momentum).
    """
    if settings.learning_rate == "constant":
        return 1.0
    if settings.learning_rate == "exponential":
        return float(settings.decay ** (step // steps_an_epoch))
    rising = max(1, round(settings.warm_up * num_steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))


def clip_gradients(model: nn.Module, settings: OptimizerSettings) -> float | None:
    """Scale gradients down to the norm the recipe allows, if it names one; return the norm they had."""
    if settings.max_gradient_norm is None:
        return None
    gradients = _gradients(model)
    norm = whole(nn.utils.get_total_norm(gradients))
    factor = torch.clamp(settings.max_gradient_norm / (norm + _NEVER_BY_ZERO), max=1.0).item()
    for gradient in gradients:
        gradient.mul_(factor)
    return float(norm)


def gradient_norm(model: nn.Module) -> float:
    """Return the Euclidean norm of all gradients together."""
    return float(whole(nn.utils.get_total_norm(_gradients(model))))


def _gradients(model: nn.Module) -> list[Tensor]:
    """Return all gradients, of those that are sparse the rows that are there, each once."""
    found = []
    for weight in model.parameters():
        if weight.grad is not None and weight.grad.is_sparse:
            weight.grad = weight.grad.coalesce()
            found.append(weight.grad.values())
        elif weight.grad is not None:
            found.append(weight.grad)
    return found
