"""Plots of figures with intervals: bars by language, and differences between systems around zero.

They are small SVGs whose horizontal places are percentages, between labels that are plain HTML: they follow the
width of the page, take the reader's own fonts for every script, and the page's colours in light and dark.
"""

import math
from collections.abc import Sequence

from polyreel.evaluation.comparison import Comparison, Difference
from polyreel.evaluation.estimates import LOWER_IS_BETTER, MEAN_LANG, Estimate
from polyreel.evaluation.markup import lang_label, tag, words
from polyreel.evaluation.metrics import Direction, Metric
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import DIRECTION_NAMES, cell, lang_name, shared_langs

NUM_COLORS = 8
_LINE_PX = 20


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers that enclose low to high, at most `most` steps of 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        high = low + 1
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= most:
            break
    return [round(number * step, 10) for number in range(first, last + 1)]


def color_class(position: int) -> str:
    """Return the class that gives the system at this position its colour, everywhere on a page."""
    return f"s{position % NUM_COLORS}"


def legend(names: Sequence[str]) -> str:
    """Return the names of the systems, each with its colour."""
    items = [tag("li", tag("i", class_=f"swatch {color_class(i)}"), words(name)) for i, name in enumerate(names)]
    return tag("ul", *items, class_="legend")


def bars_by_language(reports: Sequence[Report], metric: Metric, direction: Direction) -> str:
    """Draw one metric: a group a language, the mean over languages first, a bar with its interval a system."""
    langs = [lang for lang in [MEAN_LANG, *shared_langs(reports)[:-1]] if not _is_only(lang, reports)]
    found = {lang: [_find(report, lang, metric, direction) for report in reports] for lang in langs}
    highest = max(row.interval[1] for rows in found.values() for row in rows if row)
    ticks = nice_ticks(0, highest, most=8)
    groups = [_bar_group(lang, rows, ticks, [report.name for report in reports]) for lang, rows in found.items()]
    unit = "" if metric in LOWER_IS_BETTER else " in %"
    name = f"{metric}{unit}, {DIRECTION_NAMES[direction]}"
    return tag("div", *groups, _axis(ticks, name), class_="plot bars")


def forest(comparison: Comparison, pair: tuple[str, str], metric: Metric, direction: Direction) -> str:
    """Draw the differences of one pair (system, baseline): a line a language, its interval around zero."""
    rows = comparison.of(pair, metric=metric, direction=direction)
    rows = [rows[-1], *rows[:-1]] if len(rows) > 2 else rows[:1]
    everything = [row for row in comparison.differences if (row.metric, row.direction) == (metric, direction)]
    ticks = nice_ticks(min(0, *(row.low for row in everything)), max(0, *(row.high for row in everything)), most=5)
    names = [report.name for report in comparison.reports]
    lines = [_forest_line(row, ticks, color_class(names.index(row.system))) for row in rows]
    unit = "ranks" if metric in LOWER_IS_BETTER else "percentage points"
    head = tag("h3", words(pair[0]), tag("span", " less ", class_="soft"), words(pair[1]))
    return tag("div", head, *lines, _axis(ticks, f"{metric}, {unit}", signed=True), class_="plot forest")


def _is_only(lang: str, reports: Sequence[Report]) -> bool:
    return lang == MEAN_LANG and all(len(report.langs) == 1 for report in reports)


def _find(report: Report, lang: str, metric: Metric, direction: Direction) -> Estimate | None:
    return report.row(lang, metric, direction) if lang in (MEAN_LANG, *report.langs) else None


def _bar_group(lang: str, rows: Sequence[Estimate | None], ticks: Sequence[float], names: Sequence[str]) -> str:
    known = [(i, row) for i, row in enumerate(rows) if row is not None]
    height = _LINE_PX * len(rows)
    chance = _percent(next(row.chance or 0 for _, row in known), ticks)
    shapes = [_bar(row, i, ticks) for i, row in known]
    chance_line = tag("line", x1=chance, x2=chance, y1=0, y2=height, class_="chance")
    spoken = "; ".join(f"{names[i]} {cell(row)}" for i, row in known)
    drawing = tag(
        "svg", *_grid(ticks, height), *shapes, chance_line,
        role="img", aria_label=f"{lang_name(lang)}: {spoken}", height=height, width="100%",
    )  # fmt: skip
    values = [_value(i, row) for i, row in enumerate(rows)]
    return tag(
        "div", tag("div", _label(lang), class_="label"), tag("div", drawing, class_="track"),
        tag("div", *values, class_="values", aria_hidden="true"),
        class_="group mean" if lang == MEAN_LANG else "group",
    )  # fmt: skip


