"""What the rows and columns of similarities are called, and which column is right for each row; checked once.

Shapes: `Q` texts (queries), `C` clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError

_BLOCK_CELLS = 2**22
Labels: TypeAlias = Sequence[str] | npt.NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Names:
    """Names of texts and clips.

    Attributes:
        own_Q: the right column of each row.
        query_ids: names of the rows, `[Q]`.
        clip_ids: names of the columns, `[C]`.
        sources: the source video of each column, `[C]`.
    """

    own_Q: npt.NDArray[np.int64]
    query_ids: npt.NDArray[np.str_]
    clip_ids: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        clip_of_query: npt.ArrayLike,
        query_ids: Labels | None = None,
        clip_ids: Labels | None = None,
        sources: Labels | None = None,
    ) -> Self:
        """Name what has no name by its number; a clip without a source is its own.

        Args:
            shape: number of texts and of clips.
            clip_of_query: the right column of each row, `[Q]`.
            query_ids: names of the rows.
            clip_ids: names of the columns.
            sources: the source video of each column.

        Raises:
            ValueError: the arguments' shapes do not fit.
        """
        num_queries, num_clips = shape
        own_Q = np.asarray(clip_of_query, np.int64)
        query_names = np.array(range(num_queries) if query_ids is None else query_ids, np.str_)
        clip_names = np.array(range(num_clips) if clip_ids is None else clip_ids, np.str_)
        source_names = clip_names if sources is None else np.array(sources, np.str_)
        found = (own_Q.shape, query_names.shape, clip_names.shape, source_names.shape)
        if found != ((num_queries,), (num_queries,), (num_clips,), (num_clips,)):
            raise ValueError(
                f"similarities are [{num_queries}, {num_clips}], texts by clips, but there are {len(own_Q)} right "
                f"columns, {len(query_names)} query ids, {len(clip_names)} clip ids and {len(source_names)} sources"
            )
        if num_queries and not 0 <= own_Q.min() <= own_Q.max() < num_clips:
            raise ValueError(f"right columns run from {own_Q.min()} to {own_Q.max()}; expected 0 to {num_clips - 1}")
        return cls(own_Q=own_Q, query_ids=query_names, clip_ids=clip_names, sources=source_names)

    def refuse_unfinite(self, sims_QC: npt.NDArray[np.floating]) -> None:
        """Refuse a matrix of similarities that holds NaN or infinity.

        Raises:
            DataError: naming the first row that does.
        """
        for rows, block in blocks(sims_QC):
            bad = np.argwhere(~np.isfinite(block))
            if len(bad):
                row, column = rows.start + bad[0][0], bad[0][1]
                raise DataError(
                    f"similarity row {row} (query {str(self.query_ids[row])!r}) is {sims_QC[row, column]} at clip "
                    f"{str(self.clip_ids[column])!r}; expected finite numbers; the model or its features may hold NaN"
                )


def blocks(sims_QC: npt.NDArray[np.floating]) -> Iterator[tuple[slice, npt.NDArray[np.floating]]]:
    """Yield a matrix in blocks of rows small enough to make temporary copies of."""
    step = max(1, _BLOCK_CELLS // max(1, sims_QC.shape[1]))
    for start in range(0, len(sims_QC), step):
        yield slice(start, start + step), sims_QC[start : start + step]
