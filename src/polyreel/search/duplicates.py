"""A report of near-duplicate videos: the same pictures encoded again, trimmed, or with something put in front.

Two videos are near-duplicates if, laid over one another with some offset, their embeddings agree along all of the time
that they share, and that is at least half of the shorter one. Candidates are pairs of nearest neighbours among the
clips, which an inverted file finds in time that grows with N^1.5; each pair votes for an offset, and only offsets with
votes are looked at. Windows of two videos need not begin together: a pair of neighbouring clips is compared with the
mean of the other video's embeddings over the same time. Embeddings are compared after the mean of the library was taken
off, so that what all clips share does not count. Nothing is ever deleted; videos played faster, or mirrored, are not
found.

Shapes: N clips of the library, R of them representatives, K neighbours, D width of an embedding.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from polyreel.search.sequences import ClipSequence
from polyreel.similarity import Embeddings, unit

DEFAULT_THRESHOLD = 0.8
_SAME_SHOT = 0.95  # a clip so alike the one before is not asked about again
_CANDIDATE = 0.6  # of neighbours: windows that begin half a window apart agree less than the videos do
_NUM_NEIGHBOURS = 16
_NUM_OFFSETS = 3
_LEAST_VOTES = 0.2  # of the representatives of the one with fewer
_STEP_SECONDS = 0.5
_LEAST_SHARE = 0.5
_EXACT_BELOW = 4096
_CELLS_LOOKED_INTO = 8

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DuplicatePair:
    """Two videos with the same pictures.

    Attributes:
        video: path of one, in the library.
        other: path of the other.
        offset_seconds: what is shown at t in `video` is shown at t + offset in `other`; exact to about a second.
        shared_seconds: how long they go together.
        share: the same as part of the shorter one, 0.5 to 1.
        similarity: mean agreement over that time, -1 to 1; unrelated videos are around 0.
    """

    video: str
    other: str
    offset_seconds: float
    shared_seconds: float
    share: float
    similarity: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Film:
    """One video's clips, ready to be laid over another's; the library's mean is `mean_D`."""

    sequence: ClipSequence
    mean_D: Embeddings

    @cached_property
    def starts(self) -> Floats:
        return np.array([clip.start_seconds for clip in self.sequence.clips])

    @cached_property
    def ends(self) -> Floats:
        return np.array([clip.end_seconds for clip in self.sequence.clips])

    @cached_property
    def centred_ND(self) -> Embeddings:
        return unit(self.sequence.embeddings_ND - self.mean_D)

    @cached_property
    def seconds(self) -> float:
        return float(self.ends[-1] - self.starts[0])

    @cached_property
    def _sums(self) -> tuple[Floats, Floats]:
        """Moments, and the integral of the embeddings from the start up to each."""
        lengths = np.maximum(self.ends - self.starts, 1e-6)
        sums = np.cumsum(self.sequence.embeddings_ND * lengths[:, None], axis=0, dtype=np.float64)
        return np.append(self.starts[0], self.ends), np.vstack([np.zeros_like(sums[:1]), sums])

    def means(self, starts: Floats, ends: Floats) -> Embeddings:
        """Return the embedding of each span, centred and of unit length."""
        moments, sums = self._sums
        total_ND = _between(moments, sums, ends) - _between(moments, sums, starts)
        return unit(total_ND / (ends - starts)[:, None] - self.mean_D)

    def spans_within(self, first: float, last: float) -> Floats:
        """Return the spans of its pairs of neighbouring clips within a time, `[N, 2]`; or of its only clip."""
        starts, ends = np.maximum(self.starts, first), np.minimum(self.ends, last)
        is_whole_N = ends - starts >= 0.75 * (self.ends - self.starts)
        starts, ends = starts[is_whole_N], ends[is_whole_N]
        return np.stack([starts[:-1], ends[1:]] if len(starts) > 1 else [starts, ends], axis=1)

    @cached_property
    def representatives(self) -> list[int]:
        """Clips that differ from the representative before them."""
        kept = [0]
        for place in range(1, len(self.starts)):
            if self.centred_ND[place] @ self.centred_ND[kept[-1]] < _SAME_SHOT:
                kept.append(place)
        return kept


