"""How much memory training needs, against the size of the batch and the number of captions.

`batch`: peak memory of one step of the scaled-down tower (6 layers, 384 wide, vocabulary 120,000, 9 languages, three
banked teachers) on a plain batch of 64 clips, and on batches up to 4,096 whose embeddings are made in chunks.
`data`: peak memory of whole trainings of a small student, against the number of captions: a first run, which prepares
tokens and frames; a later one, which finds them; and one that has a teacher answer all English captions first. Every
measurement is a process of its own. Writes results/memory_growth.json, .md and .png; what was measured before is kept.

    python benchmarks/memory_growth.py batch [--sizes 1024 4096] [--layers 6]
    python benchmarks/memory_growth.py data [--captions 10000 100000 1000000 10000000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from memory_world import one_run, one_step, write_data

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "memory_growth.json"
LAYERS, CHUNK = 6, 256
Row = dict[str, object]


def three_runs(num_captions: int) -> list[Row]:
    """Train on new data, once more, and with the first run's model as the teacher."""
    with tempfile.TemporaryDirectory() as place:
        measure("write", f"{place}/data", num_captions)
        runs = {"first run": [], "later run": [], "with a teacher": [f"{place}/first run"]}
        found = []
        for name, teacher in runs.items():
            row: Row = {"captions": num_captions, "run": name}
            found.append(row | measure("data", f"{place}/data", f"{place}/{name}", *teacher))
        return found


def measure(*words: object) -> Row:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "one", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    print(*words[:1], found, flush=True)
    return found


def one(part: str, first: str, second: str, third: str = "") -> Row:
    """Do one part in this process."""
    if part == "write":
        write_data(Path(first), int(second))
        return {"written": int(second)}
    return one_run(first, second, third) if part == "data" else one_step(int(first), int(second) or None, int(third))


def keep(part: str, rows: list[Row], keys: tuple[str, ...]) -> None:
    """Put measurements beside the others, in the place of those of the same kind, and draw all."""
    result: dict[str, list[Row]] = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    by_kind = {tuple(row.get(key) for key in keys): row for row in [*result.get(part, []), *rows]}
    result[part] = sorted(by_kind.values(), key=lambda row: [str(row[keys[-1]]), row[keys[0]]])
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        "| clips in a batch | captions | how | peak resident memory, GB | of it anonymous, GB |",
        "| ---: | ---: | --- | ---: | ---: |",
    ]
    for row in (row for rows in result.values() for row in rows):
        gigabytes = [f"{row[key] / 1e9:.2f}" for key in ("peak_bytes", "anonymous_bytes")]
        lines.append(
            "| " + " | ".join([str(row.get("clips", 64)), f"{row['captions']:,}", how(row), *gigabytes]) + " |"
        )
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n")
    draw(result)


def how(row: Row) -> str:
    """Say how a measurement was made."""
    chunk = row.get("chunk")
    return str(row.get("run") or (f"in chunks of {chunk}" if chunk else "whole batch at once"))


def draw(result: dict[str, list[Row]]) -> None:
    """Draw peak memory against batch and against data: lines for all that is resident, dashes for what is anonymous."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    parts = (("batch", "clips", "clips in a batch"), ("data", "captions", "captions to train on"))
    for axis, (part, key, label) in zip(axes, parts, strict=True):
        for name in dict.fromkeys(how(row) for row in result.get(part, [])):
            rows = [row for row in result[part] if how(row) == name]
            places = [row[key] for row in rows]
            [line] = axis.plot(places, [row["peak_bytes"] / 1e9 for row in rows], "o-", label=name)
            anonymous = [row["anonymous_bytes"] / 1e9 for row in rows]
            axis.plot(places, anonymous, "o--", color=line.get_color(), markersize=3, alpha=0.8)
        axis.plot([], [], "--", color="grey", label="of it anonymous")
        axis.set(xscale="log", xlabel=label, ylabel="peak memory, GB", ylim=(0, None))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(RESULT.with_suffix(".png"), dpi=110)


def main() -> None:
    """Measure one part."""
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["batch", "data"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--layers", type=int, default=LAYERS, help="of the tower, for `batch`")
    parser.add_argument("--captions", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7])
    asked = parser.parse_args()
    if asked.part == "data":
        for size in asked.captions:
            keep("data", three_runs(size), ("captions", "run"))
    else:
        for size, chunk in [(64, 0), *((size, CHUNK) for size in asked.sizes)]:
            keep("batch", [measure("batch", size, chunk, asked.layers)], ("clips", "layers", "chunk"))


if __name__ == "__main__":
    main()
