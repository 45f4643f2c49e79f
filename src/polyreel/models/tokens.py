"""Tokenised texts as one ragged array: the numbers of all texts end to end, and where each text begins.

Captions are tokenised once and then drawn from in every step, so a batch must be cheap to gather, and a text must cost
no more than its own length. Padding happens inside the tower that needs it. Needs numpy alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """Token numbers of B texts.

    Attributes:
        ids: int32 `[N]`, the tokens of all texts, one after the other.
        offsets: int64 `[B + 1]`, rising from 0 to N; text b is `ids[offsets[b]:offsets[b + 1]]`.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or not len(self.offsets) or self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise ValueError(f"offsets of {len(self.ids)} tokens must be [B + 1] and go from 0 to {len(self.ids)}")

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]]) -> "Tokens":
        """Join one list of token numbers a text."""
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(text) for text in lists], out=offsets[1:])
        ids = np.fromiter((token for text in lists for token in text), np.int32, int(offsets[-1]))
        return cls(ids=ids, offsets=offsets)

    @classmethod
    def joined(cls, parts: Sequence["Tokens"]) -> "Tokens":
        """Put the texts of several one after the other."""
        lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
        return cls(ids=np.concatenate([part.ids[: part.offsets[-1]] for part in parts]), offsets=np.cumsum(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of tokens of each text, `[B]`."""
        return np.diff(self.offsets)

    def select(self, rows: npt.NDArray[np.integer] | Sequence[int]) -> "Tokens":
        """Gather texts by their positions, in the order given; a position may come twice."""
        rows = np.asarray(rows, np.int64)
        return self._gather(self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows])

    def truncated(self, max_tokens: int) -> "Tokens":
        """Keep the first `max_tokens` tokens of each text."""
        return self._gather(self.offsets[:-1], np.minimum(self.lengths, max_tokens))

    def padded(self, pad_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the tokens `[B, T]`, T the longest text's length, and a mask `[B, T]`, true where a token is."""
        mask = np.arange(self.lengths.max(initial=0)) < self.lengths[:, None]
        ids = np.full(mask.shape, pad_id, np.int64)
        ids[mask] = self.ids
        return ids, mask

    def _gather(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> "Tokens":
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Tokens(ids=self.ids[places], offsets=offsets)
