"""What a step of distillation costs: ours against a plain reference step, and against what the machine allows.

    .venv/bin/python benchmarks/distil_step.py cpu            # timings on two idle cores
    .venv/bin/python benchmarks/distil_step.py cpu --cpu-time # on a busy machine: seconds of processor time, one thread
    .venv/bin/python benchmarks/distil_step.py cpu --losses   # 20 steps of both, their losses compared; no timing
    .venv/bin/python benchmarks/distil_step.py gpu            # full LaBSE shape, half precision; needs no other data

The plain step is written here from the paper's description: three live frozen teachers, one forward pass a language,
captions padded to 35 tokens, dense Adam over the whole vocabulary. End to end it reads the reference's kind of data
set, which tokenises every caption by every encoder's tokenizer in `__getitem__`, in two worker processes. Ours is the
package's own step: teachers banked, captions tokenised once, all languages in one packed pass, the vocabulary trimmed,
fused Adam. Both have the same shapes, the same start, the same batches; the two are timed in turn in one run. Words are
made up; how many a caption has follows `results/caption_lengths.json` (msrvtt1k). Dropout is off, so that losses can be
compared. Writes `results/distil_step-NAME.json` and `.md`.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from distil_world import LANGS, SHAPES, World, make_world
from plain_step import PlainData, PlainStep
from polyreel.models.tokens import Tokens
from polyreel.training.batches import ParallelBatch, sample_batches
from polyreel.training.floor import Clock, Rates, bytes_of_step, count_operations, measure_rates, seconds_of

ROOT = Path(__file__).parents[1]
Row = dict[str, object]


def batches(world: World) -> Iterator[ParallelBatch]:
    """Draw batches for ever, the same each time."""
    return sample_batches(world.table, world.shape.batch, "parallel", seed=1)


def our_step(world: World) -> Callable[[ParallelBatch], float]:
    """Return the package's step, as `polyreel train` takes it."""
    stepper = world.stepper()
    counted = iter(range(10**9))
    return lambda batch: float(stepper.take(batch, next(counted), is_measured=False).loss.total.detach())


def compare_losses(world: World, num_steps: int) -> Row:
    """Take the same steps both ways; return the largest relative difference of their losses."""
    plain, ours, losses = PlainStep(world), our_step(world), []
    for number, batch in zip(range(num_steps), batches(world), strict=False):
        losses.append((plain.take(batch), ours(batch)))
        print(f"step {number + 1}: plain {losses[-1][0]:.7f}, ours {losses[-1][1]:.7f}", flush=True)
    largest = max(abs(first - second) / abs(first) for first, second in losses)
    return {"steps": num_steps, "largest_relative_difference": largest, "losses": losses}


def time_steps(world: World, num_pairs: int, clock: Clock) -> Row:
    """Time the two steps alone, in turn, on the same batches; the first pair warms up and is not timed."""
    ways, drawn = {"plain": PlainStep(world).take, "ours": our_step(world)}, batches(world)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(num_pairs + 1):
        batch = next(drawn)
        for name, step in ways.items():
            taken = seconds_of(
                lambda name=name, step=step, batch=batch: losses[name].append(step(batch)), world.device, clock
            )
            if number:
                seconds[name].append(taken)
            print(f"step alone, pair {number}: {name} {taken:.3f} s, loss {losses[name][-1]:.6f}", flush=True)
    return {"seconds": seconds, "losses": losses}


def time_end_to_end(world: World, num_steps: int, clock: Clock) -> dict[str, list[float]]:
    """Time the two with their data, the plain one's from a data set; seconds a step.

    It has two workers, but none where processor time is counted, which then holds their work too.
    """
    plain, ours = PlainStep(world), our_step(world)
    num_workers = 2 if clock is time.perf_counter else 0
    data, drawn = iter(PlainData(world).loader(num_workers)), batches(world)
    ways = {"plain": lambda: plain.take_loaded(next(data)), "ours": lambda: ours(next(drawn))}
    found: dict[str, list[float]] = {"plain": [], "ours": []}
    for name, way in ways.items():
        way()
        for _ in range(num_steps):
            found[name].append(seconds_of(way, world.device, clock))
            print(f"end to end: {name} {found[name][-1]:.3f} s", flush=True)
    return found


