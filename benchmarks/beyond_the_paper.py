"""Beyond the paper on msrvtt1k: distillation over the whole bank, and Italian from sentence pairs without a video.

    .venv/bin/python benchmarks/beyond_the_paper.py [--jobs 1] [--parts pairs,domains]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). `pairs` writes the training videos'
own captions as sentence pairs, their video ids thrown away, runs the shipped experiment `msrvtt1k/beyond` and writes
`results/beyond-the-paper.{md,json}` and two plots. `domains` adds German, French and Czech (Multi30k's image captions)
to three of its students by `add_language`, and writes `results/beyond-domains.{md,json}`. Finished runs under `runs/`
are not done again.
"""

import argparse
import gzip
import os
import sys
import time
from pathlib import Path

import numpy as np

from polyreel import Dataset, import_tables, run_experiment
from polyreel.evaluation.report import Report
from polyreel.evaluation.uncertainty import MANY_RESAMPLES, interval
from polyreel.storage import write_json, write_text
from polyreel.training.add_language import Added, add_language
from polyreel.training.adding_report import Measured
from polyreel.training.results import CellResult

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
DATA, PAIRS, OUTPUT = Path("data/msrvtt1k"), Path("data/pairs/captions.en-it.tsv"), Path("runs/msrvtt1k-beyond")
CURVE = {"c2kd": 0, "both-100": 100, "both-1000": 1_000, "both": 10_000}
DOMAINS, SIZES = ("de", "fr", "cs"), (100, 1_000, 10_000)


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def prepare() -> None:
    """Import the data; write its training captions as pairs in a drawn order, their videos unnamed."""
    if not DATA.is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", DATA, layout="msrvtt1k")
    sentences: dict[str, dict[str, str]] = {}
    for row in Dataset.open(DATA).split("train").captions.to_pylist():
        sentences.setdefault(row["caption_id"], {})[row["lang"]] = row["text"]
    both = [texts for texts in sentences.values() if len(texts) == 2]
    order = np.random.default_rng(9).permutation(len(both))
    PAIRS.parent.mkdir(parents=True, exist_ok=True)
    write_text(PAIRS, "".join(f"{both[row]['en']}\t{both[row]['it']}\n" for row in order.tolist()))


def words(value: float, low: float, high: float) -> str:
    """Write a difference with its interval, in bold where that leaves out 0."""
    found = f"{value:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")
    return f"**{found}**" if low > 0 or high < 0 else found


def gap(report: Report) -> tuple[float, float, float]:
    """Return R@10 in Italian less that in English, paired over source videos, and its interval."""
    rows = {
        row.lang: row
        for row in report.rows(num_resamples=MANY_RESAMPLES)
        if (row.metric, row.direction) == ("R@10", "t2v")
    }
    low, high = interval(rows["it"].draws_R - rows["en"].draws_R)
    return rows["it"].value - rows["en"].value, low, high


def difference(cell: CellResult, system: str, baseline: str, lang: str) -> tuple[float, float, float] | None:
    """Return R@10 of one system less another's; None for a system and itself."""
    reports = {report.name: report for report in cell.reports}
    if system == baseline:
        return None
    values, draws = [], []
    for name in (system, baseline):
        row = next(
            one
            for one in reports[name].rows(num_resamples=MANY_RESAMPLES)
            if (one.metric, one.direction, one.lang) == ("R@10", "t2v", lang)
        )
        values.append(row.value)
        draws.append(row.draws_R)
    return (values[0] - values[1], *interval(draws[0] - draws[1]))


