"""Inverted lists over many embeddings, mapped from files: only those nearest to a query are visited.

FAISS keeps the lists (IVF), one byte a dimension, and the best that it finds are scored again with the embeddings
themselves. Lists are visited until they held as many clips that may be found as `num_scanned` says, and lists that
hold none are passed over; where few clips may be found, all of them are compared. So a filter never starves a search:
there are k hits whenever k clips may be found.

Reading the codes from memory is what a search takes time for, so they are short. Embeddings are turned to the axes
along which they differ most, and the rest is left out; and FAISS compares bytes with bytes fastest, by their squared
distance (`QT_8bit_direct`). For vectors of unit length |x - q|^2 = 2 - 2 x.q, so that distance orders clips as the
cosine does, whatever is taken off all of them and however large one scale makes them.

Shapes: N clips, D width of an embedding, C of a code, K hits, L lists.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.search.filter import Mask
from polyreel.search.layers import Positions, best_of, none_of_each
from polyreel.similarity import Embeddings

if TYPE_CHECKING:
    import faiss

_RESCORED_A_HIT = 8  # candidates scored again for each hit asked for; codes put near ones out of order
_LISTS, _LIST_OF, _CODE = "lists.faiss", "list_of.npy", "code.npy"
_ROWS_AT_ONCE = 1 << 15
_KEPT_VARIANCE = 0.98  # less than half of 512 numbers here, recall 0.998 (docs/search-at-scale.md)
_LANES, _HALF = 16, 127.0  # FAISS compares sixteen bytes at once; the middle of a byte


class ListsLayer:
    """Rows behind inverted lists, all of it mapped from files.

    Args:
        rows: the clips.
        vectors_ND: their embeddings.
        lists: the index; its ids are positions of rows.
        list_of_N: which list each row is in.
        code: how embeddings become short.
        num_scanned: how many allowed rows the visited lists must have held.
        exact_rows: where no more rows than these are allowed, all of them are compared.
    """

    def __init__(
        self,
        rows: pa.Table,
        vectors_ND: Embeddings,
        lists: "faiss.IndexIVF",
        list_of_N: npt.NDArray[np.int32],
        code: "Code",
        num_scanned: int,
        exact_rows: int,
    ) -> None:
        self.rows, self.vectors_ND, self.num_scanned = rows, vectors_ND, num_scanned
        self._lists, self._list_of_N, self._code, self._exact_rows = lists, list_of_N, code, exact_rows
        self._centroids_LC = lists.quantizer.reconstruct_n(0, lists.nlist)
        self._squares_L = np.square(self._centroids_LC).sum(axis=1)
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
        positions_Q, sims_Q = none_of_each(queries_QD)
        for place, query_D in enumerate(queries_QD):
            positions, sims = self.nearest(query_D, 1, allowed)
            if len(positions):
                positions_Q[place], sims_Q[place] = positions[0], sims[0]
        return positions_Q, sims_Q

    def _best_of(self, positions: Positions, embedding_D: Embeddings, k: int) -> tuple[Positions, Embeddings]:
        best_K, sims_K = best_of(self.vectors_ND[positions] @ embedding_D, k)
        return positions[best_K], sims_K

    def _candidates(
        self, embedding_D: Embeddings, k: int, sizes_L: npt.NDArray[np.int64], wanted: int, allowed: Mask | None
    ) -> Positions:
        import faiss

        code_C = self._code.of(embedding_D)
        far_L = self._squares_L - 2 * (self._centroids_LC @ code_C)
        order_L = np.argsort(far_L)
        order_L = order_L[sizes_L[order_L] > 0]
        num_probes = int(np.searchsorted(np.cumsum(sizes_L[order_L]), wanted)) + 1
        visited = np.ascontiguousarray(order_L[:num_probes], np.int64)
        settings = faiss.SearchParametersIVF(nprobe=len(visited))
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            settings.sel = faiss.IDSelectorBitmap(bits)
        num = k * _RESCORED_A_HIT
        query_C, far_V = to_bytes(code_C), np.ascontiguousarray(far_L[visited])
        distances, found = np.empty(num, np.float32), np.empty(num, np.int64)
        places = (faiss.swig_ptr(array) for array in (visited, far_V, distances, found))
        self._lists.search_preassigned_c(1, faiss.swig_ptr(query_C), num, *places, False, settings)
        return np.sort(found[found >= 0])


class Code:
    """How embeddings become short: less their mean, turned to where they differ most, scaled to what bytes hold.

    A random turn follows, so that every number of a code says about as much, and one scale fits all of them.

    Args:
        turn_and_shift: what to multiply with, and below it what to add: `[D + 1, C]`.
    """

    def __init__(self, turn_and_shift: Embeddings) -> None:
        self.turn_and_shift = turn_and_shift

    @classmethod
    def fit(cls, sample_ND: Embeddings) -> "Code":
        """Make one that keeps `_KEPT_VARIANCE` of a sample's variance; C is the width, or a multiple of 16 below it."""
        mean_D = sample_ND.mean(axis=0, dtype=np.float64)
        centred_ND = sample_ND - mean_D.astype(np.float32)
        variances_D, axes_DD = np.linalg.eigh((centred_ND.T @ centred_ND).astype(np.float64))
        explained_D = np.cumsum(variances_D[::-1])
        num_axes = int(np.searchsorted(explained_D, _KEPT_VARIANCE * explained_D[-1])) + 1
        width = min(-(-num_axes // _LANES) * _LANES, len(mean_D))
        spin_CC = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]
        turn_DC = axes_DD[:, ::-1][:, :width] @ spin_CC
        reach = max(float(np.abs(centred_ND @ turn_DC.astype(np.float32)).max()), 1e-3)
        scaled_DC = turn_DC * (_HALF / reach)
        return cls(np.concatenate([scaled_DC, _HALF - (mean_D @ scaled_DC)[None]]).astype(np.float32))

    def of(self, embeddings_ND: Embeddings) -> Embeddings:
        """Return codes `[..., C]` of embeddings `[..., D]`; those of the sample are between 0 and 255."""
        return np.asarray(embeddings_ND @ self.turn_and_shift[:-1] + self.turn_and_shift[-1], np.float32)


def to_bytes(codes_NC: Embeddings) -> Embeddings:
    """Round to whole numbers, 0 to 255; FAISS takes bytes as floats."""
    return np.clip(np.rint(codes_NC), 0, 255)


def train_lists(vectors_ND: Embeddings, folder: Path) -> None:
    """Write inverted lists over embeddings into a folder.

    Args:
        vectors_ND: of unit length, mapped from a file; read in slices.
        folder: there already.
    """
    import faiss

    num, dim = vectors_ND.shape
    num_lists = max(1, int(2 * np.sqrt(num)))
    sample = np.sort(np.random.default_rng(0).choice(num, min(num, 64 * num_lists), replace=False))
    sample_ND = np.ascontiguousarray(vectors_ND[sample])
    clusters = faiss.Kmeans(dim, num_lists, niter=8, seed=0, spherical=True, min_points_per_centroid=1)
    clusters.train(sample_ND)
    code, list_of_N = Code.fit(sample_ND), np.empty(num, np.int32)
    quantizer = faiss.IndexFlatL2(code.turn_and_shift.shape[1])
    quantizer.add(code.of(clusters.centroids))
    byte = faiss.ScalarQuantizer.QT_8bit_direct
    lists = faiss.IndexIVFScalarQuantizer(quantizer, quantizer.d, num_lists, byte, faiss.METRIC_L2, False)
    lists.train(code.of(sample_ND[:num_lists]))  # there is nothing left to learn
    for start in range(0, num, _ROWS_AT_ONCE):
        codes_NC = code.of(vectors_ND[start : start + _ROWS_AT_ONCE])
        assigned = np.ascontiguousarray(quantizer.search(codes_NC, 1)[1][:, 0])
        bytes_NC, positions = to_bytes(codes_NC), np.arange(start, start + len(codes_NC), dtype=np.int64)
        lists.add_core(len(codes_NC), *map(faiss.swig_ptr, (bytes_NC, positions, assigned)))
        list_of_N[start : start + len(codes_NC)] = assigned
    faiss.write_index(lists, str(folder / _LISTS))
    np.save(folder / _LIST_OF, list_of_N)
    np.save(folder / _CODE, code.turn_and_shift)


def open_lists(rows: pa.Table, vectors_ND: Embeddings, folder: Path, num_scanned: int, exact_rows: int) -> ListsLayer:
    """Map what `train_lists` wrote."""
    import faiss

    lists = faiss.read_index(str(folder / _LISTS), faiss.IO_FLAG_MMAP_IFC)
    code = Code(np.load(folder / _CODE))
    return ListsLayer(rows, vectors_ND, lists, np.load(folder / _LIST_OF), code, num_scanned, exact_rows)
