"""C2KD against its baselines on 750 real MSR-VTT videos, English and Italian: the whole comparison from one command.

    .venv/bin/python benchmarks/msrvtt1k.py [--jobs 2] [--tuning]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Imports the tables, trains and
evaluates every run of the shipped experiment `msrvtt1k/comparison`, and writes `results/msrvtt1k.{md,json}`. With
--tuning it also does the tuning that the experiment's settings were chosen from, on the validation split, and writes
`results/msrvtt1k-tuning-*.{md,json}`. Finished runs under `runs/` are not done again.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from polyreel import import_tables, run_experiment

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
TUNINGS = ("tuning-baselines", "tuning-c2kd")


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def run(name: str, result: str, jobs: int) -> None:
    """Run one experiment and keep its table and figures."""
    started = time.monotonic()
    found = run_experiment(f"msrvtt1k/{name}", ROOT / "runs" / f"msrvtt1k-{name}", jobs=jobs, progress=tell)
    pages = found.save()
    (ROOT / "results").mkdir(exist_ok=True)
    for file in ("table.md", "results.json"):
        shutil.copyfile(found.folder / file, ROOT / "results" / f"{result}{Path(file).suffix}")
    for cell in found.cells:
        print(f"\n{cell.name}\n{cell.summary().text()}")
    print(f"\n{time.monotonic() - started:.0f} s; {len(pages)} pages in {found.folder.relative_to(ROOT)}", flush=True)


def main() -> None:
    """Import, tune where asked, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread")
    parser.add_argument("--tuning", action="store_true", help="do the tuning too")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    if not Path("data/msrvtt1k").is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", Path("data/msrvtt1k"), layout="msrvtt1k")
    for name in TUNINGS if asked.tuning else ():
        run(name, f"msrvtt1k-{name}", asked.jobs)
    run("comparison", "msrvtt1k", asked.jobs)


if __name__ == "__main__":
    main()
