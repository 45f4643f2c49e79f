"""What a process that answers derives from a table: rows in memory, and files to map where there are too many.

The table is the truth; whatever is here may be deleted at any time, and is made anew where it is missing or too old.
It belongs to one version of the table. When somebody has committed since, the keys of all rows are read, which is a
few bytes a row: rows whose key is gone are passed over from then on, rows with a new key are read and compared
exactly beside the rest. So answers are always those of the newest version, however old the files are. When there are
many new rows, everything is derived anew; meanwhile the old files answer.
"""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.feather as feather
from pydantic import Field

from polyreel.errors import DataError
from polyreel.search.filter import Filter, Mask
from polyreel.search.layers import Keys, Layer, MatrixLayer, PickedRows, are_among, hits_at
from polyreel.search.lists import open_lists, train_lists
from polyreel.settings import Settings, read_header
from polyreel.similarity import Embeddings, similarities
from polyreel.storage import only_writer, write_aside, write_json

_HEADER, _SCHEMA_VERSION = "derived.json", 3
_NEAR_TIE = 1e-4  # answers whose score is so close to the last exact one count as found
_TUNING_QUERIES, _WANTED_RECALL = 100, 0.995
_MOST_LAYERS = 8
_ROWS_AT_ONCE, _QUERIES_AT_ONCE = 20_000, 256


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """When what is done; the defaults are measured (docs/search-at-scale.md).

    Attributes:
        exact_rows: up to so many clips one matrix answers, exactly.
        filtered_rows: up to so many clips that a filter lets pass are compared one and all.
        fresh_share: everything is derived anew when new rows are more than this share of all.
    """

    exact_rows: int = 50_000
    filtered_rows: int = 20_000
    fresh_share: float = 0.1


class Versions(Protocol):
    """A table as it was at one commit."""

    def keys(self) -> tuple[Keys, npt.NDArray[np.uint64]]:
        """Return the key and the place of every row."""

    def read(self, places: npt.NDArray[np.uint64] | None) -> tuple[pa.Table, Embeddings]:
        """Return rows, in the order of their ids, and their embeddings; None: all rows."""


class DerivedHeader(Settings):
    """What files were derived from, as `derived.json` keeps it."""

    schema_version: int = Field(description="of the format")
    dim: int = Field(description="width of an embedding")
    num_rows: int = Field(description="how many clips")
    num_scanned: int = Field(description="how many clips the visited lists hold")
    recall: float = Field(description="share of the exact ten best found, on the queries it was tuned with")


