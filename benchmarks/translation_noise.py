"""What wrong translations do to training, and what the quality weight does about it: msrvtt1k, English and Italian.

    .venv/bin/python benchmarks/translation_noise.py [--jobs 1]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Of the Italian training captions,
20 or 40 % are shuffled among clips or cut to their first half; each set also gets quality weights, from the texts
alone. Translate-train and C2KD learn from each at one and at twenty Italian captions a clip, three seeds
(`benchmarks/translation_noise.toml`). Validation and test captions stay as they are. Writes
`results/translation-noise.{md,json}`, `results/translation-noise-quality.json` and the plot of the docs. Finished runs
under `runs/` are not done again.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel import Dataset, import_tables, run_experiment
from polyreel.storage import write_json, write_text
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.results import CellResult, ExperimentResult
from polyreel.translation.encoder import open_sentence_encoder
from polyreel.translation.rating import Verdicts, rate, with_quality

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
CLEAN, NOISE = Path("data/msrvtt1k"), Path("data/noise")
SHARES = {"clean": 0.0, "shuffled-20": 0.2, "shuffled-40": 0.4, "truncated-20": 0.2, "truncated-40": 0.4}
CAPTIONS_A_CLIP = 20
SETTINGS, OUTPUT = "benchmarks/translation_noise.toml", Path("runs/translation-noise")
ASKED = (
    ("c2kd", "translate-train"),
    ("translate-train-weighted", "translate-train"),
    ("c2kd-weighted", "c2kd"),
    ("c2kd-weighted", "translate-train-weighted"),
)
STYLES = {
    "translate-train": ("#0072b2", "o"),
    "translate-train-weighted": ("#0072b2", "^"),
    "c2kd": ("#c77f00", "o"),
    "c2kd-weighted": ("#c77f00", "^"),
}


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def spoil(dataset: Dataset, name: str) -> tuple[Dataset, np.ndarray]:
    """Spoil a share of the Italian training captions, the same share of the clips' first, second, … captions.

    Returns:
        The dataset, and which captions were spoilt.
    """
    draw = np.random.default_rng(7)
    texts = dataset.captions["text"].to_pylist()
    in_training = pc.is_in(dataset.captions["clip_id"], value_set=pa.array(dataset.split("train").clip_ids))
    italian = np.flatnonzero(pc.and_(in_training, pc.equal(dataset.captions["lang"], "it")).to_numpy())
    by_clip = italian.reshape(-1, CAPTIONS_A_CLIP)
    is_spoilt = np.zeros(len(texts), bool)
    for position in range(CAPTIONS_A_CLIP):
        count = round(SHARES[name] * len(by_clip))
        rows = by_clip[draw.permutation(len(by_clip))[:count], position]
        if name.startswith("shuffled"):
            moved = [texts[row] for row in np.roll(rows, 1)]
        else:
            moved = [" ".join(words[: max(1, len(words) // 2)]) for words in (texts[row].split() for row in rows)]
        for row, text in zip(rows.tolist(), moved, strict=True):
            is_spoilt[row] |= text != texts[row]
            texts[row] = text
    column = dataset.captions.schema.get_field_index("text")
    field = dataset.captions.schema.field(column)
    captions = dataset.captions.set_column(column, field, pa.array(texts, pa.string()))
    return replace(dataset, name=f"msrvtt1k, {name}", captions=captions, folder=None), is_spoilt


def save(dataset: Dataset, name: str) -> None:
    """Write a dataset that shares the features of the clean one."""
    dataset.save(NOISE / name)
    if not (NOISE / name / "features").exists():
        (NOISE / name / "features").symlink_to((CLEAN / "features").resolve(), target_is_directory=True)


def found(verdicts: Verdicts, captions: pa.Table, is_spoilt: np.ndarray) -> dict[str, float]:
    """Tell how well a score below 0.5 finds what was spoilt, and what weights came out."""
    rows = verdicts.rows_of(captions)
    spoilt_N, score_N = is_spoilt[rows >= 0], verdicts.quality.score_N[rows[rows >= 0]]
    flagged_N = score_N < verdicts.settings.drop_below
    return {
        "captions": len(score_N),
        "spoilt": int(spoilt_N.sum()),
        "flagged": int(flagged_N.sum()),
        "flagged_spoilt": int((flagged_N & spoilt_N).sum()),
        "mean_weight_spoilt": round(float(score_N[spoilt_N].mean()), 4) if spoilt_N.any() else 1.0,
        "mean_weight_good": round(float(score_N[~spoilt_N].mean()), 4),
    }


def prepare() -> None:
    """Import, spoil, judge; keep how well the judgement finds what was spoilt."""
    if not CLEAN.is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", CLEAN, layout="msrvtt1k")
    dataset = Dataset.open(CLEAN)
    embed = open_sentence_encoder(str(SHARED / "models" / "static_multilingual"))
    counts = {}
    for name in SHARES:
        spoilt, is_spoilt = spoil(dataset, name)
        verdicts = rate(spoilt, split="train", embed=embed)
        save(spoilt, name)
        save(with_quality(spoilt, verdicts, "weight"), f"{name}-weighted")
        counts[name] = found(verdicts, spoilt.captions, is_spoilt)
        print(name, counts[name], flush=True)
    place = ROOT / "results" / "translation-noise-quality.json"
    place.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


def table(cells: Sequence[CellResult]) -> str:
    """Write R@10, text to video, English / Italian, and the differences that answer the questions, in Italian."""
    systems = [report.name for report in cells[0].reports]
    head = "| noise | " + " | ".join(systems) + " | " + " | ".join(f"{one} − {other}" for one, other in ASKED) + " |"
    out = [
        "# Noisy translations on msrvtt1k",
        "",
        "R@10, text to video, 150 test clips (chance 6.7), English / Italian,",
    ]
    out += ["means of three seeds; then paired differences in Italian, 95 % intervals over source videos."]
    for captions in dict.fromkeys(cell.values["captions"] for cell in cells):
        out += ["", f"## {captions} captions a training video", "", head]
        out += ["| --- |" + " ---: |" * (len(systems) + len(ASKED))]
        for cell in [cell for cell in cells if cell.values["captions"] == captions]:
            figures = [f"{one.row('en', 'R@10').value:.1f} / {one.row('it', 'R@10').value:.1f}" for one in cell.reports]
            differences = [difference(cell, pair) for pair in ASKED]
            out.append(f"| {cell.values['noise']} | {' | '.join([*figures, *differences])} |")
    return "\n".join(out) + "\n"


def difference(cell: CellResult, pair: tuple[str, str]) -> str:
    """Write one paired difference in Italian R@10 with its interval, in bold where it leaves out 0."""
    assert cell.comparison is not None
    sign, pairs = (1, pair) if pair in cell.comparison.pairs() else (-1, (pair[1], pair[0]))
    row = next(one for one in cell.comparison.of(pairs, metric="R@10", direction="t2v") if one.lang == "it")
    low, high = sorted((sign * row.low, sign * row.high))
    words = f"{sign * row.value:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")
    return f"**{words}**" if row.holds else words


def plot(cells: Sequence[CellResult], place: Path) -> None:
    """Plot Italian R@10 under every noise, a panel a number of captions, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(cell.values["captions"] for cell in cells))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(6.5 * len(panels), 4.2), sharey=True, squeeze=False)
    for axis, captions in zip(axes[0], panels, strict=True):
        here = [cell for cell in cells if cell.values["captions"] == captions]
        for number, system in enumerate(STYLES):
            rows = [next(one for one in cell.reports if one.name == system).row("it", "R@10") for cell in here]
            middle = np.array([row.value for row in rows])
            ends = np.array([row.interval for row in rows]).T
            spread = np.abs(ends - middle)
            places = np.arange(len(here)) + 0.16 * (number - 1.5)
            color, marker = STYLES[system]
            axis.errorbar(places, middle, yerr=spread, fmt=marker, color=color, capsize=2, label=system, markersize=6)
        axis.set_xticks(range(len(here)), [cell.values["noise"].replace(" % ", " %\n") for cell in here])
        axis.set_title(f"{captions} captions a training video", fontsize=11)
        axis.grid(axis="y", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("Italian R@10, text to video")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.savefig(place, dpi=110)


def keep(cells: Sequence[CellResult]) -> None:
    """Write tables, figures and the plot."""
    found = ExperimentResult(title="Noisy translations on msrvtt1k", folder=OUTPUT, cells=tuple(cells))
    write_json(ROOT / "results" / "translation-noise.json", found.to_json())
    write_text(ROOT / "results" / "translation-noise.md", table(cells))
    plot(cells, ROOT / "docs" / "images" / "translation-noise.png")
    print(table(cells))


def main() -> None:
    """Prepare, train, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on one thread")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    prepare()
    cells: list[CellResult] = []
    for captions in load_experiment(SETTINGS).axes["captions"]:
        cells += run_experiment(SETTINGS, OUTPUT, only=captions, jobs=asked.jobs, progress=tell).cells
    keep(cells)


if __name__ == "__main__":
    main()
