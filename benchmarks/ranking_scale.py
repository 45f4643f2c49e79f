"""Ranking 100,000 texts against 100,000 clips both ways: what counting adds to the product, against sorting, in memory.

    .venv/bin/python benchmarks/ranking_scale.py slab      # 1,024 of the texts, in turn with the bare product
    .venv/bin/python benchmarks/ranking_scale.py whole     # all of them once; --minutes N stops it after that long

Embeddings are random rows of 512 numbers, texts near their clips. `slab` measures in one run and in turn, on one
thread: the blocked matrix product alone, the same with ranks both ways, and `numpy.argsort` of full rows; it checks the
ranks of some texts against the sorted order. Times are of the processor, not of the clock, so that other work on the
machine changes little. `whole` watches how much memory the process ever had; what that is shows in its first minutes,
since every tile is written over the one before. Adds to `results/ranking_scale.json` and rewrites
`results/ranking_scale.md`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RESULT = Path(__file__).parents[1] / "results" / "ranking_scale.json"
SIZE, DIM, SLAB, SORTED, ROUNDS = 100_000, 512, 1024, 50, 3


def embeddings(num_texts: int):  # noqa: ANN201, numpy is imported when the number of threads is set
    """Return texts, clips, and the right clip of each text."""
    import numpy as np

    random = np.random.default_rng(0)
    clips = np.empty((SIZE, DIM), np.float32)
    for start in range(0, SIZE, 10_000):
        block = random.standard_normal((10_000, DIM), np.float32)
        clips[start : start + 10_000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    own = random.permutation(SIZE)[:num_texts]
    texts = np.empty((num_texts, DIM), np.float32)
    for start in range(0, num_texts, 4096):
        block = clips[own[start : start + 4096]]
        block = block + 0.2 * random.standard_normal(block.shape, np.float32)
        texts[start : start + 4096] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return texts, clips, own


def multiply(texts, clips) -> None:  # noqa: ANN001
    """Compute every similarity in the tiles that ranking uses, and do nothing with it."""
    import numpy as np

    from polyreel.evaluation.ranking import TILE_CLIPS, TILE_TEXTS

    tile = np.empty((TILE_TEXTS, TILE_CLIPS), np.float32)
    for row in range(0, len(texts), TILE_TEXTS):
        for column in range(0, len(clips), TILE_CLIPS):
            block, others = texts[row : row + TILE_TEXTS], clips[column : column + TILE_CLIPS]
            np.matmul(block, others.T, out=tile[: len(block), : len(others)])


def seconds(function, *arguments) -> float:  # noqa: ANN001, ANN002
    """Return the processor's time for one call."""
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def slab() -> dict[str, object]:
    """Measure product, ranking and sorting in turn."""
    import numpy as np

    from polyreel.evaluation.ranking import rank_embeddings

    texts, clips, own = embeddings(SLAB)
    products, rankings, sorts = [], [], []
    for number in range(ROUNDS):
        products.append(seconds(multiply, texts, clips))
        rankings.append(seconds(rank_embeddings, texts, clips, own))
        sims = texts[:SORTED] @ clips.T
        sorts.append(seconds(np.argsort, sims, 1))
        print(f"round {number + 1}: {products[-1]:.1f} s, {rankings[-1]:.1f} s, {sorts[-1]:.1f} s", flush=True)
    order = np.argsort(-sims, axis=1, kind="stable")
    places = np.argmax(order == own[:SORTED, None], axis=1)
    ranks = rank_embeddings(texts, clips, own)["t2v"]
    better, tied = ranks.num_better[:SORTED], ranks.num_tied_wrong[:SORTED]
    is_right = (better <= places) & (places <= better + tied)
    cells = SLAB * SIZE
    added = [(ranking - product) / cells for product, ranking in zip(products, rankings, strict=True)]
    per_sort = [one / (SORTED * SIZE) for one in sorts]
    return {
        "texts": SLAB,
        "product_ns_a_cell": round(1e9 * median(products) / cells, 3),
        "ranking_adds_ns_a_cell": round(1e9 * median(added), 3),
        "argsort_ns_a_cell": round(1e9 * median(per_sort), 3),
        "ranking_adds_percent": round(100 * (median(r / p for p, r in zip(products, rankings, strict=True)) - 1), 1),
        "argsort_over_ranking": round(median(s / a for s, a in zip(per_sort, added, strict=True)), 1),
        "ranks_as_sorted": int(is_right.sum()),
        "ranks_checked": SORTED,
    }


def whole() -> dict[str, object]:
    """Rank everything once."""
    from polyreel.evaluation.ranking import rank_embeddings

    texts, clips, own = embeddings(SIZE)
    print("ranking", flush=True)
    return {"processor_seconds": round(seconds(rank_embeddings, texts, clips, own), 1)}


def watch(minutes: float) -> dict[str, object]:
    """Rank everything in a process of its own for so long at most; return the most memory it ever had."""
    command = [sys.executable, __file__, "whole", "--here"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        before, until, peak = highest(child.pid), time.monotonic() + 60 * minutes, 0.0
        while child.poll() is None and time.monotonic() < until:
            peak = max(peak, highest(child.pid))
            time.sleep(0.5)
        is_done = child.poll() is not None
        child.terminate()
        found = json.loads(child.stdout.read()) if is_done else {}
    return {"peak_gb": peak, "gb_before_ranking": before, "is_done": is_done, **found}


def highest(process: int) -> float:
    """The most memory a process ever had, in GB; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9, 3)


def table(found: dict[str, dict[str, float]]) -> str:
    """Lay out what is there in Markdown."""
    lines = [f"# Ranking {SIZE:,} texts against {SIZE:,} clips ({DIM} numbers each), both ways"]
    if slab_row := found.get("slab"):
        lines += [
            "",
            "| product, ns a cell | ranking adds | argsort of full rows, ns a cell | times as long as ranking alone |",
            "| ---: | ---: | ---: | ---: |",
            f"| {slab_row['product_ns_a_cell']:.1f} | {slab_row['ranking_adds_ns_a_cell']:.2f} ns, "
            f"{slab_row['ranking_adds_percent']:.0f} % | {slab_row['argsort_ns_a_cell']:.1f} | "
            f"{slab_row['argsort_over_ranking']:.0f} |",
        ]
    if whole_row := found.get("whole"):
        how = "to its end" if whole_row["is_done"] else "for its first minutes"
        lines += ["", f"All texts, watched {how}: {whole_row['peak_gb']:.2f} GB of memory at most."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run one step on one thread, and keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("slab", "whole"))
    parser.add_argument("--minutes", type=float, default=60, help="how long to watch at most")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    if asked.here:
        print(json.dumps(whole()))
        return
    measured = slab() if asked.step == "slab" else watch(asked.minutes)
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    found[asked.step] = {**measured, "machine": platform.machine(), "cores": os.cpu_count()}
    RESULT.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n")
    RESULT.with_suffix(".md").write_text(table(found), encoding="utf-8")
    print(json.dumps(found[asked.step], indent=2))


if __name__ == "__main__":
    main()
