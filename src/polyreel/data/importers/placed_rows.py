"""Rows on their way from source tables into a dataset, so that a fault found late still names file and line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.data.importers.source_table import SourceTable


@dataclass(frozen=True, kw_only=True)
class PlacedRows:
    """Rows on their way into a dataset, possibly from several files, and where each came from.

    Attributes:
        table: the rows.
        sources: the tables they were made of.
        source_of: which of the sources each row was made of, `[N]`.
        row_in_source: which of its rows, `[N]`.
    """

    table: pa.Table
    sources: Sequence[SourceTable]
    source_of: npt.NDArray[np.int64]
    row_in_source: npt.NDArray[np.int64]

    def place(self, row: int) -> str:
        """Say where a row came from, for messages."""
        return self.sources[int(self.source_of[row])].place(int(self.row_in_source[row]))


def join_rows(parts: Sequence[tuple[SourceTable, pa.Table, npt.NDArray[np.int64]]]) -> PlacedRows:
    """Put rows made of several source tables behind one another.

    Args:
        parts: each source, the rows made of it, and the source row that each was made of.
    """
    return PlacedRows(
        table=pa.concat_tables([table for _, table, _ in parts], promote_options="permissive"),
        sources=[source for source, _, _ in parts],
        source_of=np.repeat(np.arange(len(parts)), [table.num_rows for _, table, _ in parts]),
        row_in_source=np.concatenate([rows for _, _, rows in parts]),
    )
