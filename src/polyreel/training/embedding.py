"""Embedding clips and captions by their numbers, all at once or a chunk at a time.

A chunk's activations are forgotten after its embeddings are made, and made again, with the same random numbers, when
its gradient is due. So a batch needs the activations of one chunk alone, however large it is: gradient caching (Gao et
al. 2021, arXiv 2101.06983), exact. This module is what several processes share.

Shapes: `B` clips, `N` captions, `D` dims.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polyreel.models.retriever import Retriever
from polyreel.models.tokens import Tokens
from polyreel.training.batches import Ints


class Embedder(nn.Module):
    """Embed a batch.

    Args:
        model: the student.
        tokens: of all captions.
        frames: of all clips, and their mask, as the video tower prepares them.
        sees_clips: whether the video tower learns; otherwise no gradient reaches it.
        chunk: clips or captions embedded at a time; None: all.
    """

    def __init__(
        self,
        model: Retriever,
        tokens: Tokens,
        frames: tuple[Tensor, Tensor],
        *,
        sees_clips: bool = True,
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._tokens, (self._video_CTD, self._mask_CT) = tokens, frames
        self._sees_clips, self._chunk = sees_clips, chunk

    def forward(self, clips_B: Ints, rows_N: Ints) -> tuple[Tensor, Tensor]:
        """Embed clips `[B, D]` and captions `[N, D]`, given as positions: rows of unit length."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._sees_clips):
            clips_BD = self._in_chunks(self._embed_clips, clips_B)
        return clips_BD, self._in_chunks(self._embed_texts, rows_N)

    def _embed_clips(self, clips_B: Ints) -> Tensor:
        device = self.model.device
        clips = torch.from_numpy(clips_B).to(self._video_CTD.device)
        return self.model.embed_clips(self._video_CTD[clips].to(device), self._mask_CT[clips].to(device))

    def _embed_texts(self, rows_N: Ints) -> Tensor:
        return self.model.embed_texts(self._tokens.select(rows_N))

    def _in_chunks(self, embed: Callable[[Ints], Tensor], rows: Ints) -> Tensor:
        if not len(rows):
            return torch.zeros(0, self.model.settings.embed_dim, device=self.model.device)
        if self._chunk is None or len(rows) <= self._chunk:
            return embed(rows)
        chunks = [rows[first : first + self._chunk] for first in range(0, len(rows), self._chunk)]
        if not torch.is_grad_enabled():
            return torch.cat([embed(chunk) for chunk in chunks])
        return torch.cat([checkpoint(embed, chunk, use_reentrant=False) for chunk in chunks])
