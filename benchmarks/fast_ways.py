"""What the approximate ways to save time do to retrieval, on 750 real MSR-VTT videos, English and Italian.

    .venv/bin/python benchmarks/fast_ways.py

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Runs the shipped experiment
`msrvtt1k/fast`: translate-train with a pretrained static text tower, three seeds, one setting changed at a time, one
run after the other. Writes `results/fast_ways.{json,md}`. Finished runs under `runs/` are not done again.
"""

import os
import shutil
import sys
from pathlib import Path

from msrvtt1k import SHARED, tell
from polyreel import import_tables, run_experiment

ROOT = Path(__file__).parents[1]


def sizes(folder: Path, systems: list[str]) -> str:
    """Return a table of the size of each system's model and tokenizer, those of its first seed."""
    lines = ["| setting | model, MB | tokenizer, MB |", "| --- | ---: | ---: |"]
    for name in systems:
        model = next(path.parent for path in sorted(folder.glob(f"runs/{name}-*/model/config.json")))
        found = [(model / file).stat().st_size / 1e6 for file in ("model.safetensors", "tokenizer.json")]
        lines.append(f"| {name} | {found[0]:.1f} | {found[1]:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Import, train, evaluate, write."""
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    if not Path("data/msrvtt1k").is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", Path("data/msrvtt1k"), layout="msrvtt1k")
    found = run_experiment("msrvtt1k/fast", ROOT / "runs" / "msrvtt1k-fast", jobs=1, progress=tell)
    found.save()
    systems = [report.name for report in found.cells[0].reports]
    shutil.copyfile(found.folder / "results.json", ROOT / "results" / "fast_ways.json")
    table = (found.folder / "table.md").read_text("utf-8") + "\n## Size\n\n" + sizes(found.folder, systems)
    (ROOT / "results" / "fast_ways.md").write_text(table, encoding="utf-8")
    print(found.cells[0].summary().text())


if __name__ == "__main__":
    main()
