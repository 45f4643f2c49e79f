"""The state of a run between two steps, as one safetensors file.

Batches and learning rates are functions of seed and step, so the state is small: weights, the best weights so far, the
teachers' weights if they are learnt, the optimizer's moments, torch's random state, and a few counts in the header.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from polyreel.models.retriever import Retriever
from polyreel.storage import write_aside


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        step: steps done.
        best_step: after which step the best validation came; 0 before the first.
        best_recall: its mean R@10 in percent; below 0 before the first.
        validations_since_best: for patience.
        seconds: time trained so far.
    """

    step: int = 0
    best_step: int = 0
    best_recall: float = -1.0
    validations_since_best: int = 0
    seconds: float = 0.0


def save_checkpoint(
    path: Path,
    standing: Standing,
    model: Retriever,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    teacher_logits_K: Tensor | None = None,
) -> None:
    """Write the state, aside and renamed."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    if teacher_logits_K is not None:
        tensors["teacher_logits"] = teacher_logits_K
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors["random"] = torch.get_rng_state()
    if model.device.type == "cuda":
        tensors["cuda_random"] = torch.cuda.get_rng_state(model.device)
    with write_aside(path) as aside:
        save_file(
            {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()},
            aside,
            {"standing": json.dumps(asdict(standing))},
        )


def load_checkpoint(
    path: Path, model: Retriever, optimizer: torch.optim.Optimizer, teacher_logits_K: Tensor | None = None
) -> tuple[Standing, dict[str, Tensor]]:
    """Put the state back into model, optimizer and teachers' weights; return the standing and the best weights."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        standing = Standing(**json.loads(file.metadata()["standing"]))
    model.load_state_dict(_below(tensors, "model/"))
    if teacher_logits_K is not None:
        teacher_logits_K.data.copy_(tensors["teacher_logits"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer/").items():
        number, moment = name.split("/")
        moments.setdefault(int(number), {})[moment] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    if model.device.type == "cuda" and "cuda_random" in tensors:
        torch.cuda.set_rng_state(tensors["cuda_random"], model.device)
    return standing, _below(tensors, "best/")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
