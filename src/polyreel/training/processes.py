"""Several processes as one: who does which part of a batch, and how all come to know the whole.

`torchrun` starts the processes, and torch.distributed joins them. Every process draws the same batches, embeds its
share of the rows, gathers those of all, and computes the whole loss of the whole batch. So every process knows the
gradient of every row, sends back that of its own share, and needs no communication for the similarities.

Shapes: `N` rows of all processes, `D` dims.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from polyreel.errors import RecipeError
from polyreel.training.adaptation import layers
from polyreel.training.recipes import Recipe
from polyreel.training.scale_settings import MachineSettings

# Others wait for the first process while it opens data and asks teachers.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """This process among those that train one model.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def share(self, num_rows: int, rank: int | None = None) -> slice:
        """Return which of so many rows are a process's own, this one's unless another is named."""
        rank = self.rank if rank is None else rank
        return slice(num_rows * rank // self.count, num_rows * (rank + 1) // self.count)

    def gather(self, own_ND: Tensor, num_rows: int) -> Tensor:
        """Put the shares of all processes together, `[N, D]`, without gradient."""
        own_ND = own_ND.detach()
        if self.count == 1:
            return own_ND
        sizes = [len(range(num_rows)[self.share(num_rows, rank)]) for rank in range(self.count)]
        padded_ND = own_ND.new_zeros(max(sizes), *own_ND.shape[1:])
        padded_ND[: len(own_ND)] = own_ND
        shares = [torch.empty_like(padded_ND) for _ in sizes]
        dist.all_gather(shares, padded_ND)
        return torch.cat([share[:size] for share, size in zip(shares, sizes, strict=True)])

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Tell of each flag whether it is set in any process."""
        if self.count == 1:
            return flags
        found = torch.tensor([int(flag) for flag in flags])
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in found)

    def as_first(self, value: float) -> float:
        """Return what a number is in the first process, so that all decide alike."""
        return float(self.gather(torch.tensor([value], dtype=torch.float64), self.count)[0])

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process do the block before the others, so that what it writes is there for them."""
        if self.count > 1 and not self.is_first:
            dist.barrier()
        yield
        if self.count > 1 and self.is_first:
            dist.barrier()


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; without torchrun this is the only one.

    Args:
        device: where they compute; each takes the GPU of its own number.
    """
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("cpu:gloo,cuda:nccl" if is_cuda else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def spread(module: nn.Module, settings: MachineSettings, processes: Processes, *, uses_all: bool) -> nn.Module:
    """Let the processes share a module: its gradients (DDP), or its weights too (FSDP2).

    Args:
        module: what embeds; called once a step.
        settings: which of the two.
        processes: those that share it.
        uses_all: whether every weight that learns has a gradient in every step.

    Returns:
        What is to be called in place of the module. With FSDP2 the module itself has changed.
    """
    if processes.count == 1:
        return module
    if settings.sharding == "ddp":
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=not uses_all)
    for block in layers(module):
        fully_shard(block)
    fully_shard(module)
    return module


def check_processes(recipe: Recipe, processes: Processes) -> None:
    """Refuse what several processes cannot do together.

    Raises:
        RecipeError: a process would have nothing to do, or a setting is for one process alone.
    """
    size = recipe.batches.size
    alone = {
        'optimizer.embeddings = "lazy"': recipe.optimizer.embeddings == "lazy",
        "machine.compiles = true": recipe.machine.compiles,
        f"adapt.release_after_epochs = {recipe.adapt.release_after_epochs}": recipe.adapt.release_after_epochs > 0,
    }
    found = [setting for setting, is_set in alone.items() if is_set]
    if found and processes.count > 1:
        raise RecipeError(
            f"there are {processes.count} processes, and {found[0]} is for one; start one, or leave it out"
        )
    if size < processes.count:
        raise RecipeError(
            f"a batch has {size} clips and there are {processes.count} processes; each needs at least one; raise "
            "batches.size, or start fewer"
        )


@contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """Have all weights in every process for the length of the block, so that any part of a module can be called."""
    shards = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for shard in shards:
        shard.unshard()
    try:
        yield
    finally:
        for shard in shards:
            shard.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor as one process alone would have it; all processes have to ask together."""
    full: Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full


def shared_like(full: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor split up among the processes as another is."""
    if not isinstance(like, DTensor):
        return full
    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements)