def time_ways_to_pad(world: World, num_rounds: int, clock: Clock) -> dict[str, float]:
    """Time the student's text tower alone, forward and backward, by how texts of many lengths are put together."""
    model, batch = world.ours, next(batches(world))
    tokens = world.table.tokens.select(batch.rows_N)
    by_length = [tokens.select(np.flatnonzero(tokens.lengths == length)) for length in np.unique(tokens.lengths)]
    backbone = model.text.backbone

    def run(parts: list[Tokens], *, is_packed: bool) -> None:
        backbone._can_pack = is_packed
        torch.cat([model.embed_texts(part) for part in parts]).sum().backward()
        model.zero_grad(set_to_none=True)

    ways = {
        "packed": lambda: run([tokens], is_packed=True),
        "buckets of one length": lambda: run(by_length, is_packed=False),
        "padded to the longest": lambda: run([tokens], is_packed=False),
    }
    found = {name: min(seconds_of(way, world.device, clock) for _ in range(num_rounds)) for name, way in ways.items()}
    backbone._can_pack = True
    print(", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()), flush=True)
    return found


def floors(world: World, rates: Rates) -> Row:
    """Compute what a step must cost: matrix products on real tokens, and bytes."""
    stepper, batch = world.stepper(), next(batches(world))
    operations = count_operations(lambda: stepper.take(batch, 0, is_measured=False))
    model = world.ours
    tokens = world.table.tokens.lengths[batch.rows_N]
    return {
        "tokens_a_step": int(tokens.sum()),
        "tokens_a_caption": float(tokens.mean()),
        "padded_tokens_a_step": 35 * len(tokens),
        "operations_a_step": operations,
        "matrix_seconds": operations / rates.operations,
        "bytes_a_step": bytes_of_step(model),
        "bytes_seconds": bytes_of_step(model) / rates.bytes,
        "bytes_seconds_of_the_whole_vocabulary": bytes_of_step(world.student) / rates.bytes,
        "pieces": len(model.text.backbone.vocabulary()),
        "pieces_of_the_whole_vocabulary": world.shape.vocabulary,
    }


def table(name: str, found: Row) -> str:
    """Write the figures as Markdown."""
    floor, medians = found["floor"], found["median_seconds"]
    captions = len(LANGS) * SHAPES[name].batch
    lines = [
        f"# A step of distillation, {name}",
        "",
        f"{found['machine']}; torch {found['torch']}, {found['threads']} thread(s), {found['dtype']}, "
        f"seconds of {found['clock']} time; "
        f"{captions} captions in {len(LANGS)} languages and {SHAPES[name].batch} clips a step, "
        f"{floor['tokens_a_caption']:.1f} tokens a caption.",
        "",
        "| | plain, s | ours, s | times as fast | captions/s, ours |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for key, words in (("step", "step alone"), ("end_to_end", "end to end")):
        plain, ours = medians[key]["plain"], medians[key]["ours"]
        lines.append(f"| {words} | {plain:.3f} | {ours:.3f} | {plain / ours:.2f} | {captions / ours:.0f} |")
    ours = medians["step"]["ours"]
    lines += [
        "",
        "| what a step must cost | | seconds | our step, times this |",
        "| --- | ---: | ---: | ---: |",
        f"| matrix products on real tokens | {floor['operations_a_step'] / 1e9:.0f} G operations at "
        f"{found['rates']['operations'] / 1e9:.0f} G/s | {floor['matrix_seconds']:.3f} | "
        f"{ours / floor['matrix_seconds']:.2f} |",
        f"| bytes of gradients and Adam, {floor['pieces']:,} pieces | {floor['bytes_a_step'] / 1e9:.2f} GB at "
        f"{found['rates']['bytes'] / 1e9:.1f} GB/s | {floor['bytes_seconds']:.3f} | |",
        f"| the same for all {floor['pieces_of_the_whole_vocabulary']:,} pieces | | "
        f"{floor['bytes_seconds_of_the_whole_vocabulary']:.3f} | |",
        "",
        "| text tower, forward and backward | seconds |",
        "| --- | ---: |",
        *(f"| {way} | {seconds:.3f} |" for way, seconds in found["ways_to_pad"].items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for, and add it to what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SHAPES, help="tiny is for trying the script")
    parser.add_argument("--losses", action="store_true", help="compare losses instead of timing")
    parser.add_argument("--steps", type=int, default=None, help="steps or pairs; 20 for losses, 4 otherwise")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, on one thread")
    asked = parser.parse_args()
    clock = time.process_time if asked.cpu_time else time.perf_counter
    if asked.name == "gpu" and not torch.cuda.is_available():
        sys.exit("the gpu configuration needs a GPU, and torch finds none")
    if asked.name != "gpu":
        torch.set_num_threads(1 if asked.cpu_time else 2)
    started = time.monotonic()
    world = make_world(asked.name)
    print(f"made in {time.monotonic() - started:.0f} s", flush=True)
    if asked.losses:
        found: Row = {"losses": compare_losses(world, asked.steps or 20)}
    else:
        found = measure(world, asked.steps or 4, clock)
    file = ROOT / "results" / f"distil_step-{asked.name}.json"
    before: Row = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(before | found, indent=1) + "\n")
    if not asked.losses:
        file.with_suffix(".md").write_text(table(asked.name, found), encoding="utf-8")
        print(file.with_suffix(".md").read_text("utf-8"))


def measure(world: World, num_steps: int, clock: Clock) -> Row:
    """Time everything."""
    rates = measure_rates(world.device, world.shape.dtype, clock)
    alone = time_steps(world, num_steps, clock)
    timed = {"step": alone["seconds"], "end_to_end": time_end_to_end(world, max(2, num_steps // 2), clock)}
    return {
        "machine": torch.cuda.get_device_name() if world.device.type == "cuda" else f"{platform.machine()}, CPU",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clock": "wall" if clock is time.perf_counter else "processor",
        "dtype": str(world.shape.dtype).removeprefix("torch."),
        "rates": {"operations": rates.operations, "bytes": rates.bytes},
        "floor": floors(world, rates),
        "seconds": timed,
        "median_seconds": {
            key: {name: statistics.median(each) for name, each in times.items()} for key, times in timed.items()
        },
        "losses_of_timed_steps": alone["losses"],
        "ways_to_pad": time_ways_to_pad(world, 2, clock),
    }


if __name__ == "__main__":
    main()
