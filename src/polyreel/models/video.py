"""The video tower: features of a clip's frames in, one embedding out.

Three ways of pooling the frames. `transformer` is the paper's: gated projection of each frame, LayerNorm, a learnt
class token in front, pre-norm blocks, and the class token's end state. Without positions it cannot tell the order of
the frames; that is the reference's behaviour, and a setting. `mean` averages the frames first: it costs almost nothing.
`given` is for rows that are embeddings already, of a dual encoder's image tower: their mean is the clip's embedding.

Shapes: `B` batch, `C` clips, `T` frames, `D` dims.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from polyreel.errors import RecipeError
from polyreel.models.frames import padded_frames
from polyreel.models.layers import LAYER_NORM_EPS, GatedLinear, PreNormBlock, learnt_vectors, masked_mean
from polyreel.models.settings import VideoSettings


class VideoTower(nn.Module):
    """Encode clips, given as rows of features by frame.

    Args:
        settings: how frames are chosen and pooled.
        video_dim: width of a row of features.
        embed_dim: width of the embedding.

    Raises:
        RecipeError: rows are to be embeddings already, and their width is another.
    """

    def __init__(self, settings: VideoSettings, *, video_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.settings = settings
        self.pool: nn.Module = FrameAverage()
        self.dropout: nn.Module = nn.Identity()
        self.project: nn.Module = nn.Identity()
        if settings.pooling != "given":
            is_mean = settings.pooling == "mean"
            width = video_dim if is_mean else settings.width
            self.pool = FrameMean(width) if is_mean else FrameTransformer(settings, video_dim=video_dim)
            self.dropout = nn.Dropout(settings.dropout)
            self.project = GatedLinear(width, embed_dim)
        elif video_dim != embed_dim:
            raise RecipeError(
                f'video.pooling is "given", so rows of features are embeddings, but they have width {video_dim} '
                f"and embed_dim is {embed_dim}; set embed_dim = {video_dim}, or pool otherwise"
            )

    def forward(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Encode clips.

        Args:
            video_BTD: frames of unit length, zero where there is none, as `frames` gives them.
            mask_BT: true where there is a frame.

        Returns:
            Embeddings `[B, embed_dim]`, not normalised.
        """
        embeddings: Tensor = self.project(self.dropout(self.pool(video_BTD, mask_BT)))
        return embeddings

    def frames(self, features: Sequence[npt.NDArray[np.floating]]) -> tuple[Tensor, Tensor]:
        """Choose each clip's frames, scale them to unit length, and pad to the longest clip.

        Args:
            features: one matrix `[T, D]` a clip.

        Returns:
            Frames `[C, T, D]` float32, zero where there is none, and the mask `[C, T]`, true where there is one.
        """
        video_CTD, mask_CT = padded_frames(features, self.settings)
        return functional.normalize(torch.from_numpy(video_CTD), dim=-1), torch.from_numpy(mask_CT)


class FrameAverage(nn.Module):
    """The mean of the frames, which are of unit length: how CLIP4Clip (Luo et al. 2021) makes a clip of frames."""

    def forward(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Pool `[B, T, D]` to `[B, D]`."""
        return masked_mean(video_BTD, mask_BT)


class FrameMean(nn.Module):
    """LayerNorm of the mean of the frames; the norm undoes the shrinking that averaging unit vectors brings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)

    def forward(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Pool `[B, T, D]` to `[B, D]`."""
        pooled: Tensor = self.norm(masked_mean(video_BTD, mask_BT))
        return pooled


class FrameTransformer(nn.Module):
    """The paper's pooling: gated projection, LayerNorm, class token, pre-norm blocks; no norm at the end."""

    def __init__(self, settings: VideoSettings, *, video_dim: int) -> None:
        super().__init__()
        width = settings.width
        self.token_project = GatedLinear(video_dim, width)
        self.token_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.positions = learnt_vectors(settings.max_frames, width) if settings.has_positions else None
        self.class_token = learnt_vectors(width)
        self.blocks = nn.ModuleList(
            PreNormBlock(width, num_heads=settings.num_heads, mlp_ratio=settings.mlp_ratio)
            for _ in range(settings.num_layers)
        )

    def forward(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Pool `[B, T, D]` to `[B, width]`; the class token is never masked."""
        tokens_BTD = self.token_norm(self.token_project(video_BTD))
        if self.positions is not None:
            tokens_BTD = tokens_BTD + self.positions[: tokens_BTD.shape[1]]
        class_B1D = self.class_token.expand(len(tokens_BTD), 1, -1)
        tokens_BTD = torch.cat([class_B1D, tokens_BTD], dim=1)
        mask_BT = functional.pad(mask_BT.bool(), (1, 0), value=True)
        for block in self.blocks:
            tokens_BTD = block(tokens_BTD, mask_BT)
        pooled_BD: Tensor = tokens_BTD[:, 0]
        return pooled_BD
