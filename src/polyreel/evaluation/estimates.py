"""Estimates: every figure of one system with its chance level, its seeds and its resamples.

An estimate keeps its resamples, so a mean over languages or a difference between two systems is formed resample by
resample, and its interval is as wide as the pairing allows. Each query is averaged over seeds, and what the seeds say
one by one stands apart. Only the median rank is taken within each seed and then averaged: the median of averaged ranks
lies above that of every single seed, because one bad seed spoils a query's average.

Seeds are a sample too. Fewer than five of them say little about others, so they are shown one by one and the interval
is of other videos alone; from five on, the interval is of other videos and other seeds: each resample draws seeds as
well as source videos. Systems of the same seeds see the same draws of both.

Shapes: `S` seeds, `Q` queries, `P` parallel sentences, `R` resamples, `L` languages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from polyreel.evaluation.metrics import METRICS, Direction, Floats, Ids, Metric, Ranks
from polyreel.evaluation.uncertainty import Resamples, interval, resample_seeds
from polyreel.storage import Json

MEAN_LANG = "mean"
Figure: TypeAlias = Metric | Literal["MRV"]
LOWER_IS_BETTER: frozenset[Figure] = frozenset({"MedR", "MnR", "MRV"})
ENOUGH_SEEDS = 5
_FOR_ONE_RIGHT: tuple[Metric, ...] = ("nDCG@10",)  # its ideal would need the places of all right ones


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """One figure of one system.

    Attributes:
        lang: language code, or "mean" for the mean over the report's languages.
        direction: what is asked for with what.
        metric: "R@k", "MRR" and "nDCG@10" in percent, "MedR" and "MnR" ranks from 1, "MRV" the mean rank variance over
            parallel sentences.
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


def estimate_all(
    ranks: Mapping[tuple[str, Direction], Ranks], resamples: Resamples, seeds: Sequence[int] = ()
) -> list[Estimate]:
    """Return the estimates of every language, direction and metric, then their means over languages, then the MRV.

    Args:
        ranks: counts `[S, Q]` by language and direction, with the same seeds everywhere.
        resamples: of all sources that occur.
        seeds: what the systems were trained with, for the draws of five or more; their numbers by default.
    """
    first = next(iter(ranks.values()))
    seeds_RS = _draws_of_seeds(len(np.atleast_2d(first.num_better)), seeds, len(resamples.counts_RN))
    single = [
        row
        for (lang, direction), of_queries in ranks.items()
        for row in _estimates(lang, direction, of_queries, resamples, seeds_RS)
    ]
    groups: dict[tuple[Direction, Figure], list[Estimate]] = {}
    for row in single:
        groups.setdefault((row.direction, row.metric), []).append(row)
    texts = [of_queries for (_, direction), of_queries in ranks.items() if direction == "t2v"]
    means = [_mean_over_langs(group) for group in groups.values()]
    return single + means + _rank_variance(texts, resamples, seeds_RS)


def rank_variance(by_lang: Sequence[Ranks]) -> tuple[Floats, Ids]:
    """Return how much a sentence's rank varies over languages: the variance of its mean rank, parallel sentences only.

    For sentence i with rank r in each of L languages: the mean over them of (r - mean r)^2. Its mean over sentences is
    the mean rank variance of Nie et al., 2024 ("1-to-K contrastive learning"); 0 means every language finds the same.

    Args:
        by_lang: the t2v ranks of each language, of the same seeds.

    Returns:
        The variances, `[P]` or `[S, P]`, and the sources of these sentences, `[P]`; P may be 0.
    """
    columns = shared_positions(by_lang)
    if not columns or not columns[0]:
        return np.zeros(0), np.zeros(0, np.str_)
    mean_ranks = [ranks.mean_rank()[..., column] for ranks, column in zip(by_lang, columns, strict=True)]
    return np.stack(mean_ranks).var(axis=0), by_lang[0].sources[columns[0]]


def shared_positions(by_lang: Sequence[Ranks]) -> list[list[int]]:
    """Return where the sentences that every language has stand in each, in one order; `[L]` lists of P positions."""
    places = [{name: place for place, name in enumerate(ranks.query_ids.tolist())} for ranks in by_lang]
    shared = sorted(set.intersection(*map(set, places))) if places else []
    return [[place[name] for name in shared] for place in places]


def _draws_of_seeds(num_seeds: int, seeds: Sequence[int], num_resamples: int) -> Floats:
    """How much each seed weighs in each resample, `[R, S]` or, where all weigh the same in all, `[1, S]`."""
    if num_seeds < ENOUGH_SEEDS:
        return np.full((1, num_seeds), 1 / num_seeds)
    return resample_seeds(tuple(seeds) or tuple(range(num_seeds)), num_resamples)


def _estimates(lang: str, direction: Direction, ranks: Ranks, resamples: Resamples, seeds_RS: Floats) -> list[Estimate]:
    """Estimate every metric of one language and direction; all means in one go."""
    metrics: list[Metric] = [*METRICS, "MRR", *([] if direction == "v2t" else _FOR_ONE_RIGHT)]
    values_SQ = {metric: np.atleast_2d(ranks.of_queries(metric)) for metric in metrics}
    chance = {metric: ranks.by_chance().of_queries(metric) for metric in metrics}
    averaged: list[Metric] = [metric for metric in metrics if metric != "MedR"]
    means_RF = resamples.means(np.concatenate([values_SQ[metric] for metric in averaged]), ranks.sources)
    by_metric: dict[Metric, Floats] = dict(zip(averaged, np.split(means_RF, len(averaged), axis=1), strict=True))
    medians = [resamples.medians(values_Q, ranks.sources) for values_Q in values_SQ["MedR"]]
    by_metric["MedR"] = np.stack(medians, axis=1)
    found = []
    for metric in metrics:
        statistic = np.median if metric == "MedR" else np.mean
        by_seed = [float(statistic(values_Q)) for values_Q in values_SQ[metric]]
        found.append(
            Estimate(
                lang=lang,
                direction=direction,
                metric=metric,
                value=float(np.mean(by_seed)),
                by_seed=tuple(by_seed),
                chance=float(statistic(chance[metric])),
                draws_R=(by_metric[metric] * seeds_RS).sum(axis=1),
            )
        )
    return found


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


def _rank_variance(texts: Sequence[Ranks], resamples: Resamples, seeds_RS: Floats) -> list[Estimate]:
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
        draws_R=(resamples.means(variance_SQ, sources_Q) * seeds_RS).sum(axis=1),
    )
    return [estimate]
