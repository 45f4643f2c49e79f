"""One vector a piece: the table behind the mean of pieces.

A pretrained table may hold 100,000 pieces of which the training captions use a few thousand. Adam moves no row that no
gradient has reached, yet visits all of them in every step, which is then nearly all of a step's time. So the rows that
can learn are a parameter, and the others a buffer that keeps what it was given; AdamW's decay does not reach it either.

Shapes: `B` texts, `N` tokens, `P` pieces, `D` dims.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class PieceTable(nn.Module):
    """Look up vectors of pieces.

    Args:
        vectors_PD: what the vectors start from.
        learnt: the pieces whose vectors learn, each once; the others stay as they are. None is all of them.

    Attributes:
        sparse: whether gradients name the rows that were read alone, as in torch's Embedding.
    """

    kept: Tensor | None
    row_of_piece: Tensor | None

    def __init__(self, vectors_PD: Tensor, learnt: Tensor | None = None) -> None:
        super().__init__()
        self.sparse = False
        if learnt is None or len(learnt) == len(vectors_PD):
            self.learnt = nn.Parameter(vectors_PD)
            self.register_buffer("kept", None)
            self.register_buffer("row_of_piece", None)
            return
        is_learnt = torch.zeros(len(vectors_PD), dtype=torch.bool)
        is_learnt[learnt] = True
        self.learnt = nn.Parameter(vectors_PD[is_learnt])
        self.register_buffer("kept", vectors_PD[~is_learnt])
        learnt_first = torch.argsort(is_learnt, descending=True, stable=True)
        self.register_buffer("row_of_piece", torch.argsort(learnt_first))

    @classmethod
    def unfilled(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Make the table of a saved model, its numbers not yet filled in.

        Args:
            shapes: shape of each of its tensors, by name.
        """
        num_learnt, dim = shapes["learnt"]
        if "kept" not in shapes:
            return cls(torch.empty(num_learnt, dim))
        return cls(torch.empty(*shapes["row_of_piece"], dim), torch.arange(num_learnt))

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.learnt.shape[1]

    def forward(self, pieces: Tensor) -> Tensor:
        """Look up the vectors `[..., D]` of pieces `[...]`."""
        if self.kept is None or self.row_of_piece is None:
            return functional.embedding(pieces, self.learnt, sparse=self.sparse)
        rows, last = self.row_of_piece[pieces], len(self.learnt) - 1
        learnt = functional.embedding(rows.clamp(max=last), self.learnt, sparse=self.sparse)
        kept = functional.embedding((rows - last - 1).clamp(min=0), self.kept)
        return torch.where((rows <= last).unsqueeze(-1), learnt, kept)

    def mean(self, pieces_N: Tensor, offsets: Tensor) -> Tensor:
        """Average the vectors of each of B texts, `[B, D]`, without padding.

        Args:
            pieces_N: the pieces of all texts, one after the other.
            offsets: `[B + 1]`, where each text begins, and the end; of the same number type as the pieces.
        """
        table, sparse = self.learnt, self.sparse
        if self.kept is not None:
            table, sparse = self(pieces_N), False
            pieces_N = torch.arange(len(pieces_N), device=offsets.device, dtype=offsets.dtype)
        return functional.embedding_bag(pieces_N, table, offsets, mode="mean", include_last_offset=True, sparse=sparse)
