"""The few layers both towers are made of, as the reference implementation of C2KD computes them.

Shapes: `B` batch, `T` tokens, `D` dims, `H` heads. Every LayerNorm has eps 1e-6, GELU is the exact one, every linear
map has a bias.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYER_NORM_EPS = 1e-6
_INITIAL_SPREAD = 0.02


class GatedLinear(nn.Module):
    """Map to `out_dim` numbers and let each be damped by all: y = W x + b, then y · sigmoid(V y + c).

    The gated embedding unit of Miech et al., "Learning a Text-Video Embedding from Incomplete and Heterogeneous Data"
    (2018), without its final normalisation.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim)
        self.gate = nn.Linear(out_dim, out_dim)

    def forward(self, rows: Tensor) -> Tensor:
        """Map `[..., in_dim]` to `[..., out_dim]`."""
        mapped: Tensor = self.linear(rows)
        return mapped * torch.sigmoid(self.gate(mapped))


class PreNormBlock(nn.Module):
    """A transformer block: x + attention(norm(x)), then x + MLP(norm(x)). No dropout, no norm at the end."""

    def __init__(self, width: int, *, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp_in = nn.Linear(width, int(width * mlp_ratio))
        self.mlp_out = nn.Linear(int(width * mlp_ratio), width)
        for linear in (self.query_key_value, self.attention_out, self.mlp_in, self.mlp_out):
            nn.init.trunc_normal_(linear.weight, std=_INITIAL_SPREAD)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Transform `[B, T, D]`; where `mask_BT` is false nobody looks."""
        tokens_BTD = tokens_BTD + self._attend(self.attention_norm(tokens_BTD), mask_BT)
        inner = functional.gelu(self.mlp_in(self.mlp_norm(tokens_BTD)))
        mapped: Tensor = self.mlp_out(inner)
        return tokens_BTD + mapped

    def _attend(self, tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        batch, num_tokens, width = tokens_BTD.shape
        shape = (batch, num_tokens, 3, self.num_heads, width // self.num_heads)
        query_BHTD, key_BHTD, value_BHTD = self.query_key_value(tokens_BTD).view(shape).permute(2, 0, 3, 1, 4)
        mixed_BHTD = functional.scaled_dot_product_attention(
            query_BHTD, key_BHTD, value_BHTD, attn_mask=mask_BT[:, None, None, :]
        )
        mapped: Tensor = self.attention_out(mixed_BHTD.transpose(1, 2).reshape(batch, num_tokens, width))
        return mapped


def learnt_vectors(*shape: int) -> nn.Parameter:
    """Return a parameter of small random numbers: a class token, positions."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=_INITIAL_SPREAD))


def masked_mean(tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Average `[B, T, D]` over the tokens where the mask is true; a row without any gives zeros."""
    weights_BT1 = mask_BT.to(tokens_BTD.dtype).unsqueeze(-1)
    return (tokens_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1.0)
