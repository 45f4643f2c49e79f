"""Rows in the memory of a process that answers, and the nearest among them.

Up to some ten thousand clips one product with the matrix of all embeddings is fastest, and exact; beyond, inverted
lists lead to the nearest (`lists.py`). What a filter lets pass is remembered for the next page of hits.

Shapes: N clips, D width of an embedding, K hits.
"""

from collections import OrderedDict
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.search.filter import Filter, Mask
from polyreel.search.rows import CLIP_COLUMNS
from polyreel.similarity import Embeddings, top_k

Positions = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64]
_MOST_PICKED_ROWS = 60_000  # rows of recent filters kept side by side, so that the next page need not gather them


class Layer(Protocol):
    """Rows that can be searched."""

    rows: pa.Table
    vectors_ND: Embeddings

    def nearest(self, embedding_D: Embeddings, k: int, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """Return positions of the best rows, best first, and their scores; fewer than k only if fewer are allowed."""

    def best_of_each(self, queries_QD: Embeddings, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """Return the best row's position and score of each query; the score is -inf where no row is allowed."""


class MatrixLayer:
    """Rows compared one and all."""

    def __init__(self, rows: pa.Table, vectors_ND: Embeddings) -> None:
        self.rows, self.vectors_ND = rows, vectors_ND

    def nearest(self, embedding_D: Embeddings, k: int, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """See `Layer`."""
        sims_N = np.asarray(self.vectors_ND @ embedding_D)
        if allowed is None:
            return best_of(sims_N, k)
        positions = np.flatnonzero(allowed)
        best_K, sims_K = best_of(sims_N[positions], k)
        return positions[best_K], sims_K

    def best_of_each(self, queries_QD: Embeddings, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """See `Layer`."""
        if not len(self.rows):
            return none_of_each(queries_QD)
        sims_QN = queries_QD @ self.vectors_ND.T
        if allowed is not None:
            sims_QN[:, ~allowed] = -np.inf
        return sims_QN.argmax(axis=1), sims_QN.max(axis=1)


class PickedRows:
    """Which rows of a layer recent filters let pass, with their embeddings side by side if they are few."""

    def __init__(self, layer: Layer, alive: Mask | None) -> None:
        self._layer, self._alive = layer, alive
        self._picked: OrderedDict[Filter, tuple[Mask, MatrixLayer | None, Positions]] = OrderedDict()

    def nearest(self, embedding_D: Embeddings, k: int, wanted: Filter | None, few: int) -> tuple[Positions, Embeddings]:
        """Return the best rows that a filter lets pass.

        Args:
            embedding_D: what is asked.
            k: how many.
            wanted: the filter.
            few: up to so many rows are put side by side and compared one and all.
        """
        if wanted is None:
            return self._layer.nearest(embedding_D, k, self._alive)
        allowed, side_by_side, positions = self._pick(wanted, few)
        if side_by_side is None:
            return self._layer.nearest(embedding_D, k, allowed)
        best_K, sims_K = side_by_side.nearest(embedding_D, k, None)
        return positions[best_K], sims_K

    def _pick(self, wanted: Filter, few: int) -> tuple[Mask, MatrixLayer | None, Positions]:
        picked = self._picked.pop(wanted, None)
        if picked is None:
            allowed = wanted.mask(self._layer.rows)
            allowed = allowed if self._alive is None else allowed & self._alive
            positions = np.flatnonzero(allowed)
            near = None
            if len(positions) <= few:
                near = MatrixLayer(self._layer.rows.slice(0, 0), np.array(self._layer.vectors_ND[positions]))
            picked = allowed, near, positions
        self._picked[wanted] = picked
        while len(self._picked) > 1 and self._num_picked() > _MOST_PICKED_ROWS:
            self._picked.popitem(last=False)
        return picked

    def _num_picked(self) -> int:
        masks = sum(len(allowed) for allowed, _, _ in self._picked.values()) // 2048  # a byte a row, not an embedding
        return masks + sum(len(near.vectors_ND) for _, near, _ in self._picked.values() if near is not None)


def hits_at(rows: pa.Table, positions_K: Positions, scores_K: Embeddings) -> list[dict[str, object]]:
    """Return where a few clips lie, each with its `_score`."""
    found = rows.select(CLIP_COLUMNS).take(positions_K).to_pylist()
    return [{**row, "_score": score} for row, score in zip(found, scores_K.tolist(), strict=True)]


def are_among(keys_N: Keys, others_M: Keys) -> Mask:
    """Tell which keys are among others, by sorting; `isin` hashes them, which takes longer for many."""
    others_M = np.sort(others_M)
    if np.array_equal(np.sort(keys_N), others_M):  # nearly always, and searching in random order is what takes long
        return np.ones(len(keys_N), bool)
    if not len(others_M):
        return np.zeros(len(keys_N), bool)
    places_N = np.searchsorted(others_M, keys_N)
    return np.asarray(others_M[np.minimum(places_N, len(others_M) - 1)] == keys_N)


def none_of_each(queries_QD: Embeddings) -> tuple[Positions, Embeddings]:
    """Return what `Layer.best_of_each` does where no row is allowed."""
    return np.zeros(len(queries_QD), np.int64), np.full(len(queries_QD), -np.inf, np.float32)


def best_of(sims_N: Embeddings, k: int) -> tuple[Positions, Embeddings]:
    """Return positions of the k best scores, best first, and the scores."""
    positions_QK, sims_QK = top_k(sims_N[None], k)
    return positions_QK[0], np.asarray(sims_QK[0], np.float32)
