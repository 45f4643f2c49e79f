"""What the settings that save time and memory do to retrieval and to the model's size, on 750 real MSR-VTT videos.

    .venv/bin/python benchmarks/fast_ways.py

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Runs the shipped experiment
`msrvtt1k/fast`: translate-train with a pretrained static text tower, three seeds, one setting changed at a time. Writes
`results/msrvtt1k-fast.{md,json}` and `results/msrvtt1k-fast-size.md`. Finished runs under `runs/` are not done again.
"""

import os
import shutil
import sys
from pathlib import Path

from msrvtt1k import SHARED, tell
from polyreel import import_tables, run_experiment

ROOT = Path(__file__).parents[1]


def size_table(folder: Path) -> str:
    """Write the size of each system's model and tokenizer, of the first seed."""
    lines = ["| setting | model, MB | tokenizer, MB |", "| --- | ---: | ---: |"]
    for name in ("whole", "trimmed", "bfloat16", "frozen-pieces"):
        model = next(path.parent for path in sorted(folder.glob(f"runs/{name}-*/model/config.json")))
        sizes = [(model / file).stat().st_size / 1e6 for file in ("model.safetensors", "tokenizer.json")]
        lines.append(f"| {name} | {sizes[0]:.1f} | {sizes[1]:.1f} |")
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
    for file, target in (("table.md", "msrvtt1k-fast.md"), ("results.json", "msrvtt1k-fast.json")):
        shutil.copyfile(found.folder / file, ROOT / "results" / target)
    (ROOT / "results" / "msrvtt1k-fast-size.md").write_text(size_table(found.folder), encoding="utf-8")
    print(found.cells[0].summary().text())


if __name__ == "__main__":
    main()
