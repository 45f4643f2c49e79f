"""Where a step's time goes, and how near that is to what the machine allows.

A step is cut at the embeddings, as gradient caching cuts it, so that each tower's forward and backward pass is timed by
itself; the gradients are those of a whole step. Nothing is saved, and the model is thrown away.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch

from polyreel.models.devices import DeviceName, name_of, open_device
from polyreel.progress import Progress, silent
from polyreel.storage import Json
from polyreel.training.batches import ParallelBatch, sample_batches
from polyreel.training.floor import bytes_of_step, count_operations, measure_rates, seconds_of
from polyreel.training.material import gather_material
from polyreel.training.optimization import clip_gradients
from polyreel.training.recipes import Recipe
from polyreel.training.runs import RunFolder
from polyreel.training.terms import objective
from polyreel.training.under_way import Training

PARTS = ("data", "text", "video", "objective", "optimizer")
Made = TypeVar("Made")
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """A step's time and its floors.

    Attributes:
        device: what computed.
        threads: processor threads.
        num_captions: captions a step, all languages together.
        num_tokens: their tokens, without padding.
        seconds: median by part; each tower's part is its forward and backward pass.
        operations: multiplications and additions of a step's matrix products.
        bytes: what Adam and the gradients move.
        operations_a_second: of large matrix products here.
        bytes_a_second: of copying memory here.
    """

    device: str
    threads: int
    num_captions: int
    num_tokens: int
    seconds: dict[str, float]
    operations: int
    bytes: int
    operations_a_second: float
    bytes_a_second: float

    @property
    def step_seconds(self) -> float:
        """All parts together."""
        return sum(self.seconds.values())

    @property
    def floors(self) -> dict[str, float]:
        """Seconds that a step cannot go below, by what binds it."""
        return {
            "matrix products": self.operations / self.operations_a_second,
            "bytes": self.bytes / self.bytes_a_second,
        }

    @property
    def bound(self) -> str:
        """Which floor is the higher one."""
        return max(self.floors, key=lambda name: self.floors[name])

    def to_json(self) -> dict[str, Json]:
        """Return all of it, for programs."""
        floors: dict[str, Json] = {**self.floors}
        return {**asdict(self), "step_seconds": self.step_seconds, "floor_seconds": floors, "bound": self.bound}

    def text(self) -> str:
        """Return all of it, for people."""
        lines = [
            f"{self.num_captions} captions of {self.num_tokens / max(1, self.num_captions):.1f} tokens a step, "
            f"{self.num_captions / self.step_seconds:.0f} captions a second, on {self.device} ({self.threads} threads)"
        ]
        for part, seconds in self.seconds.items():
            lines.append(f"{part:>16} {1000 * seconds:9.2f} ms {100 * seconds / self.step_seconds:5.1f} %")
        lines.append(f"{'step':>16} {1000 * self.step_seconds:9.2f} ms")
        for name, seconds in self.floors.items():
            mark = "  the larger bound" if name == self.bound else ""
            times = self.step_seconds / seconds
            lines.append(f"{name:>16} {1000 * seconds:9.2f} ms  at least; a step takes {times:.2f} times that{mark}")
        return "\n".join(lines)


def profile(
    recipe: Recipe, *, num_steps: int = 5, device: DeviceName = "cpu", progress: Progress = silent
) -> StepProfile:
    """Take a few steps of a recipe and time their parts.

    Args:
        recipe: what would be trained.
        num_steps: steps to time, after one that warms up.
        device: where to compute.
        progress: called at every step, and with what is prepared before.

    Raises:
        DataError, RecipeError: data or recipe cannot be used.
        ValueError: there is no such device.
    """
    recipe.check()
    place = open_device(device)
    material = gather_material(recipe, progress, place)
    with TemporaryDirectory() as folder:
        training = Training(recipe.expanded(), material, RunFolder(Path(folder)), place)
    training.model.train()
    drawn = sample_batches(training.table, recipe.batches.size, recipe.batches.sampling, seed=recipe.seed)
    batches = training.beyond.added_to(drawn, first_step=0)
    taken: list[dict[str, float]] = []
    for number in range(num_steps + 1):
        progress(number, num_steps + 1, "timing steps")
        seconds: dict[str, float] = {}
        batch = _timed(seconds, "data", place, lambda: _draw(training, lambda: next(batches)))
        _take_apart(training, batch, seconds, place)
        taken.append(seconds)
    rates = measure_rates(place, torch.float32 if recipe.precision == "float32" else torch.bfloat16)
    operations = count_operations(lambda: training.stepper.take(batch, 0, is_measured=False))
    return StepProfile(
        device=name_of(place),
        threads=torch.get_num_threads(),
        num_captions=len(batch.rows_N),
        num_tokens=len(training.beyond.tokens.select(batch.rows_N).ids),
        seconds={part: statistics.median(one[part] for one in taken[1:]) for part in PARTS},
        operations=operations,
        bytes=bytes_of_step(training.model),
        operations_a_second=rates.operations,
        bytes_a_second=rates.bytes,
    )


def _draw(training: Training, draw: Callable[[], ParallelBatch]) -> ParallelBatch:
    """Draw a batch, and gather what it is made of once, as a step does."""
    batch = draw()
    training.beyond.tokens.select(batch.rows_N)
    return batch


def _take_apart(training: Training, batch: ParallelBatch, seconds: dict[str, float], place: torch.device) -> None:
    """Take a step, timing its parts."""
    scorer, optimizer, logits_K = training.scorer, training.stepper.optimizer, training.stepper.teacher_logits_K
    texts = _timed(seconds, "text", place, lambda: scorer.embedder(_NONE, batch.rows_N)[1])
    clips = _timed(seconds, "video", place, lambda: scorer.embedder(batch.clips_B, _NONE)[0])
    cut_texts, cut_clips = (rows.detach().requires_grad_() for rows in (texts, clips))

    def compare() -> None:
        weights_K = None if logits_K is None else logits_K.softmax(dim=0)
        scored = scorer.compare(batch, (cut_clips, cut_texts), weights_K)
        objective(training.recipe.objective, scored).total.backward()  # type: ignore[no-untyped-call]

    def move() -> None:
        clip_gradients(training.model, training.recipe.optimizer)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    _timed(seconds, "objective", place, compare)
    for part, rows, cut in (("text", texts, cut_texts), ("video", clips, cut_clips)):
        if rows.requires_grad and cut.grad is not None:
            _timed(seconds, part, place, partial(torch.autograd.backward, rows, cut.grad))
    _timed(seconds, "optimizer", place, move)


def _timed(seconds: dict[str, float], part: str, place: torch.device, work: Callable[[], Made]) -> Made:
    """Do work and add the time it took to that of a part."""
    made: list[Made] = []
    seconds[part] = seconds.get(part, 0.0) + seconds_of(lambda: made.append(work()), place, time.perf_counter)
    return made[0]
