"""Embedding clips and captions by their numbers, all at once or a chunk at a time.

A chunk's activations are forgotten after its embeddings are made, and made again, with the same random numbers, when
its gradient is due. So a batch needs the activations of one chunk alone, however large it is: gradient caching (Gao et
al. 2021, arXiv 2101.06983), exact. This module is what several processes share.

Shapes: `B` clips, `N` captions, `D` dims.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polyreel.data.mapped import Ints
from polyreel.models.devices import placed
from polyreel.models.retriever import Retriever
from polyreel.models.tokens import Tokens
from polyreel.training.pairs import WithPairs


class Embedder(nn.Module):
    """Embed a batch.

    Args:
        model: the student.
        tokens: of all captions, and of sentence pairs behind them.
        frames: of all clips, and their mask, as the video tower prepares them.
        sees_clips: whether the video tower learns; otherwise no gradient reaches it.
        chunk: clips or captions embedded at a time; None: all.
        is_half: whether the towers' matrix products are in bfloat16; embeddings are float32 in any case.
    """

    def __init__(
        self,
        model: Retriever,
        tokens: Tokens | WithPairs,
        frames: tuple[Tensor, Tensor],
        *,
        sees_clips: bool = True,
        chunk: int | None = None,
        is_half: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._tokens, self._frames = tokens, [part.cpu().numpy() for part in frames]
        self._sees_clips, self._chunk, self._is_half = sees_clips, chunk, is_half

    def forward(self, clips_B: Ints, rows_N: Ints) -> tuple[Tensor, Tensor]:
        """Embed clips `[B, D]` and captions `[N, D]`, given as positions: rows of unit length."""
        device = self.model.device.type
        with torch.autocast(device, torch.bfloat16) if self._is_half else nullcontext():
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._sees_clips):
                clips_BD = self._in_chunks(self._embed_clips, clips_B)
            return clips_BD, self._in_chunks(self._embed_texts, rows_N)

    def _embed_clips(self, clips_B: Ints) -> Tensor:
        video_BTD, mask_BT = (placed(part[clips_B], self.model.device) for part in self._frames)
        return self.model.embed_clips(video_BTD, mask_BT)

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
