"""Tables of what languages have to do with one another, and all tables of one report.

Beside what `across.py` says: how a figure depends on how long a query is and how well it was translated.
"""

from collections.abc import Sequence

import numpy as np

from polyreel.evaluation.estimates import Figure
from polyreel.evaluation.metrics import Metric
from polyreel.evaluation.report import Report
from polyreel.evaluation.slices import Slice, sliced
from polyreel.evaluation.tables import (
    DIRECTION_NAMES,
    SHOWN,
    Table,
    has_variance,
    lang_name,
    measured_on,
    one_system,
)
from polyreel.evaluation.tables import cell as figure_cell
from polyreel.evaluation.translations import pair_of
from polyreel.evaluation.uncertainty import detectable

QUALITY_COLUMNS = ("score", "weight")


def tables_of(report: Report) -> list[Table]:
    """Return all tables of one report: both directions, across languages, texts to texts, by length and quality."""
    tables = [one_system(report, "t2v"), one_system(report, "v2t")]
    tables += [across_table(report)] if len(report.langs) > 1 else []
    tables += [confusion_table(report)] if report.confusion else []
    tables += [text_to_text_table(report)] if any(direction == "t2t" for _, direction in report.ranks) else []
    tables += [table for column in ("num_words", *QUALITY_COLUMNS) for table in slice_tables(report, column)]
    return tables


def across_table(report: Report) -> Table:
    """Lay out gaps to English, hubness, and what is common to translations: a row a language."""
    across = report.across
    gaps = {gap.lang: gap for gap in across.gaps}
    rows = []
    for lang in report.langs:
        gap = gaps.get(lang)
        far = f"{gap.value:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]" if gap else "–"
        worst = f"{100 * gap.share_worst:.0f} %" if gap else "–"
        skew = f"{across.skewness[lang]:.2f}" if lang in across.skewness else "–"
        rows.append((lang_name(lang), figure_cell(report.row(lang, across.metric)), far, worst, skew))
    notes = [f"worst language {lang_name(across.worst)}"]
    if has_variance(report):
        notes.append(f"mean rank variance {figure_cell(report.row('mean', 'MRV'))}")
    if across.consistency:
        share, low, high = across.consistency
        notes.append(f"translations of a sentence share {share:.1f} [{low:.1f}, {high:.1f}] % of their first answers")
    smallest = detectable(report.row("mean", across.metric).draws_R) * np.sqrt(2)
    notes.append(f"two systems that have nothing in common must differ by {smallest:.1f} in the mean to be told apart")
    return Table(
        title=f"{report.name}: across languages, {DIRECTION_NAMES['t2v']}, {measured_on(report)}",
        header=("language", across.metric, f"English less it, {across.metric}", "worst in", "hubness (skewness)"),
        rows=tuple(rows),
        note="; ".join(notes),
    )


def confusion_table(report: Report) -> Table:
    """Lay out in which language the nearest other text is written, for texts of each language."""
    langs = list(report.confusion)
    return Table(
        title=f"{report.name}: language of the nearest other text, in %, {measured_on(report)}",
        header=("text in", *map(lang_name, langs)),
        rows=tuple(
            (lang_name(lang), *(f"{100 * report.confusion[lang][other]:.1f}" for other in langs)) for lang in langs
        ),
        note="one sentence a clip in all languages at once; a large share of its own says that the language counts "
        "more than the meaning",
    )


def text_to_text_table(report: Report, metric: Metric = "R@1") -> Table:
    """Lay out how often a sentence finds its translation: a row a language asked in, a column a language wanted."""
    known = {lang for lang, direction in report.ranks if direction == "t2t"}
    paired = {lang for pair in map(pair_of, known) if pair for lang in pair}
    langs = [lang for lang in report.langs if lang in paired]
    return Table(
        title=f"{report.name}: {metric}, {DIRECTION_NAMES['t2t']}, {measured_on(report)}",
        header=("asked in", *map(lang_name, langs)),
        rows=tuple(
            (
                lang_name(asked),
                *(
                    figure_cell(report.row(f"{asked}>{other}", metric, "t2t")) if f"{asked}>{other}" in known else "–"
                    for other in langs
                ),
            )
            for asked in langs
        ),
        note=f"mean {figure_cell(report.row('mean', metric, 't2t'))}",
    )


def slice_tables(report: Report, column: str, metric: Figure = SHOWN) -> list[Table]:
    """Lay out a figure by parts of equal size of what is known of queries; none where it does not vary."""
    by_lang = {lang: sliced(report, lang, column) for lang in report.langs}
    rows = [_slice_row(lang, parts) for lang, parts in by_lang.items() if len(parts) > 1]
    if not rows:
        return []
    width = max(map(len, rows))
    names = ("shortest", "longest") if column == "num_words" else ("lowest", "highest")
    header = ("language", *_numbered(names, width - 1))
    return [
        Table(
            title=f"{report.name}: {metric}, {DIRECTION_NAMES['t2v']}, by {column}, {measured_on(report)}",
            header=header,
            rows=tuple((*row, *[""] * (width - len(row))) for row in rows),
            note="parts of about equal size; in parentheses what they hold",
        )
    ]


def _slice_row(lang: str, parts: Sequence[Slice]) -> tuple[str, ...]:
    return lang_name(lang), *(f"{part.words} ({part.low_value:g}–{part.high_value:g})" for part in parts)


def _numbered(ends: tuple[str, str], size: int) -> list[str]:
    return [ends[0], *(f"part {number}" for number in range(2, size)), ends[1]][:size]
