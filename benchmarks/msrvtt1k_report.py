"""The full report of the three-seed comparison on msrvtt1k, as it may be passed on: without the data's captions.

    .venv/bin/python benchmarks/msrvtt1k_report.py [--jobs 2]

Trains what is not there yet of one cell of the comparison (`benchmarks/msrvtt1k_report.toml`; runs are shared with
`benchmarks/msrvtt1k.py`), and writes `docs/reports/msrvtt1k.html`, the rank of every query by every seed beside it as
`msrvtt1k-ranks-SYSTEM.parquet`, and `results/msrvtt1k_report.{json,md}`. Needs the folder of real data beside the
project (`../shared`, or POLYREEL_SHARED).
"""

import argparse
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from polyreel import import_tables, run_experiment
from polyreel.cli.pictures import browsers

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
NOTE = "Captions and pictures are left out, because the data carry no grant to pass them on; ids stand in their place."


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def main() -> None:
    """Train, measure, examine, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one thread")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    if not Path("data/msrvtt1k").is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", Path("data/msrvtt1k"), layout="msrvtt1k")
    runs = Path("runs/msrvtt1k-comparison")
    found = run_experiment("benchmarks/msrvtt1k_report.toml", runs, jobs=asked.jobs, progress=tell)
    found = replace(found, folder=Path("runs/msrvtt1k-report"))
    shown = {
        name: replace(browser, pictures={}, has_words=False, notes=(*browser.notes, NOTE))
        for name, browser in browsers(found, tell).items()
    }
    (page,) = found.save(browsers=shown)
    place = ROOT / "docs" / "reports"
    place.mkdir(exist_ok=True)
    shutil.copyfile(page, place / "msrvtt1k.html")
    (cell,) = found.cells
    for report in cell.reports:
        report.save(found.folder / report.name)
        shutil.copyfile(found.folder / report.name / "ranks.parquet", place / f"msrvtt1k-ranks-{report.name}.parquet")
    for file in ("table.md", "results.json"):
        shutil.copyfile(found.folder / file, ROOT / "results" / f"msrvtt1k_report{Path(file).suffix}")
    print(f"{place / 'msrvtt1k.html'}: {(place / 'msrvtt1k.html').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
