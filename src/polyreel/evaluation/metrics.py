"""Ranks of queries and the figures made of them, in numpy alone.

What is kept of a query is three counts, not one rank: how many wrong candidates score above its best right one, and how
many wrong and right ones score the same. Every figure follows from them exactly, ties included, and adds up over seeds
and resamples without looking at similarities again. Rows of a similarity matrix are texts, columns are clips.

Shapes: `Q` queries, `C` clips, `S` seeds, `P` parallel sentences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError

Direction = Literal["t2v", "v2t"]
Metric = Literal["R@1", "R@5", "R@10", "MedR", "MnR"]
Ties = Literal["chance", "optimistic"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
METRICS: tuple[Metric, ...] = get_args(Metric)

Floats: TypeAlias = npt.NDArray[np.float64]
Ids: TypeAlias = npt.NDArray[np.str_]
Counts: TypeAlias = npt.NDArray[np.integer]
Sims: TypeAlias = npt.NDArray[np.floating]

_BLOCK_CELLS = 2**22


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

    def of_queries(self, metric: Metric) -> Floats:
        """Return what each query adds to a metric: recall in percent for R@k, its mean rank for MedR and MnR."""
        return self.mean_rank() if metric in ("MedR", "MnR") else 100 * self.present * self.recall(int(metric[2:]))

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
    query_ids: Sequence[str] | None = None,
    clip_ids: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> Ranks:
    """Rank all clips for every text.

    Args:
        sims_QC: similarities, rows are texts, columns are clips.
        clip_of_query: the right column of each row, `[Q]`.
        query_ids: names of the rows; their numbers by default.
        clip_ids: names of the columns; their numbers by default.
        sources: the source video of each column; the clip itself by default.

    Raises:
        DataError: a similarity is NaN or infinite; the message names its row.
        ValueError: the arguments' shapes do not fit.
    """
    own_Q, query_names, clip_names, source_names = _checked(sims_QC, clip_of_query, query_ids, clip_ids, sources)
    right_Q = sims_QC[np.arange(len(own_Q)), own_Q]
    better_Q, equal_Q = np.zeros_like(own_Q), np.zeros_like(own_Q)
    for rows, block in _blocks(sims_QC):
        better_Q[rows] = (block > right_Q[rows, None]).sum(axis=1)
        equal_Q[rows] = (block == right_Q[rows, None]).sum(axis=1)
    one_Q = np.ones_like(own_Q)
    return Ranks(
        query_ids=query_names,
        clip_ids=clip_names[own_Q],
        sources=source_names[own_Q],
        num_better=better_Q,
        num_tied_wrong=equal_Q - 1,
        num_tied_right=one_Q,
        num_right=one_Q,
        num_candidates=sims_QC.shape[1],
    )


def v2t_ranks(
    sims_QC: Sims,
    clip_of_query: npt.ArrayLike,
    *,
    query_ids: Sequence[str] | None = None,
    clip_ids: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
) -> Ranks:
    """Rank all texts for every clip that has one; the best of a clip's own texts counts.

    Args and errors are those of `t2v_ranks`: the same matrix, read by columns.
    """
    own_Q, _, clip_names, source_names = _checked(sims_QC, clip_of_query, query_ids, clip_ids, sources)
    right_Q = sims_QC[np.arange(len(own_Q)), own_Q]
    best_C = np.full(sims_QC.shape[1], -np.inf, sims_QC.dtype)
    np.maximum.at(best_C, own_Q, right_Q)
    better_C, equal_C = np.zeros(len(best_C), np.int64), np.zeros(len(best_C), np.int64)
    for _, block in _blocks(sims_QC):
        better_C += (block > best_C).sum(axis=0)
        equal_C += (block == best_C).sum(axis=0)
    tied_right_C = np.bincount(own_Q[right_Q == best_C[own_Q]], minlength=len(best_C))
    num_right_C = np.bincount(own_Q, minlength=len(best_C))
    asked = num_right_C > 0
    return Ranks(
        query_ids=clip_names[asked],
        clip_ids=clip_names[asked],
        sources=source_names[asked],
        num_better=better_C[asked],
        num_tied_wrong=(equal_C - tied_right_C)[asked],
        num_tied_right=tied_right_C[asked],
        num_right=num_right_C[asked],
        num_candidates=sims_QC.shape[0],
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


def rank_variance(by_lang: Sequence[Ranks]) -> tuple[Floats, Ids]:
    """Return how much a sentence's rank varies over languages: the variance of its mean rank, parallel sentences only.

    For sentence i with rank r in each of L languages: the mean over them of (r - mean r)^2. Its mean over sentences is
    the mean rank variance of Nie et al., 2024 ("1-to-K contrastive learning"); 0 means every language finds the same.

    Args:
        by_lang: the t2v ranks of each language, of the same seeds.

    Returns:
        The variances, `[P]` or `[S, P]`, and the sources of these sentences, `[P]`; P may be 0.
    """
    shared = set.intersection(*(set(ranks.query_ids.tolist()) for ranks in by_lang)) if by_lang else set()
    columns = [_positions(ranks.query_ids, sorted(shared)) for ranks in by_lang]
    if not shared:
        return np.zeros(0), np.zeros(0, np.str_)
    mean_ranks = [ranks.mean_rank()[..., column] for ranks, column in zip(by_lang, columns, strict=True)]
    return np.stack(mean_ranks).var(axis=0), by_lang[0].sources[columns[0]]


def _positions(ids: Ids, wanted: Sequence[str]) -> list[int]:
    place = {name: position for position, name in enumerate(ids.tolist())}
    return [place[name] for name in wanted]


def _checked(
    sims_QC: Sims,
    clip_of_query: npt.ArrayLike,
    query_ids: Sequence[str] | None,
    clip_ids: Sequence[str] | None,
    sources: Sequence[str] | None,
) -> tuple[npt.NDArray[np.int64], Ids, Ids, Ids]:
    num_queries, num_clips = sims_QC.shape
    own_Q = np.asarray(clip_of_query, np.int64)
    query_names = np.array(range(num_queries) if query_ids is None else query_ids, np.str_)
    clip_names = np.array(range(num_clips) if clip_ids is None else clip_ids, np.str_)
    source_names = clip_names if sources is None else np.array(sources, np.str_)
    found = (own_Q.shape, query_names.shape, clip_names.shape, source_names.shape)
    if found != ((num_queries,), (num_queries,), (num_clips,), (num_clips,)):
        raise ValueError(
            f"similarities are [{num_queries}, {num_clips}], texts by clips, but there are {len(own_Q)} right columns, "
            f"{len(query_names)} query ids, {len(clip_names)} clip ids and {len(source_names)} sources"
        )
    if num_queries and not 0 <= own_Q.min() <= own_Q.max() < num_clips:
        raise ValueError(f"right columns run from {own_Q.min()} to {own_Q.max()}; expected 0 to {num_clips - 1}")
    _refuse_unfinite(sims_QC, query_names, clip_names)
    return own_Q, query_names, clip_names, source_names


def _refuse_unfinite(sims_QC: Sims, query_ids: Ids, clip_ids: Ids) -> None:
    for rows, block in _blocks(sims_QC):
        bad = np.argwhere(~np.isfinite(block))
        if len(bad):
            row, column = rows.start + bad[0][0], bad[0][1]
            raise DataError(
                f"similarity row {row} (query {str(query_ids[row])!r}) is {sims_QC[row, column]} at clip "
                f"{str(clip_ids[column])!r}; expected finite numbers; the model or its features may hold NaN"
            )


def _blocks(sims_QC: Sims) -> Iterator[tuple[slice, Sims]]:
    step = max(1, _BLOCK_CELLS // max(1, sims_QC.shape[1]))
    for start in range(0, len(sims_QC), step):
        yield slice(start, start + step), sims_QC[start : start + step]