@dataclass
class View:
    """The rows of one version, in layers."""

    version: int
    layers: list[tuple[Layer, Mask | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Remember what filters let pass."""
        self._picked = [PickedRows(layer, alive) for layer, alive in self.layers]

    def __len__(self) -> int:
        return sum(len(layer.rows) if alive is None else int(alive.sum()) for layer, alive in self.layers)

    def nearest(self, embedding_D: Embeddings, k: int, wanted: Filter | None, sizes: Sizes) -> list[dict[str, object]]:
        """Return the best rows, best first, each with its `_score`; equal ones in the order of their ids."""
        found: list[dict[str, object]] = []
        for (layer, _), picked in zip(self.layers, self._picked, strict=True):
            positions_K, sims_K = picked.nearest(embedding_D, k, wanted, sizes.filtered_rows)
            found += hits_at(layer.rows, positions_K, sims_K)
        return sorted(found, key=lambda row: (-float(str(row["_score"])), str(row["clip_id"])))[:k]

    def nearest_ids(self, queries_QD: Embeddings) -> list[str]:
        """Return the id of the clip nearest to each query; none where there are no rows."""
        best_Q, ids = np.full(len(queries_QD), -np.inf), np.full(len(queries_QD), "", object)
        for layer, alive in self.layers:
            for start in range(0, len(queries_QD), _QUERIES_AT_ONCE):
                block = slice(start, start + _QUERIES_AT_ONCE)
                positions_Q, sims_Q = layer.best_of_each(queries_QD[block], alive)
                better = np.flatnonzero(sims_Q > best_Q[block]) + start
                best_Q[better] = sims_Q[better - start]
                ids[better] = layer.rows["clip_id"].take(positions_Q[better - start]).to_pylist()
        return [str(name) for name in ids if name]

    def mean_D(self, dim: int) -> Embeddings:
        """Return the mean embedding; of a large layer that of evenly spaced rows stands for it."""
        total_D, num = np.zeros(dim), 0
        for layer, alive in self.layers:
            chosen = np.arange(len(layer.rows)) if alive is None else np.flatnonzero(alive)
            if len(chosen):
                sample = chosen[:: max(1, len(chosen) // 100_000)]
                total_D += np.asarray(layer.vectors_ND[sample], np.float64).mean(axis=0) * len(chosen)
                num += len(chosen)
        return (total_D / max(num, 1)).astype(np.float32)


class Derived:
    """Answers for the newest version of a table.

    Args:
        folder: where files are derived to; inside it all belongs to this class.
        dim: width of an embedding.
        sizes: when what is done.
    """

    def __init__(self, folder: Path, dim: int, sizes: Sizes) -> None:
        self._folder, self._dim, self._sizes = folder, dim, sizes
        self._view: View | None = None
        self._lock = Lock()
        self._base: Layer | None = None

    def view(self, version: int, table: Versions) -> View | None:
        """Return the rows of a version; None where files would have to be derived first.

        Args:
            version: the newest.
            table: as it is at this version.
        """
        view = self._view
        if view is not None and view.version == version:
            return view
        # While one thread looks at a commit, others need not wait for it: they answer as of a moment ago.
        if self._lock.acquire(blocking=view is None):
            try:
                if self._view is None or self._view.version != version:
                    self._view = self._advance(version, table)
                return self._view
            finally:
                self._lock.release()
        return view

    def is_behind(self, view: View | None) -> bool:
        """Tell whether files should be derived: there are none, or too many rows are not in them."""
        return view is None or (
            len(view) > self._sizes.exact_rows
            and (isinstance(self._base, MatrixLayer) or self._num_fresh(view) > self._sizes.fresh_share * len(view))
        )

    def derive(self, table: Versions, queries_QD: Embeddings | None) -> DerivedHeader:
        """Write files for a version, and take them from now on; other processes take them when they next look.

        Args:
            table: as it is at some version.
            queries_QD: such queries as will be asked, to tune with; None: clips of the table stand for them.

        Raises:
            DataError: another process is at it.
        """
        with only_writer(self._folder.parent / f"{self._folder.name}.lock"):
            with write_aside(self._folder, is_expendable=True) as aside:
                aside.mkdir()
                _copy(table, aside, self._dim)
                mapped = _map(aside)
                train_lists(mapped[1], aside)
                header = self._tuned(aside, mapped, queries_QD)
                write_json(aside / _HEADER, header.model_dump(mode="json"))
        with self._lock:
            self._base = self._view = None
        return header

    def _tuned(self, folder: Path, mapped: tuple[pa.Table, Embeddings], queries_QD: Embeddings | None) -> DerivedHeader:
        """Let more and more rows be visited until recall is what is wanted."""
        rows, vectors_ND = mapped
        if queries_QD is None or not len(queries_QD):
            chosen = np.random.default_rng(0).choice(len(rows), min(_TUNING_QUERIES, len(rows)), replace=False)
            queries_QD = np.array(vectors_ND[np.sort(chosen)])
        queries_QD = queries_QD[:: max(1, len(queries_QD) // _TUNING_QUERIES)][:_TUNING_QUERIES]
        bars_Q = exact_bars(queries_QD, vectors_ND, 10)
        num_scanned = 64
        while True:
            layer = open_lists(rows, vectors_ND, folder, num_scanned, self._sizes.filtered_rows)
            recall = float(
                np.mean([_found(layer, query_D, bar) for query_D, bar in zip(queries_QD, bars_Q, strict=True)])
            )
            if recall >= _WANTED_RECALL or num_scanned >= len(rows):
                break
            num_scanned += num_scanned // 2
        return DerivedHeader(
            schema_version=_SCHEMA_VERSION, dim=self._dim, num_rows=len(rows), num_scanned=num_scanned, recall=recall
        )

    def _advance(self, version: int, table: Versions) -> View | None:
        keys, places = table.keys()
        layers = [layer for layer, _ in self._view.layers] if self._view else []
        if not layers and self._base is None:
            self._base = self._open() if len(keys) > self._sizes.exact_rows else MatrixLayer(*table.read(None))
            layers = [] if self._base is None else [self._base]
        if not layers:
            return None
        known = np.concatenate([_keys_of(layer) for layer in layers])
        new = ~are_among(keys, known)
        if new.sum() > max(self._sizes.exact_rows, 1):
            self._base = None
            return None
        if new.any():
            layers.append(MatrixLayer(*table.read(places[new])))
        return View(version, self._merged([(layer, _alive(layer, keys)) for layer in layers]))

    def _merged(self, layers: list[tuple[Layer, Mask | None]]) -> list[tuple[Layer, Mask | None]]:
        """Join many small layers, so that a search need not visit each."""
        if len(layers) <= _MOST_LAYERS:
            return layers
        kept = layers if isinstance(self._base, MatrixLayer) else layers[1:]
        tables = [layer.rows if alive is None else layer.rows.filter(pa.array(alive)) for layer, alive in kept]
        vectors = [layer.vectors_ND if alive is None else layer.vectors_ND[alive] for layer, alive in kept]
        rows = pa.concat_tables(tables, promote_options="default").combine_chunks()
        order = np.argsort(np.asarray(rows["clip_id"].to_numpy(zero_copy_only=False), dtype=object), kind="stable")
        joined = MatrixLayer(rows.take(order), np.concatenate(vectors)[order])
        if isinstance(self._base, MatrixLayer):
            self._base = joined
        return [*layers[: len(layers) - len(kept)], (joined, None)]

    def _num_fresh(self, view: View) -> int:
        return sum(len(layer.rows) for layer, _ in view.layers if layer is not self._base)

    def _open(self) -> Layer | None:
        """Map the files that are there; None where there are none, or none of this kind."""
        try:
            header = read_header(DerivedHeader, self._folder / _HEADER, _SCHEMA_VERSION)
        except DataError:
            return None
        rows, vectors_ND = _map(self._folder)
        if header.dim != self._dim or vectors_ND.shape != (len(rows), self._dim):
            return None
        return open_lists(rows, vectors_ND, self._folder, header.num_scanned, self._sizes.filtered_rows)


def exact_bars(queries_QD: Embeddings, vectors_ND: Embeddings, k: int) -> Embeddings:
    """Return the k-th best similarity of each query `[Q]`, less a near tie; the matrix is read once, in slices."""
    best_QK = np.full((len(queries_QD), k), -np.inf, np.float32)
    for start in range(0, len(vectors_ND), 1 << 15):
        sims_QN = similarities(queries_QD, vectors_ND[start : start + (1 << 15)])
        both = np.concatenate([best_QK, sims_QN], axis=1)
        best_QK = -np.partition(-both, k - 1, axis=1)[:, :k]
    return np.asarray(best_QK.min(axis=1) - _NEAR_TIE, np.float32)


def _found(layer: Layer, query_D: Embeddings, bar: float) -> float:
    sims_K = layer.nearest(query_D, 10, None)[1]
    return float((sims_K >= bar).sum()) / min(10, len(layer.rows))


def _copy(table: Versions, folder: Path, dim: int) -> None:
    """Write rows and embeddings of a version, some thousands at a time."""
    _, places = table.keys()
    vectors_ND = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (len(places), dim))
    parts = []
    for start in range(0, len(places), _ROWS_AT_ONCE):
        rows, block_ND = table.read(places[start : start + _ROWS_AT_ONCE])
        vectors_ND[start : start + len(rows)] = block_ND
        parts.append(rows)
    vectors_ND.flush()
    rows = pa.concat_tables(parts).combine_chunks()
    # In one piece: taking a few rows goes through every piece.
    feather.write_feather(rows, str(folder / "rows.arrow"), compression="uncompressed", chunksize=max(1, len(rows)))


def _map(folder: Path) -> tuple[pa.Table, Embeddings]:
    rows = feather.read_table(str(folder / "rows.arrow"), memory_map=True)
    return rows, np.load(folder / "vectors.npy", mmap_mode="r")


def _keys_of(layer: Layer) -> Keys:
    return np.asarray(layer.rows["row_key"].to_numpy())


def _alive(layer: Layer, keys: Keys) -> Mask | None:
    alive = are_among(_keys_of(layer), keys)
    return None if alive.all() else alive
