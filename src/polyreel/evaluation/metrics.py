"""Ranks of queries and the figures made of them, in numpy alone.

What is kept of a query is three counts, not one rank: how many wrong candidates score above its best right one, and how
many wrong and right ones score the same. Every figure follows from them exactly, ties included, and adds up over seeds
and resamples without looking at similarities again. Rows of a similarity matrix are texts, columns are clips. What
is too large for one matrix is ranked from embeddings, in `ranking.py`.

Shapes: `Q` queries, `C` clips, `S` seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from polyreel.evaluation.names import Labels, Names, blocks

Direction = Literal["t2v", "v2t", "t2t"]
Metric = Literal["R@1", "R@5", "R@10", "MedR", "MnR", "MRR", "nDCG@10"]
Ties = Literal["chance", "optimistic"]
Counted = Literal["best", "worst"]
DIRECTIONS: tuple[Direction, ...] = ("t2v", "v2t")  # what every report has; "t2t" is text to text across languages
METRICS: tuple[Metric, ...] = ("R@1", "R@5", "R@10", "MedR", "MnR")  # what tables show
_NEVER = 1e-15
RANKS: frozenset[Metric] = frozenset({"MedR", "MnR"})

Floats: TypeAlias = npt.NDArray[np.float64]
Ids: TypeAlias = npt.NDArray[np.str_]
Counts: TypeAlias = npt.NDArray[np.integer]
Sims: TypeAlias = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranks:
    """Where each query's best right candidate stands among all candidates.

    The counts are `[Q]`, or `[S, Q]` where several seeds are held; the figures then have the same shape.

    Attributes:
        query_ids: caption ids (t2v) or clip ids (v2t), `[Q]`.
        clip_ids: the clip each query belongs to, `[Q]`.
        sources: the source video of that clip, `[Q]`.
        num_better: wrong candidates that score above the best right one.
        num_tied_wrong: wrong candidates that score the same as it.
        num_tied_right: right candidates that score the same as it, itself included: 1 or more.
        num_right: right candidates in all, `[Q]`.
        num_candidates: what each query is ranked against.
        present: share of the split's clips that are there; recall counts queries for the absent ones as missed.
    """

    query_ids: Ids
    clip_ids: Ids
    sources: Ids
    num_better: Counts
    num_tied_wrong: Counts
    num_tied_right: Counts
    num_right: Counts
    num_candidates: int
    present: float = 1.0

    def __len__(self) -> int:
        return len(self.query_ids)

    def mean_rank(self) -> Floats:
        """Return the expected rank of the first right candidate when ties are put in random order; 1 is best.

        With g better, e wrong and t right ones tied: g + (e + t + 1) / (t + 1).
        """
        return self.num_better + (self.num_tied_wrong + self.num_tied_right + 1) / (self.num_tied_right + 1)

    def recall(self, k: int) -> Floats:
        """Return the chance, 0 to 1, that a random order of the tied puts a right candidate in the first k.

        With g better, e wrong and t right ones tied, and m = k - g places left for the tied (0 to e + t): all m go to
        wrong ones with chance C(e, m) / C(e + t, m), which is the product of (e - m + j) / (e + j) over j = 1..t. A
        constant matrix scores exactly chance.

        Raises:
            ValueError: k is below 1.
        """
        if k < 1:
            raise ValueError(f"recall at k={k}; expected a whole number of 1 or more")
        tied_wrong, tied_right = self.num_tied_wrong, self.num_tied_right
        places = np.clip(k - self.num_better, 0, tied_wrong + tied_right)
        missed = np.ones(places.shape)
        for j in range(1, int(tied_right.max(initial=0)) + 1):
            factor = np.maximum(tied_wrong - places + j, 0) / (tied_wrong + j)
            missed *= np.where(j <= tied_right, factor, 1.0)
        return 1.0 - missed

    def gain(self, discounts: npt.ArrayLike) -> Floats:
        """Return the expected worth of the place of the first right candidate when ties are put in random order.

        Args:
            discounts: what places 1, 2, ... are worth; places behind them are worth nothing.
        """
        worth = np.asarray(discounts, np.float64)
        up_to, last = np.concatenate([[0.0], np.cumsum(worth)]), len(worth)
        better, wrong, right = np.broadcast_arrays(self.num_better, self.num_tied_wrong, self.num_tied_right)
        of_one = up_to[np.minimum(better + wrong + 1, last)] - up_to[np.minimum(better, last)]
        gains: Floats = of_one / (wrong + 1)  # the only right one is as likely at each of their places
        several = right > 1
        if several.any():
            counts = np.stack([better[several], wrong[several], right[several]])
            kinds, kind = np.unique(counts, axis=1, return_inverse=True)
            gains[several] = _gain_of_several(kinds, worth)[kind.ravel()]
        return gains

    def of_queries(self, metric: Metric) -> Floats:
        """Return what each query adds to a metric: percent for R@k, MRR and nDCG, its mean rank for MedR and MnR.

        MRR is 1 / rank (for one right candidate this is average precision too), nDCG@10 is 1 / log2(1 + rank) within
        the first 10: the formula for one right candidate, whose ideal is 1 (Järvelin and Kekäläinen, 2002).
        """
        if metric in RANKS:
            return self.mean_rank()
        if metric == "MRR":
            return 100 * self.present * self.gain(1 / np.arange(1, self.num_candidates + 1))
        if metric == "nDCG@10":
            return 100 * self.present * self.gain(1 / np.log2(np.arange(2, 12)))
        return 100 * self.present * self.recall(int(metric[2:]))

    def optimistic(self) -> "Ranks":
        """Return the ranks with every right candidate before those that score the same: a constant matrix scores 100 %.

        The reference implementation's way, for holding numbers against its own.
        """
        return replace(self, num_tied_wrong=np.zeros_like(self.num_tied_wrong))

    def by_chance(self) -> "Ranks":
        """Return the ranks that equal similarities everywhere would give: what guessing scores."""
        return replace(
            self,
            num_better=np.zeros_like(self.num_right),
            num_tied_wrong=self.num_candidates - self.num_right,
            num_tied_right=self.num_right,
        )


def t2v_ranks(
    sims_QC: Sims,
    clip_of_query: npt.ArrayLike,
    *,
    query_ids: Labels | None = None,
    clip_ids: Labels | None = None,
    sources: Labels | None = None,
    tolerance: float = 0.0,
) -> Ranks:
    """Rank all clips for every text.

    Args:
        sims_QC: similarities, rows are texts, columns are clips.
        clip_of_query: the right column of each row, `[Q]`.
        query_ids: names of the rows; their numbers by default.
        clip_ids: names of the columns; their numbers by default.
        sources: the source video of each column; the clip itself by default.
        tolerance: similarities that differ by no more are the same.

    Raises:
        DataError: a similarity is NaN or infinite; the message names its row.
        ValueError: the arguments' shapes do not fit.
    """
    names = Names.of(sims_QC.shape, clip_of_query, query_ids, clip_ids, sources)
    names.refuse_unfinite(sims_QC)
    own_Q = names.own_Q
    right_Q = sims_QC[np.arange(len(own_Q)), own_Q]
    better_Q, equal_Q = np.zeros_like(own_Q), np.zeros_like(own_Q)
    for rows, block in blocks(sims_QC):
        better_Q[rows] = (block > right_Q[rows, None] + tolerance).sum(axis=1)
        equal_Q[rows] = (block >= right_Q[rows, None] - tolerance).sum(axis=1) - better_Q[rows]
    return ranks_of_texts(names, better_Q, equal_Q - 1)


def v2t_ranks(
    sims_QC: Sims,
    clip_of_query: npt.ArrayLike,
    *,
    query_ids: Labels | None = None,
    clip_ids: Labels | None = None,
    sources: Labels | None = None,
    tolerance: float = 0.0,
    counted: Counted = "best",
) -> Ranks:
    """Rank all texts for every clip that has one.

    Args and errors are those of `t2v_ranks`: the same matrix, read by columns. `counted` says which of a clip's own
    texts is waited for among the wrong ones: the best, or the worst, behind which all its own have been found.
    """
    names = Names.of(sims_QC.shape, clip_of_query, query_ids, clip_ids, sources)
    names.refuse_unfinite(sims_QC)
    own = OwnTexts.of(sims_QC[np.arange(len(sims_QC)), names.own_Q], names, tolerance, counted)
    better_C, equal_C = np.zeros(sims_QC.shape[1], np.int64), np.zeros(sims_QC.shape[1], np.int64)
    for _, block in blocks(sims_QC):
        better_C += (block > own.counted_C + tolerance).sum(axis=0)
        equal_C += (block >= own.counted_C - tolerance).sum(axis=0)
    return own.ranks(better_C, equal_C - better_C, names)


def ranks_of_texts(names: Names, better_Q: Counts, tied_wrong_Q: Counts) -> Ranks:
    """Return the ranks of texts, each with one right clip, given how many wrong ones score above it and the same."""
    one_Q = np.ones_like(names.own_Q)
    return Ranks(
        query_ids=names.query_ids,
        clip_ids=names.clip_ids[names.own_Q],
        sources=names.sources[names.own_Q],
        num_better=better_Q,
        num_tied_wrong=np.maximum(tied_wrong_Q, 0),
        num_tied_right=one_Q,
        num_right=one_Q,
        num_candidates=len(names.clip_ids),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnTexts:
    """A clip's own texts: how many, and where they stand relative to the one that counts.

    Attributes:
        counted_C: similarity of the one that counts; of no meaning where there is none.
        num_right_C: how many there are.
        num_above_C: how many score above the one that counts.
        num_tied_C: how many score the same, itself included.
    """

    counted_C: Sims
    num_right_C: Counts
    num_above_C: Counts
    num_tied_C: Counts

    @classmethod
    def of(cls, sims_Q: Sims, names: Names, tolerance: float, counted: Counted = "best") -> "OwnTexts":
        """Find them among the similarities of every text with its own clip, `[Q]`."""
        own_Q, num_clips = names.own_Q, len(names.clip_ids)
        is_best = counted == "best"
        counted_C = np.full(num_clips, -np.inf if is_best else np.inf, sims_Q.dtype)
        (np.maximum if is_best else np.minimum).at(counted_C, own_Q, sims_Q)
        is_above = sims_Q > counted_C[own_Q] + tolerance
        is_tied = ~is_above & (sims_Q >= counted_C[own_Q] - tolerance)
        number = [np.bincount(own_Q[chosen], minlength=num_clips) for chosen in (slice(None), is_above, is_tied)]
        return cls(counted_C=counted_C, num_right_C=number[0], num_above_C=number[1], num_tied_C=number[2])

    def ranks(self, better_C: Counts, equal_C: Counts, names: Names) -> Ranks:
        """Return the ranks of the clips that have texts, given how many of all texts score above and the same."""
        asked = self.num_right_C > 0
        return Ranks(
            query_ids=names.clip_ids[asked],
            clip_ids=names.clip_ids[asked],
            sources=names.sources[asked],
            num_better=(better_C - self.num_above_C)[asked],
            num_tied_wrong=np.maximum(equal_C - self.num_tied_C, 0)[asked],
            num_tied_right=self.num_tied_C[asked],
            num_right=self.num_right_C[asked],
            num_candidates=int(self.num_right_C.sum()),
        )


def stack_seeds(of_seeds: Sequence[Ranks]) -> Ranks:
    """Put the ranks of the same queries by several seeds into one value whose counts are `[S, Q]`."""
    first = of_seeds[0]
    return replace(
        first,
        num_better=np.concatenate([np.atleast_2d(ranks.num_better) for ranks in of_seeds]),
        num_tied_wrong=np.concatenate([np.atleast_2d(ranks.num_tied_wrong) for ranks in of_seeds]),
        num_tied_right=np.concatenate([np.atleast_2d(ranks.num_tied_right) for ranks in of_seeds]),
    )


def _gain_of_several(kinds: Counts, worth: Floats) -> Floats:
    """Worth of the first of several right candidates that tie, given (better, wrong, right) a column.

    Drawn without putting back, the next one is right with chance right / (wrong + right) if none was before.
    """
    place, wrong, right = kinds[0].copy(), kinds[1].astype(np.float64), kinds[2]
    padded = np.append(worth, 0.0)
    total, none_yet = np.zeros(len(place)), np.ones(len(place))
    while (none_yet > _NEVER).any():
        chance = none_yet * right / (wrong + right)
        total += chance * padded[np.minimum(place, len(worth))]
        none_yet = np.where(wrong > 0, none_yet - chance, 0.0)
        wrong, place = np.maximum(wrong - 1, 0), place + 1
    return total
