"""Comparison: how much better one system is than another, query by query.

Both systems answered the same queries and see the same resamples of source videos, so the spread they share (hard and
easy videos) cancels out. A difference holds alone when its 95 % interval leaves out 0. Many are looked at at once, so
all of one metric and direction, over languages and pairs of systems, are corrected together (Holm, 1979): one that
holds among them all is shown, whichever the reader picks out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from polyreel.errors import DataError
from polyreel.evaluation.estimates import LOWER_IS_BETTER, Estimate, Figure
from polyreel.evaluation.metrics import Direction
from polyreel.evaluation.report import Report, check_same_queries
from polyreel.evaluation.uncertainty import LEVEL, MANY_RESAMPLES, detectable, holm, interval, p_value
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
        p_value: of this difference alone.
        p_corrected: among all of its metric and direction.
        detectable: the smallest true difference between these two that this set would show, in 80 of 100 cases.
    """

    system: str
    baseline: str
    lang: str
    direction: Direction
    metric: Figure
    value: float
    low: float
    high: float
    p_value: float
    p_corrected: float
    detectable: float

    @property
    def holds(self) -> bool:
        """Whether the interval leaves out 0: the difference alone is shown."""
        return self.low > 0 or self.high < 0

    @property
    def holds_among_all(self) -> bool:
        """Whether it is shown among all differences of its metric and direction."""
        return self.holds and self.p_corrected < 1 - LEVEL

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
            "p": round(self.p_value, 5),
            "p_holm": round(self.p_corrected, 5),
            "holds_among_all": self.holds_among_all,
            "detectable": round(self.detectable, 4),
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
            "resamples": MANY_RESAMPLES,
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
    estimates = {
        report.name: {(row.lang, row.direction, row.metric): row for row in report.rows(num_resamples=MANY_RESAMPLES)}
        for report in reports
    }
    differences = [
        _difference(system, held_against, after, estimates[held_against.name][figure])
        for system, held_against in pairs
        for figure, after in estimates[system.name].items()
        if figure in estimates[held_against.name]  # texts to texts may be asked of one alone
    ]
    return Comparison(reports=tuple(reports), differences=_corrected(differences))


def _difference(system: Report, baseline: Report, after: Estimate, before: Estimate) -> Difference:
    draws_R = after.draws_R - before.draws_R
    low, high = interval(draws_R)
    return Difference(
        system=system.name,
        baseline=baseline.name,
        lang=after.lang,
        direction=after.direction,
        metric=after.metric,
        value=after.value - before.value,
        low=low,
        high=high,
        p_value=p_value(draws_R),
        p_corrected=1.0,
        detectable=detectable(draws_R),
    )


def _corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct the p-values of each metric and direction together."""
    families: dict[tuple[Direction, Figure], list[int]] = {}
    for place, row in enumerate(differences):
        families.setdefault((row.direction, row.metric), []).append(place)
    corrected = list(differences)
    for places in families.values():
        for place, p_corrected in zip(places, holm([differences[one].p_value for one in places]), strict=True):
            corrected[place] = replace(differences[place], p_corrected=p_corrected)
    return tuple(corrected)
