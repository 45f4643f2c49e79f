"""How far a figure could move with other videos: a paired bootstrap over source videos.

Captions of one clip, and clips of one video, stand or fall together, so what is drawn with replacement is the source
video with everything cut from it (Davison and Hinkley, 1997, section 3.8). The draws follow from the sorted names of
the sources alone: every language, direction and model measured on the same split sees the same resamples, and
differences between them are paired.

Shapes: `R` resamples, `N` sources, `Q` queries.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError
from polyreel.evaluation.metrics import Floats, Ids

NUM_RESAMPLES = 2000
LEVEL = 0.95
_SEED = 20240501
_BLOCK_CELLS = 2**22


@dataclass(frozen=True, kw_only=True, eq=False)
class Resamples:
    """How often each source video was drawn in each resample.

    Attributes:
        sources: names of the source videos, sorted, `[N]`.
        counts_RN: how often each was drawn; every row adds up to N.
    """

    sources: Ids
    counts_RN: npt.NDArray[np.int32]

    def means(self, values_Q: Floats, sources_Q: Ids) -> Floats:
        """Return the mean over queries in every resample, `[R]`; NaN where none of their sources was drawn."""
        positions = self._positions(sources_Q)
        sums_N = np.bincount(positions, weights=values_Q, minlength=len(self.sources))
        sizes_N = np.bincount(positions, minlength=len(self.sources)).astype(np.float64)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.counts_RN @ sums_N) / (self.counts_RN @ sizes_N))

    def medians(self, values_Q: Floats, sources_Q: Ids) -> Floats:
        """Return the median over queries in every resample, `[R]`; NaN where none of their sources was drawn."""
        order = np.argsort(values_Q, kind="stable")
        sorted_Q, positions = values_Q[order], self._positions(sources_Q)[order]
        medians = [_weighted_medians(sorted_Q, counts[:, positions]) for counts in self._blocks(len(order))]
        return np.concatenate(medians)

    def _positions(self, sources_Q: Ids) -> npt.NDArray[np.intp]:
        positions = np.minimum(np.searchsorted(self.sources, sources_Q), len(self.sources) - 1)
        strangers = sources_Q[self.sources[positions] != sources_Q]
        if len(strangers):
            raise DataError(f"source {str(strangers[0])!r} is not among the {len(self.sources)} resampled ones")
        return positions

    def _blocks(self, num_queries: int) -> Iterator[npt.NDArray[np.int32]]:
        step = max(1, _BLOCK_CELLS // max(1, num_queries))
        for start in range(0, len(self.counts_RN), step):
            yield self.counts_RN[start : start + step]


def resample_sources(sources: Iterable[str], *, num_resamples: int = NUM_RESAMPLES, seed: int = _SEED) -> Resamples:
    """Draw as many source videos as there are, with replacement, again and again.

    Args:
        sources: names, in any order, repeated or not; equal sets give equal resamples.
        num_resamples: how often to draw, R.
        seed: of the random numbers.

    Raises:
        DataError: there is no source.
    """
    names = np.unique(np.array(list(sources), np.str_))
    if not len(names):
        raise DataError("there are no source videos to resample; the report holds no query")
    draw = np.random.default_rng(seed).multinomial
    counts_RN = draw(len(names), np.full(len(names), 1 / len(names)), size=num_resamples)
    return Resamples(sources=names, counts_RN=counts_RN.astype(np.int32))


def interval(draws_R: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of a figure's resamples; those where it does not exist (NaN) are left out."""
    found = draws_R[np.isfinite(draws_R)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _weighted_medians(sorted_Q: Floats, weights_RQ: npt.NDArray[np.int32]) -> Floats:
    """Medians of values repeated by whole weights: the mean of the two middle ones, found in the running sums."""
    reached_RQ = np.cumsum(weights_RQ, axis=1, dtype=np.int32)
    total_R = reached_RQ[:, -1:]
    lower, upper = ((reached_RQ <= middle).sum(axis=1) for middle in ((total_R - 1) // 2, total_R // 2))
    last = len(sorted_Q) - 1
    medians = (sorted_Q[np.minimum(lower, last)] + sorted_Q[np.minimum(upper, last)]) / 2
    return np.where(total_R[:, 0] > 0, medians, np.nan)
