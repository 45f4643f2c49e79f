"""An index's rows in LanceDB: in its own folder, or on object storage.

With `versions.py` this is all of the room that knows LanceDB.
Every change is one commit, so whoever reads meanwhile, in this process or another, sees all of it or nothing. What is
said is found through the table's full-text index, whose tokenizer, ICU's, knows words where they are written without
spaces. Rows that no index covers yet are found all the same. LanceDB itself is the slowest way to the nearest clips
(its scan of 100 000 takes a quarter of a second), so a process that answers keeps something derived (`derived.py`);
where that would first have to be made, LanceDB's scan answers meanwhile.
"""

import shutil
from collections.abc import Hashable, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError
from polyreel.search.derived import Derived, DerivedHeader, Sizes, View
from polyreel.search.filter import COLUMN_PREFIX, Filter
from polyreel.search.rows import CLIP_COLUMNS, row_schema
from polyreel.search.sql import among, as_sql
from polyreel.search.store import DEFAULT_SIZES, Abilities, Row
from polyreel.search.versions import NewestVersion, Version, connect, first_line, persistently
from polyreel.similarity import Embeddings

if TYPE_CHECKING:
    import lancedb

_NAME, _DERIVED = "clips", "derived"
_SQL_KINDS = {pa.string(): "string", pa.float64(): "double", pa.bool_(): "boolean"}
_LOOKED_UP = ("clip_id", "video")  # found by a B-tree, not by reading the column
_COMMITS_BETWEEN_COMPACTIONS = 32
_KEPT_VERSIONS = timedelta(hours=1)  # readers hold a version for as long as one search takes


