"""Tables and pictures of what goes beyond the paper: systems, gaps, the curve over pairs, languages added later.

Differences are paired, query by query; intervals are 95 %, from a bootstrap over source videos.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from polyreel.evaluation.report import Report
from polyreel.evaluation.uncertainty import MANY_RESAMPLES, interval
from polyreel.storage import Json
from polyreel.training.add_language import Added
from polyreel.training.results import CellResult

CURVE = {"c2kd": 0, "both-100": 100, "both-1000": 1_000, "both": 10_000}
ENGLISH, ITALIAN, GREEN = "#0072b2", "#c77f00", "#007a53"
OF_TEXT = {"scratch": ENGLISH, "scratch-4000": GREEN, "static": "#7b3f98"}
Difference = tuple[float, float, float]


def words(found: Difference) -> str:
    """Write a difference with its interval, in bold where that leaves out 0."""
    value, low, high = found
    text = f"{value:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")
    return f"**{text}**" if low > 0 or high < 0 else text


def difference(one: Report, lang: str, other: Report, other_lang: str) -> Difference:
    """Return R@10, text to video, of one report and language less another's, and its interval."""
    found = []
    for report, code in ((one, lang), (other, other_lang)):
        rows = report.rows(num_resamples=MANY_RESAMPLES)
        found.append(next(row for row in rows if (row.lang, row.metric, row.direction) == (code, "R@10", "t2v")))
    low, high = interval(found[0].draws_R - found[1].draws_R)
    return found[0].value - found[1].value, low, high


def gap(report: Report) -> Difference:
    """Return R@10 in Italian less that in English."""
    return difference(report, "it", report, "en")


def meets(report: Report, zero_shot: Report) -> bool:
    """Tell whether Italian is within two points of English or above, and English above its zero-shot training."""
    return gap(report)[1] > -2 and difference(report, "en", zero_shot, "en")[1] > 0


def systems(cells: Sequence[CellResult]) -> str:
    """Write every system of every cell: R@10 in both languages, the gap, and what it gains."""
    heads = ["system", "English", "Italian", "Italian − English", "English − zero-shot", "Italian − C2KD"]
    lines = ["# Beyond the paper on msrvtt1k", "", "R@10, text to video, 150 test clips (chance 6.7); 20 English and 1"]
    seeds = len(cells[0].reports[0].seeds)
    lines += [
        f"Italian caption a training video; {seeds} seeds; paired differences, 95 % intervals over source videos."
    ]
    for cell in cells:
        by_name = {report.name: report for report in cell.reports}
        lines += ["", f"Text: {cell.values['text']}", "", f"| {' | '.join(heads)} |"]
        lines += ["| --- |" + " ---: |" * (len(heads) - 1)]
        for name, report in by_name.items():
            figures = [f"{report.row(lang, 'R@10').value:.1f}" for lang in ("en", "it")] + [words(gap(report))]
            for baseline, lang in (("zero-shot", "en"), ("c2kd", "it")):
                is_same = name == baseline
                figures.append("" if is_same else words(difference(report, lang, by_name[baseline], lang)))
            mark = " ✓" if name != "zero-shot" and meets(report, by_name["zero-shot"]) else ""
            lines.append(f"| {name}{mark} | {' | '.join(figures)} |")
    lines += ["", "✓: the interval of Italian − English lies above −2, and that of English − zero-shot above 0."]
    lines += ["", "English less that of zero-shot from scratch with 2,000 pieces, for systems with 4,000:", ""]
    plain = next(report for report in cells[0].reports if report.name == "zero-shot")
    larger = next(cell for cell in cells if cell.values["text"] == "scratch-4000")
    lines += [f"- {report.name}: {words(difference(report, 'en', plain, 'en'))}" for report in larger.reports]
    return "\n".join(lines) + "\n"


def gaps(cells: Sequence[CellResult]) -> dict[str, Json]:
    """Return the gap of every system, by text tower."""
    return {
        cell.values["text"]: {report.name: [round(one, 3) for one in gap(report)] for report in cell.reports}
        for cell in cells
    }


