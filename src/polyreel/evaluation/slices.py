"""Figures of parts of the queries: by how long they are, how well they were translated, or what else is known of them.

Parts are formed of the numbers themselves, in each language for itself, as near to equal size as ties allow. All parts
see the same resamples of source videos as the whole.

Shapes: `S` seeds, `Q` queries.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from polyreel.evaluation.metrics import Floats, Metric
from polyreel.evaluation.report import Report
from polyreel.evaluation.uncertainty import interval, resample_sources

NUM_PARTS = 4


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One part of the queries of one language, text to video.

    Attributes:
        lang: their language.
        column: what they were parted by.
        low_value: the lowest number among them.
        high_value: the highest.
        num_queries: how many they are.
        value: the figure, mean over seeds.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    lang: str
    column: str
    low_value: float
    high_value: float
    num_queries: int
    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The figure and its interval."""
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def sliced(
    report: Report, lang: str, column: str, *, metric: Metric = "R@10", num_parts: int = NUM_PARTS
) -> list[Slice]:
    """Return a figure of each part of a language's queries, lowest numbers first.

    Args:
        report: with the table of its queries.
        lang: which language.
        column: of that table, with numbers: "num_words", "weight", "score".
        metric: a mean over queries.
        num_parts: at most so many; fewer where many queries have the same number.

    Raises:
        ValueError: the metric is a median.
    """
    if metric == "MedR":
        raise ValueError("a median rank of parts is not offered; expected a mean over queries, such as MnR or R@10")
    if report.queries is None or column not in report.queries.column_names or report.ground.captions != "each":
        return []
    rows = report.queries.filter(pc.equal(report.queries["lang"], lang))
    numbers_Q = rows[column].to_numpy().astype(np.float64)
    values_Q = report.ranks[lang, "t2v"].of_queries(metric).mean(axis=0)
    edges = np.unique(np.quantile(numbers_Q, np.linspace(0, 1, num_parts + 1)[1:-1], method="inverted_cdf"))
    part_Q = np.searchsorted(edges, numbers_Q, side="left")
    return [_slice(report, lang, column, part_Q == part, numbers_Q, values_Q) for part in np.unique(part_Q)]


def _slice(report: Report, lang: str, column: str, is_in_Q: np.ndarray, numbers_Q: Floats, values_Q: Floats) -> Slice:
    sources_Q = report.ranks[lang, "t2v"].sources[is_in_Q]
    low, high = interval(resample_sources(report.sources).means(values_Q[is_in_Q], sources_Q))
    return Slice(
        lang=lang,
        column=column,
        low_value=float(numbers_Q[is_in_Q].min()),
        high_value=float(numbers_Q[is_in_Q].max()),
        num_queries=int(is_in_Q.sum()),
        value=float(values_Q[is_in_Q].mean()),
        low=low,
        high=high,
    )
