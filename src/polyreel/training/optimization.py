"""How weights move: the optimizer a recipe asks for, and the learning rate at every step.

The rate is a function of the step alone, so a resumed run needs no scheduler state.
"""

import math

import torch
from torch import nn

from polyreel.models.retriever import Retriever
from polyreel.training.recipes import OptimizerSettings, ScheduleSettings


def make_optimizer(settings: OptimizerSettings, model: Retriever) -> torch.optim.Optimizer:
    """Make a fused Adam or AdamW; the text backbone may have its own rate."""
    backbone = [weight for weight in model.text.backbone.parameters() if weight.requires_grad]
    of_backbone = {id(weight) for weight in backbone}
    others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in of_backbone]
    rate = settings.learning_rate
    groups = [
        {"params": others, "lr": rate, "peak": rate},
        {"params": backbone, "lr": rate, "peak": settings.backbone_learning_rate or rate},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    return torch.optim.Adam(groups, fused=True)


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


def clip_gradients(model: nn.Module, settings: OptimizerSettings) -> None:
    """Scale gradients down to the norm the recipe allows, if it names one."""
    if settings.max_gradient_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient_norm)
