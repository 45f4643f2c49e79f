"""The layers of a student's text encoder, compiled by torch.compile.

Each layer is compiled once for rows of any length, and layers of one kind share what was compiled. Lookups of pieces,
and packed attention, which depends on the lengths of every batch's captions, stay outside. A module is compiled in
place: its weights keep their names, and what is saved tells nothing of it.
"""

import torch

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.adaptation import layers


def compile_encoder(model: Retriever) -> None:
    """Compile the layers of a model's text backbone, which happens when they are called first.

    Raises:
        RecipeError: it has no layers, or nothing can be compiled here.
    """
    backbone = model.text.backbone
    blocks = layers(backbone)
    if not blocks:
        raise RecipeError("machine.compiles is true, but this text backbone has no layers; leave it out")
    _check_compiler(model.device)
    if (encoder := getattr(backbone, "model", None)) is not None:
        from polyreel.models.packing import leave_attention_out

        leave_attention_out(encoder)
    for block in blocks:
        block.compile(dynamic=True)


def _check_compiler(device: torch.device) -> None:
    try:
        torch.compile(lambda numbers: numbers.sin() + 1)(torch.zeros(2, device=device))
    except (RuntimeError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        needed = "Triton" if device.type == "cuda" else "a C++ compiler, as in apt install g++"
        raise RecipeError(
            f"machine.compiles is true, but torch.compile cannot compile here ({reason}); install {needed}, or leave "
            "it out"
        ) from error