def table(cell: CellResult) -> str:
    """Write every system: R@10 in both languages, the gap, and what it gains."""
    heads = ["system", "English", "Italian", "Italian − English", "English − zero-shot", "Italian − C2KD"]
    lines = ["# Beyond the paper on msrvtt1k", "", "R@10, text to video, 150 test clips (chance 6.7); three seeds;"]
    lines += ["paired differences with 95 % intervals over source videos.", ""]
    lines += [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for report in cell.reports:
        figures = [f"{report.row(lang, 'R@10').value:.1f}" for lang in ("en", "it")]
        asked = [difference(cell, report.name, "zero-shot", "en"), difference(cell, report.name, "c2kd", "it")]
        figures += [words(*gap(report)), *("" if one is None else words(*one) for one in asked)]
        lines.append(f"| {report.name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def plot(cell: CellResult, folder: Path) -> None:
    """Plot R@10 of both languages over the number of pairs, and the gap of every system."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    reports = {report.name: report for report in cell.reports}
    figure, (curve, gaps) = pyplot.subplots(1, 2, figsize=(12, 4.2))
    for lang, name, color in (("en", "English", "#0072b2"), ("it", "Italian", "#c77f00")):
        rows = [reports[system].row(lang, "R@10") for system in CURVE]
        middle = np.array([row.value for row in rows])
        spread = np.abs(np.array([row.interval for row in rows]).T - middle)
        curve.errorbar(range(len(CURVE)), middle, yerr=spread, fmt="o-", color=color, capsize=2, label=name)
        curve.axhline(reports["c2kd-20"].row(lang, "R@10").value, color=color, linestyle=":", linewidth=1)
    curve.set_xticks(range(len(CURVE)), [f"{count:,}" for count in CURVE.values()])
    curve.set_xlabel("sentence pairs without video, beside 20 English and 1 Italian caption a video")
    curve.set_ylabel("R@10, text to video (dotted: 20 Italian captions a video)")
    curve.legend(frameon=False)
    for place, report in enumerate(reversed(cell.reports)):
        value, low, high = gap(report)
        gaps.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color="#0072b2", capsize=2)
    gaps.set_yticks(range(len(cell.reports)), [report.name for report in reversed(cell.reports)])
    gaps.axvspan(-2, 2, color="#007a53", alpha=0.12)
    gaps.axvline(0, color="black", linewidth=0.6)
    gaps.set_xlabel("Italian less English, R@10 (green: within two points)")
    for axis in (curve, gaps):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "beyond-the-paper.png", dpi=110)


def pairs(jobs: int) -> None:
    """Run the experiment and write what it found."""
    found = run_experiment("msrvtt1k/beyond", OUTPUT, jobs=jobs, progress=tell)
    cell = found.cells[0]
    gaps = {report.name: [round(one, 3) for one in gap(report)] for report in cell.reports}
    write_json(Path("results/beyond-the-paper.json"), {**found.to_json(), "italian_less_english": gaps})
    write_text(Path("results/beyond-the-paper.md"), table(cell))
    plot(cell, Path("docs/images"))
    print(table(cell), flush=True)


def of_domain(lang: str) -> list[str]:
    """Return Multi30k's training captions in English and another language, as lines of a table."""
    sides = [
        gzip.open(SHARED / "data" / "multi30k" / f"train.{code}.gz", "rt", encoding="utf-8") for code in ("en", lang)
    ]
    with sides[0] as english, sides[1] as other:
        return [f"{one.strip()}\t{two.strip()}\n" for one, two in zip(english, other, strict=True)]


def before_and_after(ones: list[Added], lang: str) -> str:
    """Write mean R@10 of a language the students had."""
    means = [np.mean([moment.recall[lang] for moment in moments]) for moments in moments_of(ones)]
    return f"{means[0]:.1f} → {means[1]:.1f}"


def moments_of(ones: list[Added]) -> tuple[list[Measured], list[Measured]]:
    """Return all students as they were, and as they are."""
    return [one.before for one in ones], [one.after for one in ones]


def domains() -> None:
    """Add three languages to three students, by captions of images, and write how well they agree with English."""
    students = sorted((OUTPUT / "runs").glob("c2kd-????????????"))[:3]
    added: dict[str, list[Added]] = {}
    for size in SIZES:
        files = []
        for lang in DOMAINS:
            files.append(PAIRS.with_name(f"multi30k-{size}.en-{lang}.tsv"))
            write_text(files[-1], "".join(of_domain(lang)[:size]))
        for number, student in enumerate(students):
            place = OUTPUT / "added" / f"{student.name}-{size}"
            added.setdefault(f"{size:,}", []).append(add_language(student, files, place))
            tell(number + 1, len(students), f"{size} pairs of {', '.join(DOMAINS)}")
    lines = [
        "# Three languages by captions of images, no video and no caption of these clips",
        "",
        f"`add_language` on {len(students)} C2KD students at once for {', '.join(DOMAINS)}; means of seeds, on "
        "held-out pairs (a tenth, at most 500). First clip among ten: of 500 training clips, chance 2.",
        "",
        "| pairs a language | language | first clip the same, % | among ten, % | rank correlation | text to text R@1 | "
        "R@10 English, Italian, before → after |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, ones in added.items():
        had = " / ".join(before_and_after(ones, lang) for lang in ("en", "it"))
        for lang in DOMAINS:
            now = [one.after.agreement[lang] for one in ones]
            means = [np.mean([getattr(one, name) for one in now]) for name in ("top_1", "top_10", "text_to_text")]
            correlation = np.mean([one.rank_correlation for one in now])
            lines.append(
                f"| {size} | {lang} | {means[0]:.1f} | {means[1]:.1f} | {correlation:.2f} | {means[2]:.1f} | {had} |"
            )
    write_text(Path("results/beyond-domains.md"), "\n".join(lines) + "\n")
    write_json(
        Path("results/beyond-domains.json"), {size: [one.to_json() for one in ones] for size, ones in added.items()}
    )
    print("\n".join(lines), flush=True)


def main() -> None:
    """Prepare, then the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on one thread")
    parser.add_argument("--parts", default="pairs,domains", help="what to do, in this order")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    prepare()
    if "pairs" in asked.parts:
        pairs(asked.jobs)
    if "domains" in asked.parts:
        domains()


if __name__ == "__main__":
    main()
