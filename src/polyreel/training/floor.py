"""What a step must cost on this machine: its matrix products and its bytes, at rates measured here and now.

A product of matrices of real tokens cannot be left out, nor can a weight move without being read and written. The
seconds that the two take at the best rates the machine shows are floors: a step lies above the larger of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from polyreel.training.lazy import is_lazy

Clock = Callable[[], float]
_SIDE = {"cpu": 2048, "cuda": 8192}
_COPIED_BYTES = {"cpu": 2**28, "cuda": 2**31}
_REPEATS = 5
# Adam reads weight, gradient and two moments, and writes weight and moments; the gradient was written before.
_PASSES_OF_ADAM = 8


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a machine does in a second.

    Attributes:
        operations: multiplications and additions of large square matrix products.
        bytes: read and written in copying memory.
    """

    operations: float
    bytes: float


def measure_rates(device: torch.device, dtype: torch.dtype = torch.float32, clock: Clock = time.perf_counter) -> Rates:
    """Measure both rates, the best of a few tries; nothing else should be running.

    Args:
        device: where.
        dtype: number type of the matrices.
        clock: counts seconds; `time.process_time` with one thread is little disturbed by what else is running.
    """
    side, size = _SIDE[device.type], _COPIED_BYTES[device.type]
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(first)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    multiply = min(seconds_of(lambda: torch.mm(first, second, out=product), device, clock) for _ in range(_REPEATS))
    copy = min(seconds_of(lambda: target.copy_(source), device, clock) for _ in range(_REPEATS))
    return Rates(operations=2 * side**3 / multiply, bytes=2 * size / copy)


def seconds_of(work: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Time work, to the end of it where a GPU does it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def count_operations(work: Callable[[], object]) -> int:
    """Do work and count the multiplications and additions of its matrix products, forward and backward.

    Fused attention on a CPU is left out; of captions it is below a hundredth of the rest.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def bytes_of_step(model: nn.Module) -> int:
    """Return how many bytes a step of Adam must move for the weights that learn, their gradients included.

    Tables whose rows are moved lazily are left out: a batch reads few of them.
    """
    tables = {id(weight) for module in model.modules() if is_lazy(module) for weight in module.parameters()}
    learnt = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in tables]
    return _PASSES_OF_ADAM * sum(weight.numel() * weight.element_size() for weight in learnt)