def find_duplicates(sequences: Sequence[ClipSequence], *, threshold: float = DEFAULT_THRESHOLD) -> list[DuplicatePair]:
    """Find pairs of videos with the same pictures, the most alike first.

    Args:
        sequences: the clips of all videos, as `Index.sequences` gives them.
        threshold: least similarity of a pair, above 0 and at most 1.

    Raises:
        ValueError: the threshold is out of its range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; expected a number above 0, up to 1")
    if len(sequences) < 2:
        return []
    num_clips = sum(len(one.clips) for one in sequences)
    sums = np.sum([one.embeddings_ND.sum(axis=0, dtype=np.float64) for one in sequences], axis=0)
    films = [_Film(sequence=one, mean_D=(sums / num_clips).astype(np.float32)) for one in sequences]
    pairs = (_laid_over(films[one], films[other], offsets) for one, other, offsets in _candidates(films))
    found = [pair for pair in pairs if pair is not None and pair.similarity >= threshold]
    return sorted(found, key=lambda pair: (-pair.similarity, pair.video, pair.other))


def group_duplicates(pairs: Sequence[DuplicatePair]) -> list[list[str]]:
    """Put videos that are linked by pairs into groups, each sorted by path."""
    group_of: dict[str, list[str]] = {}
    for pair in pairs:
        one, other = (group_of.setdefault(name, [name]) for name in (pair.video, pair.other))
        if one is not other:
            one += other
            group_of.update(dict.fromkeys(other, one))
    return sorted(sorted(group) for group in {id(group): group for group in group_of.values()}.values())


def _candidates(films: Sequence[_Film]) -> Iterator[tuple[int, int, list[float]]]:
    """Yield pairs of films with the offsets that most of their clips vote for."""
    film_R = np.concatenate([np.full(len(film.representatives), number) for number, film in enumerate(films)])
    start_R = np.concatenate([film.starts[film.representatives] for film in films])
    rows_RD = np.concatenate([film.centred_ND[film.representatives] for film in films])
    window = float(np.median(np.concatenate([film.ends - film.starts for film in films])))
    votes: defaultdict[tuple[int, int], defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    for one_N, other_N, sims_N in _neighbours(rows_RD):
        is_vote_N = (film_R[one_N] != film_R[other_N]) & (sims_N >= _CANDIDATE)
        for one, other, sim in zip(one_N[is_vote_N], other_N[is_vote_N], sims_N[is_vote_N], strict=True):
            one, other = (one, other) if film_R[one] < film_R[other] else (other, one)
            offset = round(2 * float(start_R[other] - start_R[one]) / window)
            votes[int(film_R[one]), int(film_R[other])][offset] += float(sim)
    for (one, other), by_offset in votes.items():
        near = {offset: sum(by_offset.get(offset + step, 0.0) for step in (-1, 0, 1)) for offset in by_offset}
        enough = _LEAST_VOTES * min(len(films[one].representatives), len(films[other].representatives))
        best = sorted(near, key=lambda offset: (-near[offset], abs(offset)))[:_NUM_OFFSETS]
        steps = np.arange(-window / 2, window / 2 + 1e-6, _STEP_SECONDS)
        tried = {round(at * window / 2 + float(step), 3) for at in best if near[at] >= enough for step in steps}
        if tried:
            yield one, other, sorted(tried, key=abs)


def _neighbours(rows_RD: Embeddings) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Embeddings]]:
    """Yield clips, a near clip of each, and their similarity, in blocks."""
    import faiss

    num, dim = rows_RD.shape
    index = faiss.IndexFlatIP(dim)
    if num >= _EXACT_BELOW:
        num_cells = min(int(4 * num**0.5), num // 40)  # faiss wants 39 rows a cell to learn from
        kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        cells = faiss.IndexIVFScalarQuantizer(index, dim, num_cells, kind, metric)
        cells.train(rows_RD[:: max(1, num // (40 * num_cells))])
        cells.nprobe = _CELLS_LOOKED_INTO
    searched = index if num < _EXACT_BELOW else cells
    searched.add(rows_RD)
    for start in range(0, num, 4096):
        sims_BK, near_BK = searched.search(rows_RD[start : start + 4096], min(_NUM_NEIGHBOURS, num))
        own_BK = np.repeat(np.arange(start, start + len(near_BK))[:, None], near_BK.shape[1], axis=1)
        is_found_BK = near_BK >= 0
        yield own_BK[is_found_BK], near_BK[is_found_BK], sims_BK[is_found_BK]


def _laid_over(one: _Film, other: _Film, offsets: Sequence[float]) -> DuplicatePair | None:
    """Return how two films agree at the best of some offsets; None where they share too little time at all of them."""
    best: DuplicatePair | None = None
    shorter = min(one.seconds, other.seconds)
    for offset in offsets:
        first = max(float(one.starts[0]), float(other.starts[0]) - offset)
        last = min(float(one.ends[-1]), float(other.ends[-1]) - offset)
        spans = one.spans_within(first, last)
        if last - first < _LEAST_SHARE * shorter or not len(spans):
            continue
        starts, ends = spans.T
        sims_N = np.einsum("nd,nd->n", one.means(starts, ends), other.means(starts + offset, ends + offset))
        similarity = float(np.average(sims_N, weights=ends - starts))
        if best is None or similarity > best.similarity + 1e-6:
            best = DuplicatePair(
                video=one.sequence.video,
                other=other.sequence.video,
                offset_seconds=offset,
                shared_seconds=last - first,
                share=min(1.0, (last - first) / shorter),
                similarity=similarity,
            )
    return best


def _between(moments: Floats, sums: Floats, at: Floats) -> Floats:
    """Read a sum that grows evenly between moments at any time."""
    place = np.clip(np.searchsorted(moments, at, side="right") - 1, 0, len(moments) - 2)
    part = (at - moments[place]) / np.maximum(moments[place + 1] - moments[place], 1e-6)
    return sums[place] + np.clip(part, 0, 1)[:, None] * (sums[place + 1] - sums[place])
