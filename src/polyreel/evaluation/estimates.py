"""Estimates: every figure of one system with its chance level, its seeds and its resamples.

An estimate keeps its resamples, so a mean over languages or a difference between two systems is formed resample by
resample, and its interval is as wide as the pairing allows. Each query is averaged over seeds, and what the seeds say
one by one stands apart. Only the median rank is taken within each seed and then averaged: the median of averaged ranks
lies above that of every single seed, because one bad seed spoils a query's average.

Shapes: `S` seeds, `Q` queries, `R` resamples, `L` languages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from polyreel.evaluation.metrics import METRICS, Direction, Floats, Ids, Metric, Ranks, rank_variance
from polyreel.evaluation.uncertainty import Resamples, interval
from polyreel.storage import Json

MEAN_LANG = "mean"
Figure: TypeAlias = Metric | Literal["MRV"]
LOWER_IS_BETTER: frozenset[Figure] = frozenset({"MedR", "MnR", "MRV"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """One figure of one system.

    Attributes:
        lang: language code, or "mean" for the mean over the report's languages.
        direction: what is asked for with what.
        metric: "R@k" in percent, "MedR" and "MnR" ranks from 1, "MRV" the mean rank variance over parallel sentences.
        value: the figure, averaged over seeds.
        by_seed: the figure of each seed alone, `[S]`.
        chance: what guessing scores; None where there is no such level.
        draws_R: the figure in every resample of source videos.
    """

    lang: str
    direction: Direction
    metric: Figure
    value: float
    by_seed: tuple[float, ...]
    chance: float | None
    draws_R: Floats

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Both ends of the 95 % interval."""
        return interval(self.draws_R)

    def to_json(self) -> dict[str, Json]:
        """Return everything but the resamples, rounded to what a reader can use."""
        return {
            "lang": self.lang,
            "direction": self.direction,
            "metric": self.metric,
            "value": round(self.value, 4),
            "low": round(self.interval[0], 4),
            "high": round(self.interval[1], 4),
            "chance": None if self.chance is None else round(self.chance, 4),
            "by_seed": [round(value, 4) for value in self.by_seed],
        }


def estimate_all(ranks: Mapping[tuple[str, Direction], Ranks], resamples: Resamples) -> list[Estimate]:
    """Return the estimates of every language, direction and metric, then their means over languages, then the MRV.

    Args:
        ranks: counts `[S, Q]` by language and direction, with the same seeds everywhere.
        resamples: of all sources that occur.
    """
    single = [
        _estimate(lang, direction, metric, of_queries, resamples)
        for (lang, direction), of_queries in ranks.items()
        for metric in METRICS
    ]
    groups: dict[tuple[Direction, Figure], list[Estimate]] = {}
    for row in single:
        groups.setdefault((row.direction, row.metric), []).append(row)
    texts = [of_queries for (_, direction), of_queries in ranks.items() if direction == "t2v"]
    return single + [_mean_over_langs(group) for group in groups.values()] + _rank_variance(texts, resamples)


def _estimate(lang: str, direction: Direction, metric: Metric, ranks: Ranks, resamples: Resamples) -> Estimate:
    values_SQ = ranks.of_queries(metric)
    is_median = metric == "MedR"
    statistic = np.median if is_median else np.mean
    by_seed = [float(statistic(values_Q)) for values_Q in values_SQ]
    return Estimate(
        lang=lang,
        direction=direction,
        metric=metric,
        value=float(np.mean(by_seed)),
        by_seed=tuple(by_seed),
        chance=float(statistic(ranks.by_chance().of_queries(metric))),
        draws_R=_medians(values_SQ, ranks.sources, resamples)
        if is_median
        else resamples.means(values_SQ.mean(axis=0), ranks.sources),
    )


def _medians(values_SQ: Floats, sources_Q: Ids, resamples: Resamples) -> Floats:
    draws_SR = np.stack([resamples.medians(values_Q, sources_Q) for values_Q in values_SQ])
    return np.asarray(draws_SR.mean(axis=0), np.float64)


def _mean_over_langs(rows: Sequence[Estimate]) -> Estimate:
    return Estimate(
        lang=MEAN_LANG,
        direction=rows[0].direction,
        metric=rows[0].metric,
        value=float(np.mean([row.value for row in rows])),
        by_seed=tuple(np.mean([row.by_seed for row in rows], axis=0).tolist()),
        chance=float(np.mean([row.chance for row in rows])),
        draws_R=np.mean([row.draws_R for row in rows], axis=0),
    )


def _rank_variance(texts: Sequence[Ranks], resamples: Resamples) -> list[Estimate]:
    variance_SQ, sources_Q = rank_variance(texts)
    if len(texts) < 2 or not len(sources_Q):
        return []
    estimate = Estimate(
        lang=MEAN_LANG,
        direction="t2v",
        metric="MRV",
        value=float(variance_SQ.mean()),
        by_seed=tuple(variance_SQ.mean(axis=1).tolist()),
        chance=None,
        draws_R=resamples.means(variance_SQ.mean(axis=0), sources_Q),
    )
    return [estimate]
