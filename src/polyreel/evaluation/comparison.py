"""Comparison: how much better one system is than another, query by query.

Both systems answered the same queries and see the same resamples of source videos, so the spread they share (hard and
easy videos) cancels out. A difference holds when its 95 % interval leaves out 0; many are looked at at once, so one
alone that holds narrowly proves little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from polyreel.errors import DataError
from polyreel.evaluation.estimates import LOWER_IS_BETTER, Estimate, Figure
from polyreel.evaluation.metrics import Direction
from polyreel.evaluation.report import Report, check_same_queries
from polyreel.evaluation.uncertainty import interval
from polyreel.storage import Json


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure of a system less the same figure of its baseline.

    Attributes:
        system: name of the system.
        baseline: name of what it is held against.
        lang: language code, or "mean".
        direction: what is asked for with what.
        metric: which figure.
        value: system less baseline.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    system: str
    baseline: str
    lang: str
    direction: Direction
    metric: Figure
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def is_better(self) -> bool:
        """Whether the system did better, shown or not: higher recall, lower rank."""
        return self.value < 0 if self.metric in LOWER_IS_BETTER else self.value > 0

    def to_json(self) -> dict[str, Json]:
        """Return the difference and whether it holds."""
        return {
            "system": self.system,
            "baseline": self.baseline,
            "lang": self.lang,
            "direction": self.direction,
            "metric": self.metric,
            "difference": round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "holds": self.holds,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Systems and the differences between them.

    Attributes:
        reports: the systems, in the order given.
        differences: by pair, then as the figures stand in a report.
    """

    reports: tuple[Report, ...]
    differences: tuple[Difference, ...]

    def pairs(self) -> list[tuple[str, str]]:
        """Return the names (system, baseline) of the pairs compared."""
        return list(dict.fromkeys((row.system, row.baseline) for row in self.differences))

    def of(
        self, pair: tuple[str, str], *, metric: Figure | None = None, direction: Direction | None = None
    ) -> list[Difference]:
        """Return the differences of one pair (system, baseline); None means every metric, both directions."""
        return [
            row
            for row in self.differences
            if (row.system, row.baseline) == pair
            and metric in (None, row.metric)
            and direction in (None, row.direction)
        ]

    def to_json(self) -> dict[str, Json]:
        """Return the names of the systems and every difference."""
        return {
            "systems": [report.name for report in self.reports],
            "differences": [row.to_json() for row in self.differences],
        }


def compare(reports: Sequence[Report], *, baseline: str | None = None) -> Comparison:
    """Hold systems against one another.

    Args:
        reports: two or more, of the same queries.
        baseline: name of the one the others are held against; None compares each with all before it.

    Raises:
        DataError: fewer than two reports, a name that occurs twice or not at all, or queries that differ.
    """
    by_name = {report.name: report for report in reports}
    if len(by_name) < 2 or len(by_name) < len(reports):
        raise DataError(
            f"cannot compare the reports {', '.join(report.name for report in reports) or '(none)'}; "
            "expected two or more of different names; merge the seeds of one system, or name them apart"
        )
    if baseline is not None and baseline not in by_name:
        raise DataError(f"no report is called {baseline!r}; the baseline is one of {', '.join(by_name)}")
    check_same_queries(reports)
    pairs = [
        (later, earlier) if baseline is None or earlier.name == baseline else (earlier, later)
        for earlier, later in combinations(reports, 2)
        if baseline in (None, earlier.name, later.name)
    ]
    return Comparison(
        reports=tuple(reports),
        differences=tuple(
            _difference(system, held_against, after, before)
            for system, held_against in pairs
            for after, before in zip(system.rows(), held_against.rows(), strict=True)
        ),
    )


def _difference(system: Report, baseline: Report, after: Estimate, before: Estimate) -> Difference:
    low, high = interval(after.draws_R - before.draws_R)
    return Difference(
        system=system.name,
        baseline=baseline.name,
        lang=after.lang,
        direction=after.direction,
        metric=after.metric,
        value=after.value - before.value,
        low=low,
        high=high,
    )
