"""A LanceDB table at one of its commits, and changes that are tried again where others change it at the same moment."""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.search.filter import COLUMN_PREFIX
from polyreel.search.layers import Keys
from polyreel.search.rows import CLIP_COLUMNS
from polyreel.similarity import Embeddings

if TYPE_CHECKING:
    import lancedb

_IN_MEMORY = ("row_key", *CLIP_COLUMNS, "date_seconds", "video_seconds", "speech_langs")
_TRIES = 6
_KEYS_AT_ONCE = 1 << 16
_TICK_NANOSECONDS = 1_000_000_000  # of a file system's clock; most tick a hundred times a second or faster
_OF_OTHERS = timedelta(seconds=2)  # how long a reader of object storage may not notice a commit
Answer = TypeVar("Answer")


class Version:
    """The table as it was at one commit; opened when it is first read."""

    def __init__(self, open_table: Callable[[], "lancedb.table.Table"], version: int, dim: int) -> None:
        self._open, self._version, self._dim = open_table, version, dim

    @cached_property
    def _table(self) -> "lancedb.table.Table":
        table = self._open()
        table.checkout(self._version)
        return table

    def keys(self) -> tuple[Keys, npt.NDArray[np.uint64]]:
        """Return the key and the place of every row."""
        batches = self._table.search().select(["row_key"]).with_row_id(True).to_batches(batch_size=_KEYS_AT_ONCE)
        found = batches.read_all()
        return found["row_key"].to_numpy(), found["_rowid"].to_numpy()

    def read(self, places: npt.NDArray[np.uint64] | None) -> tuple[pa.Table, Embeddings]:
        """Return rows, in the order of their ids, and their embeddings; None: all rows."""
        own = [name for name in self._table.schema.names if name.startswith(COLUMN_PREFIX)]
        query = self._table.search() if places is None else self._table.take_row_ids(places.tolist())
        rows = query.select([*_IN_MEMORY, *own, "vector"]).to_arrow().sort_by("clip_id").combine_chunks()
        vectors = rows["vector"].combine_chunks()
        numbers = vectors.flatten().to_numpy() if len(rows) else np.empty(0, np.float32)
        return rows.drop_columns(["vector"]), numbers.reshape(-1, self._dim)


class HasVersion(Protocol):
    """A table of LanceDB, as far as its commits go."""

    @property
    def version(self) -> int:
        """Number of the newest commit."""


class NewestVersion:
    """The number of a table's newest commit.

    LanceDB takes half a millisecond to look for one. Every commit adds a file to a folder of the table, so while that
    folder is as it was, so is the number. A commit within one tick of the file system's clock after another would not
    show, so a folder that changed just now counts as changed.

    Args:
        folder: the table's, on a local disk; None: LanceDB is asked every time.
    """

    def __init__(self, folder: Path | None) -> None:
        self._commits = None if folder is None else folder / "_versions"
        self._known: tuple[int, int] | None = None  # when the folder changed last, and the number then

    def of(self, table: "HasVersion") -> int:
        """Return the number of the newest commit to the table."""
        if self._commits is None or not self._commits.is_dir():
            return int(table.version)
        changed, now = self._commits.stat().st_mtime_ns, time.time_ns()
        known = self._known
        if known is not None and known[0] == changed:
            return known[1]
        version = int(table.version)
        self._known = (changed, version) if now - changed > _TICK_NANOSECONDS else None
        return version


def connect(place: Path | str) -> "lancedb.DBConnection":
    """Connect to a folder, or to a URL on object storage."""
    import lancedb

    # Zero: every read looks for newer commits first; without it, an open reader would never see another's writes.
    return lancedb.connect(place, read_consistency_interval=_OF_OTHERS if isinstance(place, str) else timedelta(0))


def persistently(change: Callable[[], Answer]) -> Answer:
    """Carry out a change, again and again where others change the table at the same moment."""
    for attempt in range(_TRIES):
        try:
            return change()
        except (RuntimeError, OSError, ValueError) as error:
            if "conflict" not in str(error).lower() or attempt == _TRIES - 1:
                raise
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)
    raise AssertionError


def first_line(error: Exception) -> str:
    """Return what an error says, without the trace that LanceDB adds."""
    return str(error).splitlines()[0]
