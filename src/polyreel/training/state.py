"""The state of a run between two steps, as named tensors.

Batches and learning rates are functions of seed and step, so the state is small: weights, the optimizer's moments, the
teachers' weights if they are learnt, and torch's random states of every process; nothing else draws random numbers in
a step. Tensors are whole, however many processes share them, so a run may go on with another number of processes. All
processes have to ask together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from polyreel.models.retriever import Retriever
from polyreel.training.processes import Processes, shared_like, whole


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        step: steps done.
        best_step: after which step the best validation came; 0 before the first.
        best_recall: its mean R@10 in percent; below 0 before the first.
        validations_since_best: for patience.
        seconds: time trained so far.
        num_averaged: epochs in the mean of the last ones' weights.
    """

    step: int = 0
    best_step: int = 0
    best_recall: float = -1.0
    validations_since_best: int = 0
    seconds: float = 0.0
    num_averaged: int = 0


def weights_of(model: Retriever) -> dict[str, Tensor]:
    """Return a model's weights, whole, on the CPU, each with memory of its own."""
    return {name: _kept(tensor) for name, tensor in model.state_dict().items()}


def put_weights(model: Retriever, weights: Mapping[str, Tensor]) -> None:
    """Give a model whole weights, of which each process takes its part."""
    present = model.state_dict()
    model.load_state_dict({name: shared_like(tensor, present[name]) for name, tensor in weights.items()})


def state_of(
    model: Retriever, optimizer: torch.optim.Optimizer, teacher_logits_K: Tensor | None, processes: Processes
) -> dict[str, Tensor]:
    """Return all that a run needs to go on, by name."""
    tensors = {f"model/{name}": tensor for name, tensor in weights_of(model).items()}
    if teacher_logits_K is not None:
        tensors["teacher_logits"] = _kept(teacher_logits_K)
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": _kept(torch.as_tensor(value)) for name, value in moments.items()}
    states = {"random": torch.get_rng_state()}
    if model.device.type == "cuda":
        states["cuda_random"] = torch.cuda.get_rng_state()
    for name, state in states.items():
        of_all = processes.gather(state[None], processes.count)
        tensors |= {f"{name}/{rank}": one.clone() for rank, one in enumerate(of_all)}
    return tensors


def put_state(
    tensors: Mapping[str, Tensor],
    model: Retriever,
    optimizer: torch.optim.Optimizer,
    teacher_logits_K: Tensor | None,
    processes: Processes,
) -> None:
    """Bring a run back to a state. A process that the state does not know keeps its random numbers."""
    put_weights(model, _below(tensors, "model/"))
    if teacher_logits_K is not None:
        teacher_logits_K.data.copy_(tensors["teacher_logits"])
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer/").items():
        number, moment = name.split("/")
        weight = weights[int(number)]
        is_shared = tensor.shape == weight.shape
        moments.setdefault(int(number), {})[moment] = shared_like(tensor, weight) if is_shared else tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    if (state := tensors.get(f"random/{processes.rank}")) is not None:
        torch.set_rng_state(state)
    if model.device.type == "cuda" and (state := tensors.get(f"cuda_random/{processes.rank}")) is not None:
        torch.cuda.set_rng_state(state)


def _kept(tensor: Tensor) -> Tensor:
    return whole(tensor.detach()).cpu().clone()


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
