"""The page's section on languages: a heat map of language by figure a system, and all tables across them."""

from collections.abc import Sequence

from polyreel.evaluation.estimates import LOWER_IS_BETTER
from polyreel.evaluation.language_tables import tables_of
from polyreel.evaluation.layouts import folded_tables
from polyreel.evaluation.markup import tag, words
from polyreel.evaluation.metrics import DIRECTIONS, Direction, Metric
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import lang_name

_METRICS: tuple[Metric, ...] = ("R@1", "R@5", "R@10", "MedR")
_SHORT: dict[Direction, str] = {"t2v": "t→v", "v2t": "v→t", "t2t": "t→t"}
_DARKEST = 70  # percent of the colour in the best cell of a column
_NUM_DIRECTIONS = 2  # the first tables of a report are one a direction, and stand elsewhere on the page


def languages_html(reports: Sequence[Report]) -> str:
    """Return the section; "" where there is but one language."""
    if all(len(report.langs) < 2 for report in reports):
        return ""
    explained = "The stronger the colour, the better in its column. Below: gaps, hubs, what translations share."
    return tag(
        "section", tag("h2", "Across languages"), tag("p", explained, class_="soft"),
        *map(heat_map, reports),
        *(folded_tables(f"{report.name}: across languages", tables_of(report)[_NUM_DIRECTIONS:]) for report in reports),
    )  # fmt: skip


def heat_map(report: Report) -> str:
    """Draw one system: a row a language, a column a figure and direction, coloured within the column."""
    columns = [(metric, direction) for direction in DIRECTIONS for metric in _METRICS]
    values = {column: [report.row(lang, *column).value for lang in report.langs] for column in columns}
    names = (f"{metric} {_SHORT[direction]}" for metric, direction in columns)
    head = tag("tr", tag("th", "language", scope="col"), *(tag("th", words(name), scope="col") for name in names))
    rows = [
        tag(
            "tr", tag("th", words(lang_name(lang)), scope="row"),
            *(_cell(values[column][place], values[column], column[0]) for column in columns),
        )
        for place, lang in enumerate(report.langs)
    ]  # fmt: skip
    table = tag("table", tag("caption", words(report.name)), tag("thead", head), tag("tbody", *rows), class_="heat")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"{report.name} by language")


def _cell(value: float, column: Sequence[float], metric: Metric) -> str:
    low, high = min(column), max(column)
    share = 0.5 if high == low else (value - low) / (high - low)
    heat = _DARKEST * (1 - share if metric in LOWER_IS_BETTER else share)
    return tag("td", f"{value:.1f}", style=f"--heat:{heat:.0f}%")
