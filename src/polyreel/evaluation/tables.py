"""Tables of reports and comparisons, for the terminal and for Markdown.

A `Table` is words in rows; what stands in it is decided once and laid out twice. Cells read `40.5 [36.1, 44.9]`: the
figure and its 95 % interval over source videos. What chance scores and what single seeds give stand beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyreel.evaluation.comparison import Comparison, Difference
from polyreel.evaluation.estimates import ENOUGH_SEEDS, MEAN_LANG, Estimate, Figure
from polyreel.evaluation.metrics import METRICS, Direction, Metric
from polyreel.evaluation.report import Report
from polyreel.languages import LANGUAGES

DIRECTION_NAMES: dict[Direction, str] = {"t2v": "text → video", "v2t": "video → text", "t2t": "text → text"}
SHOWN: Metric = "R@10"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Words in rows under a header; the first column is a name, the others are figures.

    Attributes:
        title: one line above.
        header: one word a column.
        rows: as long as the header.
        note: one line below; "" for none.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def text(self) -> str:
        """Lay the table out for a terminal: aligned by spaces."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        rule = "  ".join("─" * width for width in widths)
        lines = [_aligned(self.header, widths), rule, *(_aligned(row, widths) for row in self.rows)]
        return "\n".join([self.title, "", *lines, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """Lay the table out in Markdown, figures to the right."""
        rule = "|".join(["", " --- ", *[" ---: "] * (len(self.header) - 1), ""])
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (self.header, *self.rows)
        ]
        return "\n".join([f"**{self.title}**", "", lines[0], rule, *lines[1:], *(["", self.note] if self.note else [])])


def one_system(report: Report, direction: Direction = "t2v") -> Table:
    """Lay out one report: a row a language, a column a metric."""
    names = [*report.langs, MEAN_LANG]
    return Table(
        title=f"{report.name}: {DIRECTION_NAMES[direction]}, {measured_on(report)}",
        header=("language", "captions", *METRICS),
        rows=(
            *(
                (lang_name(lang), _captions(report, lang), *(cell(report.row(lang, m, direction)) for m in METRICS))
                for lang in names
            ),
            *_spread_rows(report, direction),
            ("chance", "", *(f"{report.row(MEAN_LANG, m, direction).chance:.1f}" for m in METRICS)),
        ),
        note=_note([report], direction),
    )


def by_system(reports: Sequence[Report], metric: Metric = "R@10", direction: Direction = "t2v") -> Table:
    """Lay out one metric of several reports: a row a language, a column a system, chance last."""
    rows = [_system_row(reports, lang, metric, direction) for lang in shared_langs(reports)]
    spread = [_spread(report.row(MEAN_LANG, metric, direction)) for report in reports]
    return Table(
        title=f"{metric}, {DIRECTION_NAMES[direction]}, {measured_on(reports[0])}",
        header=("language", *(report.name for report in reports), "chance"),
        rows=(
            *rows,
            *([("seeds, of the mean", *spread, "")] if any(spread) else []),
            *([_variance_row(reports)] if direction == "t2v" and any(map(has_variance, reports)) else []),
        ),
        note=_note(reports, direction),
    )


def of_differences(
    comparison: Comparison, pair: tuple[str, str], direction: Direction = "t2v", metrics: Sequence[Figure] = METRICS
) -> Table:
    """Lay out the differences of one pair (system, baseline): a row a language, a column a metric; `*` holds."""
    rows: dict[str, dict[Figure, Difference]] = {}
    for row in comparison.of(pair, direction=direction):
        rows.setdefault(row.lang, {})[row.metric] = row
    return Table(
        title=f"{pair[0]} less {pair[1]}: {DIRECTION_NAMES[direction]}, {measured_on(comparison.reports[0])}",
        header=("language", *metrics),
        rows=tuple(
            (lang_name(lang), *(difference_cell(of_lang[metric]) for metric in metrics))
            for lang, of_lang in rows.items()
        ),
        note="* the 95 % interval of the paired difference leaves out 0; ** and it holds among all differences of its "
        f"metric (Holm){_variance_note(rows)}",
    )


def what_holds(comparison: Comparison, metric: Figure = SHOWN, direction: Direction = "t2v") -> Table:
    """Lay out every difference of one metric with its p-value among all of them, what holds among all first."""
    rows = [row for row in comparison.differences if (row.metric, row.direction) == (metric, direction)]
    rows.sort(key=lambda row: (not row.holds_among_all, row.p_corrected, row.p_value))
    held = sum(row.holds_among_all for row in rows)
    return Table(
        title=f"What holds: {metric}, {DIRECTION_NAMES[direction]}, {held} of {len(rows)} differences among all",
        header=("system less baseline", "language", "difference", "p", "p among all", "smallest shown", "verdict"),
        rows=tuple(
            (
                f"{row.system} less {row.baseline}",
                lang_name(row.lang),
                difference_cell(row).rstrip(" *"),
                f"{row.p_value:.4f}",
                f"{row.p_corrected:.4f}",
                f"{row.detectable:.1f}",
                _verdict(row),
            )
            for row in rows
        ),
        note=f"p among all: corrected for {len(rows)} looked at together (Holm). Smallest shown: a true difference "
        "below it is found in fewer than 80 of 100 sets of videos like this one.",
    )


def _verdict(row: Difference) -> str:
    if row.holds_among_all:
        return "better" if row.is_better else "worse"
    return "holds alone" if row.holds else "not shown"


def lang_name(lang: str) -> str:
    """Return what a row is called: `German (de)`, or `mean over languages`."""
    return "mean over languages" if lang == MEAN_LANG else f"{LANGUAGES[lang].english_name} ({lang})"


def measured_on(report: Report) -> str:
    """Return in a few words what a report was measured on: `msrvtt1k test, 150 clips`."""
    ground = report.ground
    published = f" of {ground.num_clips + ground.num_absent_clips:,}" if ground.num_absent_clips else ""
    protocol = f", {ground.protocol}" if ground.protocol else ""
    return f"{ground.dataset} {ground.split}, {ground.num_clips:,}{published} clips{protocol}"


def cell(row: Estimate) -> str:
    """Return a figure with its interval: `40.5 [36.1, 44.9]`."""
    return f"{row.value:.1f} [{row.interval[0]:.1f}, {row.interval[1]:.1f}]"


def difference_cell(row: Difference) -> str:
    """Return a difference with its interval, signed, with a star where it holds, two where it does among all."""
    stars = "**" if row.holds_among_all else "* " if row.holds else "  "
    return f"{row.value:+.1f} [{row.low:+.1f}, {row.high:+.1f}] {stars}"


def shared_langs(reports: Sequence[Report]) -> list[str]:
    """Return the languages any of the reports has, in order, and "mean" behind them."""
    return [*dict.fromkeys(lang for report in reports for lang in report.langs), MEAN_LANG]


def _system_row(reports: Sequence[Report], lang: str, metric: Metric, direction: Direction) -> tuple[str, ...]:
    found = [report.row(lang, metric, direction) if lang in (*report.langs, MEAN_LANG) else None for report in reports]
    chance = next(f"{row.chance:.1f}" for row in found if row is not None)
    return lang_name(lang), *("–" if row is None else cell(row) for row in found), chance


def has_variance(report: Report) -> bool:
    """Return whether a report has a mean rank variance: two languages or more with parallel sentences."""
    return any(row.metric == "MRV" for row in report.rows())


def _variance_row(reports: Sequence[Report]) -> tuple[str, ...]:
    found = [cell(report.row(MEAN_LANG, "MRV")) if has_variance(report) else "–" for report in reports]
    return "mean rank variance", *found, ""


def _variance_note(rows: Mapping[str, Mapping[Figure, Difference]]) -> str:
    row = rows.get(MEAN_LANG, {}).get("MRV")
    return f"; mean rank variance over languages {difference_cell(row).rstrip()}" if row else ""


def _spread(row: Estimate) -> str:
    """Fewer than five seeds one by one, and their range; from five on they are in the interval."""
    if len(row.by_seed) < 2:
        return ""
    span = f"{min(row.by_seed):.1f} – {max(row.by_seed):.1f}"
    if len(row.by_seed) >= ENOUGH_SEEDS:
        return span
    return f"{', '.join(f'{value:.1f}' for value in row.by_seed)} ({span})"


def _spread_rows(report: Report, direction: Direction) -> list[tuple[str, ...]]:
    if len(report.seeds) < 2:
        return []
    return [("seeds, of the mean", "", *(_spread(report.row(MEAN_LANG, metric, direction)) for metric in METRICS))]


def _captions(report: Report, lang: str) -> str:
    if lang == MEAN_LANG:
        return ""
    asked = report.ground.asked[lang]
    return f"{asked.num_captions:,} {' + '.join(asked.origins)}"


def _note(reports: Sequence[Report], direction: Direction) -> str:
    seeds = max(len(report.seeds) for report in reports)
    parts = [
        f"[95 % interval, {len(reports[0].sources):,} source videos resampled"
        f"{', and seeds' if seeds >= ENOUGH_SEEDS else ''}]",
        f"queries averaged over {seeds} seeds" if seeds > 1 else "one seed",
    ]
    parts += [f"{report.name} scored by {report.scoring}" for report in reports if report.scoring != "cosine"]
    parts += [
        f"{report.name}'s text encoder was pretrained on {report.pretrained_on}"
        for report in reports
        if report.pretrained_on
    ]
    if reports[0].ground.captions != "each":
        parts.append(f"captions of a clip asked by {reports[0].ground.captions!r}")
    if reports[0].ground.ties == "optimistic":
        parts.append("ties counted as right")
    if len(reports) == 1 and direction == "t2v" and has_variance(reports[0]):
        parts.append(f"mean rank variance over languages {cell(reports[0].row(MEAN_LANG, 'MRV'))}")
    return "; ".join(parts)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        word.ljust(width) if column == 0 else word.rjust(width)
        for column, (word, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
