"""How long a student's run takes: C2KD on msrvtt1k, text from scratch, teachers banked, one thread.

    .venv/bin/python benchmarks/student_seconds.py

Needs `data/msrvtt1k` and the teachers of `benchmarks/msrvtt1k.py` under `runs/`. Each run is a process of its own and
is timed whole: start of Python, import of torch, tokenising, 800 steps, 16 validations, saving. Run it on idle cores.
Writes `results/student_seconds.json`.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys, torch
torch.set_num_threads(int(sys.argv[1]))
from polyreel import load_recipe, train
train(load_recipe(sys.argv[2]), sys.argv[3])
"""


def seconds(recipe: Path, threads: int) -> float:
    """Time one run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        started = time.monotonic()
        command = [sys.executable, "-c", PROGRAM, str(threads), str(recipe), f"{folder}/run"]
        subprocess.run(command, check=True, cwd=ROOT, env=environment)
        return time.monotonic() - started


def main() -> None:
    """Time three runs on one thread and three on two, in turn."""
    recipes = sorted((ROOT / "runs" / "msrvtt1k-comparison" / "runs").glob("c2kd-*/recipe.toml"))
    scratch = [recipe for recipe in recipes if 'backbone = "subword"' in recipe.read_text()]
    if not scratch:
        sys.exit("no C2KD run found; run benchmarks/msrvtt1k.py first")
    measured: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(3):
        for threads, found in measured.items():
            found.append(round(seconds(scratch[0], int(threads)), 2))
            print(f"{threads} threads: {found[-1]:.1f} s", flush=True)
    result = {"seconds_by_threads": measured, "cores": os.cpu_count(), "machine": platform.machine()}
    (ROOT / "results" / "student_seconds.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
