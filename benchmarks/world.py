"""What fewer and noisier captions do, as a controlled experiment on the drawn world; nothing about real video follows.

    .venv/bin/python benchmarks/world.py [--jobs 2]

Draws three worlds under three conditions of the eight languages other than English, trains the demo's systems with
three seeds in each (`benchmarks/world.toml`), and writes `results/world.{md,json}`. The recipes were tuned on the
validation clips of the first world in its first condition.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

from polyreel import extract, make_world, open_extractor, run_experiment
from polyreel.world import WORLD_LANGS

ROOT = Path(__file__).parents[1]
CONDITIONS = {"two-noisy": (2, 0.3), "four-clean": (4, 0.0), "one-noisy": (1, 0.3)}


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def main() -> None:
    """Draw, extract, train, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread")
    asked = parser.parse_args()
    os.chdir(ROOT)
    for condition, (translations, noise) in CONDITIONS.items():
        for seed in range(3):
            folder = Path("runs/worlds") / f"{condition}-{seed}"
            captions = {lang: translations for lang in WORLD_LANGS if lang != "en"}
            world = make_world(folder, seed=seed, captions_per_lang=captions, noise=noise)
            extract(world, open_extractor("pixels"))
            print(f"{folder}: {world.clips.num_rows} clips", flush=True)
    found = run_experiment("benchmarks/world.toml", ROOT / "runs" / "world", jobs=asked.jobs, progress=tell)
    found.save()
    (ROOT / "results").mkdir(exist_ok=True)
    for file in ("table.md", "results.json"):
        shutil.copyfile(found.folder / file, ROOT / "results" / f"world{Path(file).suffix}")
    for cell in found.cells:
        print(f"\n{cell.name}\n{cell.summary().text()}")


if __name__ == "__main__":
    main()
