"""Texts of any lengths in one pass of an encoder, without padding.

The tokens of all texts stand end to end as one long row, so every linear map, norm and activation sees real tokens
alone; only attention must know where a text ends. On a GPU in half precision that is one kernel for sequences of varied
lengths; everywhere else texts of equal length stand side by side and attend together, which needs no mask either. Both
give what padding gives, up to rounding.

Shapes: `B` texts, `N` tokens of all texts, `T` tokens of the longest, `H` heads, `D` dims.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from polyreel.models.devices import placed
from polyreel.models.tokens import Tokens

_NAME, _UNCOMPILED = "polyreel-packed", "polyreel-packed-uncompiled"
# Encoders whose positions are an argument and whose attention depends on nothing but queries, keys and values.
_PACKABLE = {"bert", "camembert", "distilbert", "roberta", "xlm-roberta"}
_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, kw_only=True)
class Packing:
    """B texts as one row of N tokens, shortest text first.

    Attributes:
        ids_1N: token numbers `[1, N]`.
        positions_1N: place of each token within its text, from 0.
        places_N: where each token stands among the B * T places of the padded texts, in the order they were given.
        mask_BT: true where a token is.
        starts: int32 `[B + 1]`, where each text begins in the row, and the end.
        groups: runs of equally long texts: how many, and how long.
    """

    ids_1N: Tensor
    positions_1N: Tensor
    places_N: Tensor
    mask_BT: Tensor
    starts: Tensor
    groups: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, tokens: Tokens, device: torch.device) -> "Packing":
        """Put texts end to end, on a device."""
        order_B = np.argsort(tokens.lengths, kind="stable")
        row = tokens.select(order_B)
        lengths, counts = np.unique(row.lengths, return_counts=True)
        positions_N = np.arange(len(row.ids)) - np.repeat(row.offsets[:-1], row.lengths)
        longest = int(lengths[-1])
        return cls(
            ids_1N=placed(row.ids.astype(np.int64)[None], device),
            positions_1N=placed(positions_N[None], device),
            places_N=placed(np.repeat(order_B, row.lengths) * longest + positions_N, device),
            mask_BT=placed(np.arange(longest) < tokens.lengths[:, None], device),
            starts=placed(row.offsets.astype(np.int32), device),
            groups=tuple(zip(counts.tolist(), lengths.tolist(), strict=True)),
        )

    def unpack(self, states_ND: Tensor) -> Tensor:
        """Return the states of the texts in the order they were given, `[B, T, D]`, zero where there is no token."""
        num_texts, longest = self.mask_BT.shape
        padded = states_ND.new_zeros(num_texts * longest, states_ND.shape[-1])
        return padded.index_copy(0, self.places_N, states_ND).view(num_texts, longest, -1)


def enable_packing(model: PreTrainedModel) -> bool:
    """Let an encoder take a `Packing`, and say whether it can; padded texts are computed as before."""
    if not _can_pack(model):
        return False
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)
    return True


def leave_attention_out(model: PreTrainedModel) -> None:
    """Keep packed attention out of what torch.compile compiles of an encoder: it is another with every batch's lengths.

    An encoder that cannot be packed stays as it is.
    """
    if _can_pack(model):
        AttentionInterface.register(_UNCOMPILED, torch.compiler.disable(_attend))  # type: ignore[no-untyped-call]
        AttentionMaskInterface.register(_UNCOMPILED, sdpa_mask)
        model.set_attn_implementation(_UNCOMPILED)


def _can_pack(model: PreTrainedModel) -> bool:
    return model.config.model_type in _PACKABLE and not getattr(model.config, "is_decoder", False)


def _attend(
    module: torch.nn.Module,
    query_1HND: Tensor,
    key_1HND: Tensor,
    value_1HND: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    packing: Packing | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend as transformers asks an implementation to: `[1, H, N, D]` thrice -> `[1, N, H, D]`."""
    if packing is None:
        answer: tuple[Tensor, None] = sdpa_attention_forward(
            module, query_1HND, key_1HND, value_1HND, attention_mask, dropout, scaling, is_causal
        )
        return answer
    query, key, value = (part.squeeze(0).transpose(0, 1) for part in (query_1HND, key_1HND, value_1HND))
    if query.is_cuda and query.dtype in _HALF and dropout == 0.0:
        starts, longest = packing.starts, packing.groups[-1][1]
        mixed_NHD = varlen_attn(query, key, value, starts, starts, longest, longest)  # scaled by 1 / sqrt(D)
        assert isinstance(mixed_NHD, Tensor)
        return mixed_NHD.unsqueeze(0), None
    return _attend_by_length(query, key, value, packing, dropout, scaling).unsqueeze(0), None


def _attend_by_length(
    query_NHD: Tensor, key_NHD: Tensor, value_NHD: Tensor, packing: Packing, dropout: float, scaling: float | None
) -> Tensor:
    sizes = [count * length for count, length in packing.groups]
    mixed = []
    # split, not slices: its gradient is one concatenation, that of each slice would be a whole row of zeros
    for (count, length), *parts in zip(
        packing.groups, *(torch.split(rows, sizes) for rows in (query_NHD, key_NHD, value_NHD)), strict=True
    ):
        query, key, value = (part.unflatten(0, (count, length)).transpose(1, 2) for part in parts)
        found = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scaling)
        mixed.append(found.transpose(1, 2).flatten(0, 1))
    return torch.cat(mixed)
