"""The table of an index: a row a clip, with its embedding. The only file of this room that knows LanceDB.

Every change is one commit, so whoever reads meanwhile, in this process or another, sees all of it or nothing. What is
said is found through the table's full-text index, whose tokenizer, ICU's, knows words where they are written without
spaces. Rows that no index covers yet are found all the same. Exact search wants all embeddings as one matrix, which is
read once and kept until somebody commits.

Shapes: N clips, D width of an embedding.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError
from polyreel.search.filter import COLUMN_PREFIX, Filter, Value, kind_of
from polyreel.search.rows import CLIP_COLUMNS, row_schema
from polyreel.similarity import Embeddings

if TYPE_CHECKING:
    import lancedb

_NAME = "clips"
_SQL_KINDS = {pa.string(): "string", pa.float64(): "double", pa.bool_(): "boolean"}
_IN_MEMORY = ("row_key", *CLIP_COLUMNS, "date_seconds", "video_seconds")


class ClipTable:
    """Rows of clips in a folder.

    Attributes:
        folder: where the table lies, as `clips.lance`.
        dim: width D of an embedding.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self._cache: tuple[int, pa.Table, Embeddings] | None = None
        self._mean: tuple[Embeddings, Embeddings] | None = None

    @classmethod
    def create(cls, folder: Path, dim: int) -> "ClipTable":
        """Make an empty table."""
        from lancedb.index import FTS

        table = _connect(folder).create_table(_NAME, schema=row_schema(dim))
        words = FTS(base_tokenizer="icu", stem=False, remove_stop_words=False, ascii_folding=True)
        table.create_index("speech", config=words)
        return cls(folder, dim)

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Tell whether a table lies in a folder."""
        return (folder / f"{_NAME}.lance").is_dir()

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete the table in a folder, if there is one."""
        shutil.rmtree(folder / f"{_NAME}.lance", ignore_errors=True)

    def __len__(self) -> int:
        return int(self._table.count_rows())

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
        merge = self._table.merge_insert("clip_id").when_matched_update_all().when_not_matched_insert_all()
        of_these_videos = _among("video", sorted({*rows["video"].to_pylist(), *dropping}))
        merge.when_not_matched_by_source_delete(of_these_videos).execute(pa.table(columns, schema=schema))

    def _widen(self, wanted: pa.Schema) -> None:
        known = self._table.schema
        for each in wanted:
            if each.name in known.names and known.field(each.name).type != each.type:
                name, kind = each.name.removeprefix(COLUMN_PREFIX), known.field(each.name).type
                raise DataError(f"the column {name!r} holds {kind} in {self.folder}, and now {each.type}; rename it")
        new = {each.name: f"CAST(NULL AS {_SQL_KINDS[each.type]})" for each in wanted if each.name not in known.names}
        if new:
            self._table.add_columns(new)

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos, in one commit; videos that are not there are passed over."""
        if videos:
            self._table.delete(_among("video", sorted(videos)))

    def compact(self) -> None:
        """Join the small files that many commits leave; readers are not disturbed."""
        self._table.optimize()

    def find_speech(self, text: str, k: int, wanted: Filter | None = None) -> list[dict[str, object]]:
        """Return rows of the clips in which words are said, best first, with `lines` and BM25's `_score`."""
        query = self._table.search(text, query_type="fts", fts_columns="speech")
        if condition := sql(wanted or Filter(), self._table.schema):
            query = query.where(condition, prefilter=True)
        found: list[dict[str, object]] = query.select([*CLIP_COLUMNS, "lines", "_score"]).limit(k).to_list()
        return sorted(found, key=lambda row: (-float(str(row["_score"])), str(row["clip_id"])))

    def row(self, clip_id: str, columns: Sequence[str]) -> Mapping[str, object]:
        """Return some columns of a clip.

        Raises:
            KeyError: there is no such clip.
        """
        found = self._table.search().where(_among("clip_id", [clip_id])).select(list(columns)).limit(1).to_list()
        if not found:
            raise KeyError(f"there is no clip {clip_id!r}")
        row: Mapping[str, object] = found[0]
        return row

    def rows(self, videos: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of some videos, or of all, without what is said and shown; absent videos are passed over."""
        wanted = [name for name in self._table.schema.names if name not in ("lines", "speech", "thumbnail")]
        asked = self._table.search().select(wanted)
        return (asked if videos is None else asked.where(_among("video", videos))).to_arrow()

    def matrix(self) -> tuple[pa.Table, Embeddings]:
        """Return all clips in the order of their ids, and their embeddings `[N, D]`."""
        version = self._table.version
        if self._cache is None or self._cache[0] != version:
            own = [name for name in self._table.schema.names if name.startswith(COLUMN_PREFIX)]
            wanted = [*_IN_MEMORY, "speech_langs", *own, "vector"]
            rows = self._table.search().select(wanted).to_arrow().sort_by("clip_id")
            numbers = rows["vector"].combine_chunks().flatten().to_numpy()
            self._cache = version, rows.drop_columns(["vector"]), numbers.reshape(-1, self.dim)
        return self._cache[1:]

    def mean_D(self) -> Embeddings:
        """Return the mean of all embeddings `[D]`; zeros where there are none."""
        embeddings_ND = self.matrix()[1]
        if self._mean is None or self._mean[0] is not embeddings_ND:
            mean_D = embeddings_ND.mean(axis=0) if len(embeddings_ND) else np.zeros(self.dim, np.float32)
            self._mean = embeddings_ND, mean_D
        return self._mean[1]

    @cached_property
    def _table(self) -> "lancedb.table.Table":
        if not self.is_at(self.folder):
            raise DataError(f"{self.folder} has lost its table {_NAME}.lance; delete the index and make it anew")
        return _connect(self.folder).open_table(_NAME)


def _connect(folder: Path) -> "lancedb.DBConnection":
    import lancedb

    # Zero: every read looks for newer commits first; without it, an open reader would never see another's writes.
    return lancedb.connect(folder, read_consistency_interval=timedelta(0))


def sql(wanted: Filter, schema: pa.Schema) -> str:
    """Spell a filter as a condition in SQL; empty for one that lets everything pass."""
    conditions: list[str] = []
    if wanted.folder:
        folder = wanted.folder
        conditions.append(f"(video = {_quoted(folder)} OR starts_with(video, {_quoted(folder + '/')}))")
    elif wanted.is_pattern:
        conditions.append(f"regexp_like(video, {_quoted(wanted.pattern)})")
    for name, (low, high, is_closed) in wanted.ranges.items():
        if name not in schema.names or not pa.types.is_floating(schema.field(name).type):
            return "false"
        conditions += [] if low is None else [f"`{name}` >= {float(low)!r}"]
        conditions += [] if high is None else [f"`{name}` {'<=' if is_closed else '<'} {float(high)!r}"]
    for name, values in wanted.choices.items():
        if name not in schema.names:
            return "false"
        conditions.append(_among(name, [value for value in values if kind_of(value) == schema.field(name).type]))
    if wanted.langs:
        conditions.append(f"array_has_any(speech_langs, [{', '.join(map(_quoted, wanted.langs))}])")
    return " AND ".join(conditions)


def _quoted(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(float(value))


def _among(name: str, values: Iterable[Value]) -> str:
    quoted = ", ".join(_quoted(value) for value in values)
    return f"`{name}` IN ({quoted})" if quoted else "false"
