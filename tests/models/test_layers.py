import math

import pytest
import torch

from polyreel.models.layers import GatedLinear, PreNormBlock, masked_mean


def test_gated_linear_by_hand():
    layer = GatedLinear(2, 1)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.linear.bias.fill_(0.5)
        layer.gate.weight.fill_(2.0)
        layer.gate.bias.fill_(-1.0)
    mapped = 1.0 * 3 + 2.0 * 4 + 0.5
    expected = mapped / (1 + math.exp(-(2.0 * mapped - 1.0)))
    assert layer(torch.tensor([[3.0, 4.0]])).item() == pytest.approx(expected)


def test_masked_mean_equals_the_slow_loop():
    torch.manual_seed(0)
    tokens = torch.randn(4, 5, 3)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]]).bool()
    expected = torch.zeros(4, 3)
    for row in range(4):
        chosen = [tokens[row, place] for place in range(5) if mask[row, place]]
        if chosen:
            expected[row] = sum(chosen) / len(chosen)
    torch.testing.assert_close(masked_mean(tokens, mask), expected)


def attend_slowly(block, tokens, mask):
    """Attention written from the formula, one text, one head and one token at a time."""
    width = tokens.shape[-1]
    per_head = width // block.num_heads
    mixed = torch.zeros_like(tokens)
    for row in range(len(tokens)):
        query, key, value = block.query_key_value(tokens[row]).split(width, dim=-1)
        for head in range(block.num_heads):
            columns = slice(head * per_head, (head + 1) * per_head)
            for place in range(tokens.shape[1]):
                logits = key[:, columns] @ query[place, columns] / math.sqrt(per_head)
                weights = logits.masked_fill(~mask[row], -math.inf).softmax(0)
                mixed[row, place, columns] = weights @ value[:, columns]
    return block.attention_out(mixed)


def test_a_block_equals_the_slow_loop():
    torch.manual_seed(0)
    block = PreNormBlock(8, num_heads=2, mlp_ratio=1.5)
    tokens, mask = torch.randn(2, 4, 8), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    with torch.no_grad():
        expected = tokens + attend_slowly(block, block.attention_norm(tokens), mask)
        inner = block.mlp_in(block.mlp_norm(expected))
        gelu = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        expected = expected + block.mlp_out(gelu)
        torch.testing.assert_close(block(tokens, mask), expected)
    assert block.mlp_in.out_features == 12


def test_nobody_looks_at_a_masked_token():
    torch.manual_seed(0)
    block = PreNormBlock(8, num_heads=2, mlp_ratio=1.0)
    tokens, mask = torch.randn(1, 3, 8), torch.tensor([[True, True, False]])
    changed = tokens.clone()
    changed[0, 2] = 99.0
    torch.testing.assert_close(block(tokens, mask)[:, :2], block(changed, mask)[:, :2])
