"""C2KD against its baselines on 750 real MSR-VTT videos, English and Italian: the whole comparison from one command.

    .venv/bin/python benchmarks/msrvtt1k.py [--jobs 2] [--tuning]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Imports the tables, trains and
evaluates every run of the shipped experiments `msrvtt1k/comparison` (C2KD and its baselines), `msrvtt1k/neighbours`
(what others minimise) and `msrvtt1k/teachers` (teachers alone and pooled), and writes `results/msrvtt1k-*.{md,json}`.
With --tuning it also does the tuning that the settings were chosen from, on the validation split, and writes one table
a tuning. Finished runs under `runs/` are not done again.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from polyreel import import_tables, run_experiment
from polyreel.training.results import ExperimentResult

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
TUNINGS = ("tuning-baselines", "tuning-c2kd", "tuning-neighbours")
EXPERIMENTS = ("comparison", "neighbours", "teachers")


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def run(name: str, jobs: int) -> ExperimentResult:
    """Run one experiment."""
    started = time.monotonic()
    found = run_experiment(f"msrvtt1k/{name}", ROOT / "runs" / f"msrvtt1k-{name}", jobs=jobs, progress=tell)
    found.save()
    print(f"{name}: {time.monotonic() - started:.0f} s\n", flush=True)
    return found


def keep_results(found: ExperimentResult, name: str) -> None:
    """Copy an experiment's tables and figures to `results/`, and print the first table of each cell."""
    for file in ("table.md", "results.json"):
        shutil.copyfile(found.folder / file, ROOT / "results" / f"msrvtt1k-{name}{Path(file).suffix}")
    for cell in found.cells:
        print(f"{cell.name}\n{cell.summary().text()}\n", flush=True)


def keep_tuning(found: ExperimentResult, name: str) -> None:
    """Write R@10 on the validation split, mean over languages, of every setting and system; the best in bold."""
    systems = [report.name for report in found.cells[0].reports]
    text = list(dict.fromkeys(cell.values.get("text", "scratch") for cell in found.cells))
    lines = [
        f"# {found.title}",
        "",
        "R@10, text to video, English / Italian / mean; the best mean of a column in bold.",
    ]
    for tower in text:
        cells = [cell for cell in found.cells if cell.values.get("text", "scratch") == tower]
        means = [[report.row("mean", "R@10").value for report in cell.reports] for cell in cells]
        best = [max(column) for column in zip(*means, strict=True)]
        lines += [
            "",
            f"Text: {tower}",
            "",
            f"| setting | {' | '.join(systems)} |",
            "| --- |" + " ---: |" * len(systems),
        ]
        for cell, row in zip(cells, means, strict=True):
            words = [" / ".join(f"{one.row(lang, 'R@10').value:.1f}" for lang in one.langs) for one in cell.reports]
            marked = [f"**{mean:.1f}**" if mean == top else f"{mean:.1f}" for mean, top in zip(row, best, strict=True)]
            figures = " | ".join(f"{word} / {mean}" for word, mean in zip(words, marked, strict=True))
            lines.append(f"| {cell.values['setting']} | {figures} |")
    (ROOT / "results" / f"msrvtt1k-{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


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
    (ROOT / "results").mkdir(exist_ok=True)
    for name in TUNINGS if asked.tuning else ():
        keep_tuning(run(name, asked.jobs), name)
    for name in EXPERIMENTS:
        keep_results(run(name, asked.jobs), name)


if __name__ == "__main__":
    main()
