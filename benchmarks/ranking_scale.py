"""Ranking 100,000 texts against 100,000 clips both ways: what counting adds to the product, against sorting, in memory.

    .venv/bin/python benchmarks/ranking_scale.py slab       # 2,048 of the texts, in turn with the bare product
    .venv/bin/python benchmarks/ranking_scale.py whole      # all of them once
    .venv/bin/python benchmarks/ranking_scale.py product    # the bare product of all of them once

Embeddings are random rows of 512 numbers, texts near their clips. `slab` measures, in one run and in turn: the blocked
matrix product alone, the same with ranks both ways, and `numpy.argsort` of full rows; it checks the ranks of some texts
against the sorted order. Each step is a process of its own for each number of threads, adds to
`results/ranking_scale.json` and rewrites `results/ranking_scale.md`. Run them on an idle machine.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RESULT = Path(__file__).parents[1] / "results" / "ranking_scale.json"
SIZE, DIM, SLAB, SORTED, ROUNDS = 100_000, 512, 2048, 100, 3


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
        block = block + 0.3 * random.standard_normal(block.shape, np.float32)
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
    """Time one call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


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
    places = 1 + np.argmax(order == own[:SORTED, None], axis=1)
    ranks = rank_embeddings(texts, clips, own)["t2v"].mean_rank()[:SORTED]
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
        "ranks_as_sorted": int((places == ranks).sum()),
        "ranks_checked": SORTED,
    }


def whole() -> dict[str, object]:
    """Rank everything once, and say how much memory the process ever had."""
    from polyreel.evaluation.ranking import rank_embeddings

    texts, clips, own = embeddings(SIZE)
    before = peak()
    taken = seconds(rank_embeddings, texts, clips, own)
    return {"ranking_seconds": round(taken, 1), "peak_gb": peak(), "peak_gb_before_ranking": before}


def product() -> dict[str, object]:
    """Multiply everything once."""
    texts, clips, _ = embeddings(SIZE)
    return {"product_seconds": round(seconds(multiply, texts, clips), 1)}


def peak() -> float:
    """The most memory this process ever had, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3)


def table(found: dict[str, dict[str, float]]) -> str:
    """Lay out what is there in Markdown."""
    lines = [
        f"# Ranking {SIZE:,} texts against {SIZE:,} clips ({DIM} numbers each), both ways",
        "",
        "| threads | product, ns a cell | ranking adds | argsort of full rows, ns a cell | times as long as ranking |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in found.items():
        if name.startswith("slab"):
            lines.append(
                f"| {name.split()[1]} | {row['product_ns_a_cell']:.1f} | {row['ranking_adds_ns_a_cell']:.2f} ns, "
                f"{row['ranking_adds_percent']:.0f} % | {row['argsort_ns_a_cell']:.1f} | "
                f"{row['argsort_over_ranking']:.0f} times |"
            )
    for name, row in found.items():
        if name.startswith("whole"):
            lines += [
                "",
                f"All of it, {name.split()[1]} threads: {row['ranking_seconds']:.0f} s, {row['peak_gb']} GB at most",
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run one step in a process with so many threads, and keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("slab", "whole", "product"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps({"slab": slab, "whole": whole, "product": product}[asked.step]()))
        return
    number = str(asked.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": number, "OPENBLAS_NUM_THREADS": number}
    command = [sys.executable, __file__, asked.step, "--here"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    *lines, last = done.stdout.strip().splitlines()
    print("\n".join([*lines, last]), flush=True)
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    found[f"{asked.step} {number}"] = {
        **json.loads(last),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    RESULT.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n")
    RESULT.with_suffix(".md").write_text(table(dict(sorted(found.items()))), encoding="utf-8")


if __name__ == "__main__":
    main()