def _bar(row: Estimate, position: int, ticks: Sequence[float]) -> str:
    middle = _LINE_PX * position + _LINE_PX / 2
    low, high = (_percent(end, ticks) for end in row.interval)
    bar = tag("rect", x=0, y=middle - 6, height=12, width=_percent(row.value, ticks), rx=2)
    seeds = [tag("circle", cx=_percent(value, ticks), cy=middle, r=1.6, class_="seed") for value in row.by_seed]
    whisker = tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker")
    caps = [tag("line", x1=end, x2=end, y1=middle - 3.5, y2=middle + 3.5, class_="whisker") for end in (low, high)]
    return tag("g", bar, whisker, *caps, *(seeds if len(seeds) > 1 else []), class_=color_class(position))


def _value(position: int, row: Estimate | None) -> str:
    if row is None:
        return tag("div", "–")
    low, high = row.interval
    return tag(
        "div", tag("b", f"{row.value:.1f}", class_=f"ink {color_class(position)}"),
        tag("span", f"{low:.1f} – {high:.1f}", class_="soft range"),
    )  # fmt: skip


def _forest_line(row: Difference, ticks: Sequence[float], color: str) -> str:
    low, high, value, zero = (_percent(number, ticks) for number in (row.low, row.high, row.value, 0.0))
    middle = _LINE_PX / 2
    drawing = tag(
        "svg", *_grid(ticks, _LINE_PX),
        tag("line", x1=zero, x2=zero, y1=0, y2=_LINE_PX, class_="zero"),
        tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="span"),
        tag("circle", cx=value, cy=middle, r=4.5, class_=_dot(row)),
        role="img", height=_LINE_PX, width="100%", class_=color,
        aria_label=f"{lang_name(row.lang)}: {_spoken(row)}",
    )  # fmt: skip
    number = tag("b" if row.holds else "span", _signed(row.value))
    interval = tag("span", f"{_signed(row.low)} … {_signed(row.high)}", class_="soft range")
    return tag(
        "div", tag("div", _label(row.lang), class_="label"), tag("div", drawing, class_="track"),
        tag("div", number, interval, class_="values", aria_hidden="true"),
        class_="group mean" if row.lang == MEAN_LANG else "group",
    )  # fmt: skip


def _dot(row: Difference) -> str:
    return "shown" if row.holds_among_all else "alone" if row.holds else "open"


def _spoken(row: Difference) -> str:
    verdict = "holds among all" if row.holds_among_all else "holds alone" if row.holds else "is not shown"
    return f"{row.value:+.1f}, from {row.low:+.1f} to {row.high:+.1f}, {verdict}"


def _signed(number: float, form: str = "+.1f") -> str:
    return format(number, form).replace("-", "−")


def _label(lang: str) -> str:
    return (
        tag("b", "All languages") + " " + tag("span", "mean", class_="soft") if lang == MEAN_LANG else lang_label(lang)
    )


def _percent(number: float, ticks: Sequence[float]) -> str:
    return f"{100 * (number - ticks[0]) / (ticks[-1] - ticks[0]):.2f}%"


def _grid(ticks: Sequence[float], height: float) -> list[str]:
    return [tag("line", x1=_percent(t, ticks), x2=_percent(t, ticks), y1=0, y2=height, class_="grid") for t in ticks]


def _axis(ticks: Sequence[float], name: str, signed: bool = False) -> str:
    marks = [
        tag("span", _signed(tick, "+g") if signed and tick else f"{tick:g}", style=f"left:{_percent(tick, ticks)}")
        for tick in ticks
    ]
    track = tag("div", tag("div", *marks, class_="ticks"), tag("div", words(name), class_="axis-name"), class_="track")
    sides = tag("div", class_="label"), tag("div", class_="values")
    return tag("div", sides[0], track, sides[1], class_="group axis", aria_hidden="true")
