"""Which weights of a student learn, and what its blocks remember: freezing, LoRA, gradient checkpointing.

All three change a model in place before its first step. LoRA is peft's; when the run ends, what was learnt is merged
into the encoder's own weights, so the saved model is like any other and opens without peft.
"""

from difflib import get_close_matches
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from polyreel.errors import RecipeError, saying_which_extra
from polyreel.models.retriever import Retriever
from polyreel.training.scale_settings import AdaptSettings


def adapt(model: Retriever, settings: AdaptSettings) -> None:
    """Freeze the parts that a recipe names, and give its encoder low-rank updates to learn where it asks for them.

    Raises:
        RecipeError: a part has no such name, nothing is left to learn, or LoRA's targets are not there.
        MissingExtraError: LoRA is asked for without peft.
    """
    for part in settings.frozen:
        freeze(model, part)
    if settings.lora_rank:
        with saying_which_extra("adapt.lora_rank"):
            _add_lora(model.text.backbone, settings)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise RecipeError(f"adapt.frozen names {', '.join(settings.frozen)}, and nothing is left that learns")


def freeze(model: Retriever, part: str) -> None:
    """Keep the weights of a part as they are.

    Raises:
        RecipeError: no weight has this name or lies below it.
    """
    found = [weight for name, weight in model.named_parameters() if f"{name}.".startswith(f"{part}.")]
    if not found:
        parts, weights = model.named_modules(), model.named_parameters()
        known = sorted({name for name, _ in parts if name} | {name for name, _ in weights})
        near = get_close_matches(part, known, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}?" if near else "expected a dotted name"
        raise RecipeError(f"adapt.frozen names {part!r}, which the model does not have; {hint}")
    for weight in found:
        weight.requires_grad_(False)


class Release:
    """A text encoder that keeps its weights for the first steps of a run, and learns from then on.

    Args:
        model: the student.
        after_steps: how many; 0: it learns from the start.
    """

    def __init__(self, model: Retriever, after_steps: int) -> None:
        self._text, self._after_steps, self._is_held = model.text, after_steps, False
        self._weights = [weight for weight in model.text.backbone.parameters() if weight.requires_grad]

    def at(self, step: int) -> None:
        """Hold or release it, as a step demands; without gradients the optimizer leaves weights alone."""
        is_held = step < self._after_steps
        if is_held != self._is_held:
            self._is_held = is_held
            for weight in self._weights:
                weight.requires_grad_(not is_held)
            self._text.hold(is_held)


def merge(model: Retriever) -> None:
    """Put LoRA's updates into the weights they belong to; a model without any stays as it is."""
    adapted = [(name, module) for name, module in model.named_modules() if hasattr(module, "get_base_layer")]
    for name, module in adapted:
        module.merge()
        model.set_submodule(name, module.get_base_layer())


def recompute(model: nn.Module) -> int:
    """Let every block of a model forget its activations and compute them again for its gradient; return how many."""
    blocks = layers(model)
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return len(blocks)


def layers(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model, from the lowest up: the members of its lists of modules, outermost lists only."""
    found: dict[str, nn.Module] = {}
    for name, part in model.named_modules():
        is_inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(part, nn.ModuleList) and not is_inside:
            found[name] = part
    return [block for part in found.values() for block in part.children()]


def _add_lora(backbone: nn.Module, settings: AdaptSettings) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, part in backbone.named_modules() if isinstance(part, nn.Linear)]
    ends = settings.lora_targets
    targets = [name for name in linear if not ends or any(f".{name}".endswith(f".{end}") for end in ends)]
    if not targets:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise RecipeError(f"adapt.lora_targets is {', '.join(ends)}, but the encoder's linear maps end in {known}")
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets,
    )
    inject_adapter_in_model(config, backbone)