def plot(cells: Sequence[CellResult], file: Path) -> None:
    """Plot R@10 of both languages over the number of pairs, and the gap of every system."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (curve, beside) = pyplot.subplots(1, 2, figsize=(13, 6.4))
    reports = {report.name: report for report in cells[0].reports}
    for lang, name, color in (("en", "English", ENGLISH), ("it", "Italian", ITALIAN)):
        rows = [reports[system].row(lang, "R@10") for system in CURVE]
        middle = np.array([row.value for row in rows])
        spread = np.abs(np.array([row.interval for row in rows]).T - middle)
        curve.errorbar(range(len(CURVE)), middle, yerr=spread, fmt="o-", color=color, capsize=2, label=name)
        curve.axhline(reports["c2kd-20"].row(lang, "R@10").value, color=color, linestyle=":", linewidth=1)
    curve.set_xticks(range(len(CURVE)), [f"{count:,}" for count in CURVE.values()])
    curve.set_xlabel("sentence pairs without video, beside 20 English and 1 Italian caption a video")
    curve.set_ylabel("R@10, text to video (dotted: 20 Italian captions a video)")
    curve.legend(frameon=False, loc="lower right")
    places = [(cell.values["text"], report) for cell in cells for report in cell.reports if report.name != "zero-shot"]
    for place, (text, report) in enumerate(reversed(places)):
        value, low, high = gap(report)
        color = OF_TEXT[text]
        beside.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=color, capsize=2)
    beside.set_yticks(range(len(places)), [f"{report.name}, {text}" for text, report in reversed(places)])
    beside.axvspan(-2, 2, color=GREEN, alpha=0.12)
    beside.axvline(0, color="black", linewidth=0.6)
    beside.set_xlabel("Italian less English, R@10 (green: within two points)")
    for axis in (curve, beside):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def later(found: Mapping[str, Report], joint: Report, zero_shot: Report) -> str:
    """Write how English-only students fare that were given Italian later, from a file of pairs.

    Args:
        found: reports by how many pairs.
        joint: of a student that learnt the same pairs from the start.
        zero_shot: of the students before.
    """
    lines = ["# Italian added later, by `polyreel add-language`, to students that knew English alone", ""]
    lines += [f"R@10, text to video, 150 test clips, {len(zero_shot.seeds)} seeds; no Italian caption has a video.", ""]
    lines += [
        "| pairs | English | Italian | English − before | Italian − before |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    rows = {"none (zero-shot)": zero_shot, **found, "10,000, learnt from the start beside teachers": joint}
    for name, report in rows.items():
        figures = [f"{report.row(lang, 'R@10').value:.1f}" for lang in ("en", "it")]
        is_same = report is zero_shot
        figures += ["" if is_same else words(difference(report, lang, zero_shot, lang)) for lang in ("en", "it")]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def domains(added: Mapping[str, Sequence[Added]], langs: Sequence[str]) -> str:
    """Write how well languages agree with English that were added by captions of images."""
    num_students = len(next(iter(added.values())))
    lines = [
        "# Three languages by captions of images, no video and no caption of these clips",
        "",
        f"`add_language` on {num_students} C2KD students at once for {', '.join(langs)}; means of seeds, on "
        "held-out pairs (a tenth, at most 500). First clip among ten: of 500 training clips, chance 2.",
        "",
        "| pairs a language | language | first clip the same, % | among ten, % | rank correlation | text to text R@1 | "
        "R@10 English, Italian, before → after |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, ones in added.items():
        had = " / ".join(before_and_after(ones, lang) for lang in ("en", "it"))
        for lang in langs:
            now = [one.after.agreement[lang] for one in ones]
            means = [np.mean([getattr(one, name) for one in now]) for name in ("top_1", "top_10", "text_to_text")]
            correlation = np.mean([one.rank_correlation for one in now])
            lines.append(
                f"| {size} | {lang} | {means[0]:.1f} | {means[1]:.1f} | {correlation:.2f} | {means[2]:.1f} | {had} |"
            )
    return "\n".join(lines) + "\n"


def before_and_after(ones: Sequence[Added], lang: str) -> str:
    """Write mean R@10 of a language the students had."""
    moments = ([one.before for one in ones], [one.after for one in ones])
    means = [np.mean([moment.recall[lang] for moment in of_all]) for of_all in moments]
    return f"{means[0]:.1f} → {means[1]:.1f}"
