"""Rows in the memory of a process that answers, and the nearest among them: exactly, or through inverted lists.

Up to some ten thousand clips one product with the matrix of all embeddings is fastest, and exact. Beyond, FAISS
visits only the lists nearest to the query (IVF, one byte a dimension), and the best it finds are scored again with
the embeddings themselves. Lists are visited until they held as many clips that may be found as `num_scanned` says, and
lists that hold none are passed over; where few clips may be found, all of them are compared. So a filter never starves
a search: there are k hits whenever k clips may be found.

Shapes: N clips, D width of an embedding, K hits, L lists.
"""

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.search.filter import Filter, Mask
from polyreel.similarity import Embeddings, top_k

if TYPE_CHECKING:
    import faiss

Positions = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64]
_RESCORED_A_HIT = 8  # candidates scored again for each hit asked for; one byte a dimension puts near ones out of order
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
            return _best(sims_N, k)
        positions = np.flatnonzero(allowed)
        best_K, sims_K = _best(sims_N[positions], k)
        return positions[best_K], sims_K

    def best_of_each(self, queries_QD: Embeddings, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """See `Layer`."""
        if not len(self.rows):
            return _none_of_each(queries_QD)
        sims_QN = queries_QD @ self.vectors_ND.T
        if allowed is not None:
            sims_QN[:, ~allowed] = -np.inf
        return sims_QN.argmax(axis=1), sims_QN.max(axis=1)


class ListsLayer:
    """Rows behind inverted lists, all of it mapped from files.

    Args:
        rows: the clips.
        vectors_ND: their embeddings.
        lists: the index; its ids are positions of rows.
        list_of_N: which list each row is in.
        num_scanned: how many allowed rows the visited lists must have held.
        exact_rows: where no more rows than these are allowed, all of them are compared.
    """

    def __init__(
        self,
        rows: pa.Table,
        vectors_ND: Embeddings,
        lists: "faiss.IndexIVF",
        list_of_N: npt.NDArray[np.int32],
        num_scanned: int,
        exact_rows: int,
    ) -> None:
        self.rows, self.vectors_ND, self.num_scanned = rows, vectors_ND, num_scanned
        self._lists, self._list_of_N, self._exact_rows = lists, list_of_N, exact_rows
        self._centroids_LD = lists.quantizer.reconstruct_n(0, lists.nlist)
        self._sizes_L = np.bincount(list_of_N, minlength=lists.nlist)

    def nearest(self, embedding_D: Embeddings, k: int, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """See `Layer`."""
        sizes_L = self._sizes_L
        if allowed is not None:
            positions = np.flatnonzero(allowed)
            if len(positions) <= max(self._exact_rows, k):
                return self._best_of(positions, embedding_D, k)
            sizes_L = np.bincount(self._list_of_N[positions], minlength=len(sizes_L))
        wanted = min(max(self.num_scanned, k * _RESCORED_A_HIT), int(sizes_L.sum()))
        return self._best_of(self._candidates(embedding_D, k, sizes_L, wanted, allowed), embedding_D, k)

    def best_of_each(self, queries_QD: Embeddings, allowed: Mask | None) -> tuple[Positions, Embeddings]:
        """See `Layer`."""
        positions_Q, sims_Q = _none_of_each(queries_QD)
        for place, query_D in enumerate(queries_QD):
            positions, sims = self.nearest(query_D, 1, allowed)
            if len(positions):
                positions_Q[place], sims_Q[place] = positions[0], sims[0]
        return positions_Q, sims_Q

    def _best_of(self, positions: Positions, embedding_D: Embeddings, k: int) -> tuple[Positions, Embeddings]:
        best_K, sims_K = _best(self.vectors_ND[positions] @ embedding_D, k)
        return positions[best_K], sims_K

    def _candidates(
        self, embedding_D: Embeddings, k: int, sizes_L: npt.NDArray[np.int64], wanted: int, allowed: Mask | None
    ) -> Positions:
        import faiss

        sims_L = self._centroids_LD @ embedding_D
        order_L = np.argsort(-sims_L, kind="stable")
        order_L = order_L[sizes_L[order_L] > 0]
        num_probes = int(np.searchsorted(np.cumsum(sizes_L[order_L]), wanted)) + 1
        visited = np.ascontiguousarray(order_L[:num_probes], np.int64)
        settings = faiss.SearchParametersIVF(nprobe=len(visited))
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            settings.sel = faiss.IDSelectorBitmap(bits)
        num = k * _RESCORED_A_HIT
        query_D, visited_L = np.ascontiguousarray(embedding_D, np.float32), np.ascontiguousarray(sims_L[visited])
        scores, found = np.empty(num, np.float32), np.empty(num, np.int64)
        places = (faiss.swig_ptr(array) for array in (visited, visited_L, scores, found))
        self._lists.search_preassigned_c(1, faiss.swig_ptr(query_D), num, *places, False, settings)
        return np.sort(found[found >= 0])


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


def train_lists(vectors_ND: Embeddings, folder: Path) -> None:
    """Write inverted lists over embeddings, `lists.faiss` and `list_of.npy`, into a folder.

    Args:
        vectors_ND: mapped from a file; read in slices.
        folder: there already.
    """
    import faiss

    num, dim = vectors_ND.shape
    num_lists = max(1, int(2 * np.sqrt(num)))
    quantizer = faiss.IndexFlatIP(dim)
    lists = faiss.IndexIVFScalarQuantizer(
        quantizer, dim, num_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    lists.cp.niter, lists.cp.min_points_per_centroid, lists.cp.seed = 8, 1, 0
    sample = np.sort(np.random.default_rng(0).choice(num, min(num, 64 * num_lists), replace=False))
    lists.train(np.ascontiguousarray(vectors_ND[sample]))
    list_of_N = np.empty(num, np.int32)
    for start in range(0, num, 1 << 15):
        block = np.ascontiguousarray(vectors_ND[start : start + (1 << 15)])
        assigned = np.ascontiguousarray(quantizer.search(block, 1)[1][:, 0])
        positions = np.arange(start, start + len(block), dtype=np.int64)
        lists.add_core(len(block), *map(faiss.swig_ptr, (block, positions, assigned)))
        list_of_N[start : start + len(block)] = assigned
    faiss.write_index(lists, str(folder / "lists.faiss"))
    np.save(folder / "list_of.npy", list_of_N)


def open_lists(rows: pa.Table, vectors_ND: Embeddings, folder: Path, num_scanned: int, exact_rows: int) -> ListsLayer:
    """Map what `train_lists` wrote."""
    import faiss

    lists = faiss.read_index(str(folder / "lists.faiss"), faiss.IO_FLAG_MMAP_IFC)
    return ListsLayer(rows, vectors_ND, lists, np.load(folder / "list_of.npy"), num_scanned, exact_rows)


def rows_at(rows: pa.Table, positions_K: Positions) -> list[dict[str, object]]:
    """Return a few rows, one by one: `take` goes through every chunk of a mapped table, however few are asked for."""
    found: list[dict[str, object]] = []
    for position in positions_K.tolist():
        found += rows.slice(position, 1).to_pylist()
    return found


def are_among(keys_N: Keys, others_M: Keys) -> Mask:
    """Tell which keys are among others, by sorting; `isin` hashes them, which takes longer for many."""
    others_M = np.sort(others_M)
    if np.array_equal(np.sort(keys_N), others_M):  # nearly always, and searching in random order is what takes long
        return np.ones(len(keys_N), bool)
    if not len(others_M):
        return np.zeros(len(keys_N), bool)
    places_N = np.searchsorted(others_M, keys_N)
    return np.asarray(others_M[np.minimum(places_N, len(others_M) - 1)] == keys_N)


def _none_of_each(queries_QD: Embeddings) -> tuple[Positions, Embeddings]:
    return np.zeros(len(queries_QD), np.int64), np.full(len(queries_QD), -np.inf, np.float32)


def _best(sims_N: Embeddings, k: int) -> tuple[Positions, Embeddings]:
    positions_QK, sims_QK = top_k(sims_N[None], k)
    return positions_QK[0], np.asarray(sims_QK[0], np.float32)
