"""The table of an index: a row a clip, with its embedding. The only file of this room that knows LanceDB.

Every change is one commit, so whoever reads meanwhile, in this process or another, sees all of it or nothing. Exact
search wants all embeddings as one matrix, which is read once and kept until somebody commits.

Shapes: N clips, D width of an embedding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError
from polyreel.similarity import Embeddings

if TYPE_CHECKING:
    import lancedb

_NAME = "clips"


@dataclass(frozen=True, kw_only=True)
class IndexedClip:
    """What an index keeps of a clip beside its embedding.

    Attributes:
        clip_id: unique in the index.
        video: path of the file, relative to the library's folder.
        start_seconds: first moment of the clip.
        end_seconds: first moment after it.
        file_stamp: changes when the file does.
    """

    clip_id: str
    video: str
    start_seconds: float
    end_seconds: float
    file_stamp: str


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
        _connect(folder).create_table(_NAME, schema=_schema(dim))
        return cls(folder, dim)

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path."""
        rows = self._table.search().select(["video", "file_stamp"]).to_arrow()
        return dict(zip(rows["video"].to_pylist(), rows["file_stamp"].to_pylist(), strict=True))

    def put(self, clips: Sequence[IndexedClip], embeddings_ND: Embeddings) -> None:
        """Put in all clips of some videos, in place of what was there of these videos, in one commit.

        Raises:
            ValueError: the embeddings are not one finite row of the table's width a clip.
        """
        if embeddings_ND.shape != (len(clips), self.dim) or not np.isfinite(embeddings_ND).all():
            raise ValueError(
                f"{len(clips)} clips have embeddings of shape {list(embeddings_ND.shape)}; expected finite numbers "
                f"[{len(clips)}, {self.dim}]"
            )
        flat = pa.array(np.ascontiguousarray(embeddings_ND, np.float32).ravel())
        rows = pa.Table.from_pylist([asdict(clip) for clip in clips])
        rows = rows.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, self.dim))
        merge = self._table.merge_insert("clip_id").when_matched_update_all().when_not_matched_insert_all()
        of_these_videos = _among({clip.video for clip in clips})
        merge.when_not_matched_by_source_delete(of_these_videos).execute(rows.cast(_schema(self.dim)))

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos, in one commit; videos that are not there are passed over."""
        if videos:
            self._table.delete(_among(videos))

    def compact(self) -> None:
        """Join the small files that many commits leave; readers are not disturbed."""
        self._table.optimize()

    def matrix(self) -> tuple[pa.Table, Embeddings]:
        """Return all clips in the order of their ids, and their embeddings `[N, D]`."""
        version = self._table.version
        if self._cache is None or self._cache[0] != version:
            rows = self._table.to_arrow().sort_by("clip_id")
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

    def rows(self, videos: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of some videos, or of all, with their embeddings; videos that are not there are passed over."""
        asked = self._table.search()
        return (asked if videos is None else asked.where(_among(videos))).to_arrow()

    def row_of(self, clip_id: str) -> int:
        """Return the row of a clip in `matrix`.

        Raises:
            KeyError: there is no such clip.
        """
        row = pc.index(self.matrix()[0]["clip_id"], clip_id).as_py()
        if row < 0:
            raise KeyError(f"there is no clip {clip_id!r}")
        return int(row)

    @cached_property
    def _table(self) -> "lancedb.table.Table":
        if not (self.folder / f"{_NAME}.lance").is_dir():
            raise DataError(f"{self.folder} has lost its table {_NAME}.lance; delete the index and make it anew")
        return _connect(self.folder).open_table(_NAME)


def _schema(dim: int) -> pa.Schema:
    texts = [pa.field(name, pa.string(), nullable=False) for name in ("clip_id", "video")]
    times = [pa.field(name, pa.float64(), nullable=False) for name in ("start_seconds", "end_seconds")]
    stamp = pa.field("file_stamp", pa.string(), nullable=False)
    return pa.schema([*texts, *times, stamp, pa.field("vector", pa.list_(pa.float32(), dim), nullable=False)])


def _connect(folder: Path) -> "lancedb.DBConnection":
    import lancedb

    # Zero: every read looks for newer commits first; without it, an open reader would never see another's writes.
    return lancedb.connect(folder, read_consistency_interval=timedelta(0))


def _among(videos: Iterable[str]) -> str:
    quoted = ", ".join("'" + video.replace("'", "''") + "'" for video in sorted(videos))
    return f"video IN ({quoted})"