class ClipTable:
    """Rows of clips in a table, and what is derived from it.

    Attributes:
        folder: of the index; what is derived lies in it, and the table too unless it has a location of its own.
        dim: width D of an embedding.
        location: URL of the table's place; None: the folder.
    """

    abilities = Abilities(full_text=True, thumbnails=True)

    def __init__(self, folder: Path, dim: int, location: str | None = None, sizes: Sizes = DEFAULT_SIZES) -> None:
        self.folder = folder
        self.dim = dim
        self.location = location
        self._sizes = sizes
        self._newest = NewestVersion(folder / f"{_NAME}.lance" if location is None else None)
        self._derived = Derived(folder / _DERIVED, dim, sizes)
        self._num_commits = 0
        self._mean: tuple[int, Embeddings] | None = None
        self._said: tuple[int, bool] | None = None

    @classmethod
    def create(cls, folder: Path, dim: int, location: str | None = None) -> "ClipTable":
        """Make an empty table.

        Raises:
            DataError: there is one already.
        """
        from lancedb.index import FTS

        database = connect(location or folder)
        try:
            table = database.create_table(_NAME, schema=row_schema(dim))
        except (ValueError, RuntimeError) as error:
            raise DataError(f"{location or folder} cannot hold a new table: {first_line(error)}") from None
        words = FTS(base_tokenizer="icu", stem=False, remove_stop_words=False, ascii_folding=True)
        table.create_index("speech", config=words)
        _add_trees(table)
        return cls(folder, dim, location)

    @staticmethod
    def is_at(folder: Path, location: str | None = None) -> bool:
        """Tell whether there is a table in a folder, or at a location."""
        if location is not None:
            return _NAME in connect(location).list_tables().tables
        return (folder / f"{_NAME}.lance").is_dir()

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete the table in a folder, if there is one."""
        for name in (f"{_NAME}.lance", _DERIVED):
            shutil.rmtree(folder / name, ignore_errors=True)

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def state(self) -> Hashable:
        """Return the table's version."""
        return self._newest.of(self._table)

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path."""
        rows = self._table.search().select(["video", "file_stamp"]).to_arrow()
        return dict(zip(rows["video"].to_pylist(), rows["file_stamp"].to_pylist(), strict=True))

    def speech_langs(self) -> list[str]:
        """Return the languages in which something is said, sorted."""
        lists = self._table.search().select(["speech_langs"]).to_arrow()["speech_langs"]
        return sorted(pc.unique(pc.list_flatten(lists)).to_pylist())

    def put(self, rows: pa.Table, dropping: Sequence[str] = ()) -> None:
        """Put in all clips of some videos, in place of what was there of these videos, in one commit.

        Args:
            rows: what `make_rows` made. An own column that the table lacks is added first.
            dropping: other videos to take out in the same commit.

        Raises:
            DataError: an own column holds another kind of value than before.
        """
        self._widen(rows.schema)
        schema = self._table.schema
        columns = [
            rows[each.name] if each.name in rows.column_names else pa.nulls(len(rows), each.type) for each in schema
        ]
        of_these_videos = among("video", sorted({*rows["video"].to_pylist(), *dropping}))
        persistently(lambda: self._merge(pa.table(columns, schema=schema), of_these_videos))
        self._num_commits += 1
        if self._num_commits % _COMMITS_BETWEEN_COMPACTIONS == 0:
            self.compact()

    def _merge(self, new: pa.Table, of_these_videos: str) -> None:
        """Put in rows and take out what else there is of their videos, in one commit."""
        merge = self._table.merge_insert("clip_id").when_matched_update_all().when_not_matched_insert_all()
        known = self._table.search().where(of_these_videos).select(["clip_id"]).to_arrow()["clip_id"]
        if {*known.to_pylist()} - {*new["clip_id"].to_pylist()}:
            # LanceDB reads the whole table for this, embeddings too; without it, a commit costs what its rows do.
            merge = merge.when_not_matched_by_source_delete(of_these_videos)
        merge.execute(new)

    def _widen(self, wanted: pa.Schema) -> None:
        known = self._table.schema
        for each in wanted:
            if each.name in known.names and known.field(each.name).type != each.type:
                name, kind = each.name.removeprefix(COLUMN_PREFIX), known.field(each.name).type
                raise DataError(f"the column {name!r} holds {kind} in {self.folder}, and now {each.type}; rename it")
        new = {each.name: f"CAST(NULL AS {_SQL_KINDS[each.type]})" for each in wanted if each.name not in known.names}
        if new:
            persistently(lambda: self._table.add_columns(new))

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos, in one commit; videos that are not there are passed over."""
        if videos:
            persistently(lambda: self._table.delete(among("video", sorted(videos))))

    def compact(self) -> None:
        """Join the small files that many commits leave, and bring the indices up to date."""
        persistently(lambda: _add_trees(self._table))  # of a table made before there were any
        persistently(lambda: self._table.optimize(cleanup_older_than=_KEPT_VERSIONS))

    def catch_up(self, queries_QD: Embeddings | None = None) -> DerivedHeader | None:
        """Derive files where a matrix would be too large, if they are missing or too old."""
        version = self._newest.of(self._table)
        if len(self) <= self._sizes.exact_rows or not self._derived.is_behind(self._view()):
            return None
        return self._derived.derive(self._at(version), queries_QD)

    def nearest(self, embedding_D: Embeddings, k: int, wanted: Filter | None, *, is_exact: bool = False) -> list[Row]:
        """Return the nearest rows, best first, each with its `_score`."""
        view = None if is_exact else self._view()
        if view is not None:
            return [*view.nearest(embedding_D, k, wanted, self._sizes)]
        query = (
            self._table.search(np.asarray(embedding_D, np.float32), query_type="vector")
            .distance_type("dot")
            .bypass_vector_index()
        )
        if condition := as_sql(wanted, self._table.schema):
            query = query.where(condition, prefilter=True)
        found: list[Row] = query.select([*CLIP_COLUMNS, "_distance"]).limit(k).to_list()
        rows: list[Row] = [{**row, "_score": 1.0 - float(str(row["_distance"]))} for row in found]
        return sorted(rows, key=lambda row: (-float(str(row["_score"])), str(row["clip_id"])))

    def nearest_ids(self, queries_QD: Embeddings) -> list[str]:
        """Return the id of the clip nearest to each query; none in an empty store."""
        view = self._view()
        if view is not None:
            return view.nearest_ids(queries_QD)
        return [str(row["clip_id"]) for query_D in queries_QD for row in self.nearest(query_D, 1, None)]

    def find_speech(self, text: str, k: int, wanted: Filter | None) -> list[Row]:
        """Return rows of the clips in which words are said, best first, with `lines` and BM25's `_score`."""
        if not self._is_anything_said():
            return []
        query = self._table.search(text, query_type="fts", fts_columns="speech")
        if wanted is not None and (condition := as_sql(wanted, self._table.schema)):
            query = query.where(condition, prefilter=True)
        found: list[Row] = query.select([*CLIP_COLUMNS, "lines", "_score"]).limit(k).to_list()
        return sorted(found, key=lambda row: (-float(str(row["_score"])), str(row["clip_id"])))

    def _is_anything_said(self) -> bool:
        version = self._newest.of(self._table)
        if self._said is None or self._said[0] != version:
            found = self._table.search().where("speech IS NOT NULL").select(["clip_id"]).limit(1).to_list()
            self._said = version, bool(found)
        return self._said[1]

    def rows(self, clip_ids: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """Return some columns of some clips, in the order asked for."""
        condition = among("clip_id", clip_ids)
        found = (
            self._table.search().where(condition).select(sorted({"clip_id", *columns})).limit(len(clip_ids)).to_list()
        )
        by_id: dict[str, Row] = {row["clip_id"]: row for row in found}
        for clip_id in clip_ids:
            if clip_id not in by_id:
                raise KeyError(f"there is no clip {clip_id!r}")
        return [by_id[clip_id] for clip_id in clip_ids]

    def rows_of_videos(self, videos: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of some videos, or of all, without what is said and shown; absent videos are passed over."""
        wanted = [name for name in self._table.schema.names if name not in ("lines", "speech", "thumbnail")]
        asked = self._table.search().select(wanted)
        return (asked if videos is None else asked.where(among("video", videos))).to_arrow()

    def mean_D(self) -> Embeddings:
        """Return the mean of all embeddings `[D]`; zeros where there are none, or where files must first be derived."""
        version, view = self._newest.of(self._table), self._view()
        if self._mean is None or self._mean[0] != version:
            self._mean = version, np.zeros(self.dim, np.float32) if view is None else view.mean_D(self.dim)
        return self._mean[1]

    def _view(self) -> View | None:
        version = self._newest.of(self._table)
        return self._derived.view(version, self._at(version))

    def _at(self, version: int) -> Version:
        return Version(lambda: connect(self.location or self.folder).open_table(_NAME), version, self.dim)

    @cached_property
    def _table(self) -> "lancedb.table.Table":
        try:
            return connect(self.location or self.folder).open_table(_NAME)
        except (ValueError, FileNotFoundError) as error:
            place = self.location or self.folder
            raise DataError(
                f"{place} has lost its table {_NAME}.lance; delete the index and make it anew"
                if self.location is None
                else f"{place} has no table {_NAME}: {first_line(error)}"
            ) from None


def _add_trees(table: "lancedb.table.Table") -> None:
    from lancedb.index import BTree

    known = {column for one in table.list_indices() for column in one.columns}
    for column in _LOOKED_UP:
        if column not in known:
            table.create_index(column, config=BTree())
