"""The terms between languages against loops written from their formulas, by hand, and by their properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from polyreel.training.crosslingual import imitation, one_to_k, text_contrast, with_clips
from polyreel.training.objectives import contrastive


def unit(seed, rows, width=5):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64), dim=-1)


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def share(scores, chosen, temperature):
    exponentials = [math.exp(score / temperature) for score in scores]
    return exponentials[chosen] / sum(exponentials)


def slow_text_contrast(texts, columns, others, other_columns, temperature):
    pairs = [(i, other_columns.index(column)) for i, column in enumerate(columns) if column in other_columns]
    if not pairs:
        return 0.0
    forth = [share([dot(texts[i], other) for other in others], j, temperature) for i, j in pairs]
    back = [
        share([dot(texts[row], others[j]) for row, _ in pairs], place, temperature)
        for place, (_, j) in enumerate(pairs)
    ]
    return -sum(map(math.log, forth + back)) / len(pairs)


def slow_one_to_k(sims, columns, rows, temperature):
    total = 0.0
    for i in rows:
        total -= math.log(share(sims[i], columns[i], temperature))
        total -= math.log(share([row[columns[i]] for row in sims], i, temperature))
    return total / len(rows)


@given(seed=st.integers(0, 10**6), clips=st.integers(1, 6), data=st.data())
@settings(max_examples=30, deadline=None)
def test_all_terms_equal_the_slow_loops_with_languages_missing(seed, clips, data):
    generator = np.random.default_rng(seed)
    columns, other_columns = (
        generator.permutation(clips)[: data.draw(st.integers(1, clips))].tolist() for _ in range(2)
    )
    texts, others, seen = unit(seed, len(columns)), unit(seed + 1, len(other_columns)), unit(seed + 2, clips)
    found = text_contrast(texts, torch.tensor(columns), others, torch.tensor(other_columns), 0.2)
    expected = slow_text_contrast(texts.tolist(), columns, others.tolist(), other_columns, 0.2)
    assert found.item() == pytest.approx(expected, rel=1e-9)
    sims, both = torch.cat([texts, others]) @ seen.T, torch.tensor(columns + other_columns)
    rows = list(range(len(columns), len(both)))
    found = one_to_k(sims, both, torch.tensor(rows), 0.2)
    assert found.item() == pytest.approx(slow_one_to_k(sims.tolist(), both.tolist(), rows, 0.2), rel=1e-9)
    joined = with_clips(texts, torch.tensor(columns), seen)
    for row, text, column in zip(joined.tolist(), texts.tolist(), columns, strict=True):
        summed = [a + b for a, b in zip(text, seen[column].tolist(), strict=True)]
        length = math.sqrt(dot(summed, summed))
        assert row == pytest.approx([one / length for one in summed])


def test_the_contrast_of_texts_is_the_same_seen_from_either_language_when_nothing_is_missing():
    texts, others, order = unit(1, 4), unit(2, 4), torch.tensor([2, 0, 3, 1])
    own = torch.arange(4)
    torch.testing.assert_close(
        text_contrast(texts, own, others[order], order, 0.1), text_contrast(others[order], order, texts, own, 0.1)
    )


def test_one_to_k_of_one_language_is_the_contrastive_term():
    sims, columns = unit(1, 3) @ unit(2, 5).T, torch.tensor([4, 0, 2])
    torch.testing.assert_close(one_to_k(sims, columns, torch.arange(3), 0.1), contrastive(sims, columns, 0.1))


def test_in_one_to_k_a_clips_texts_share_one_mass():
    sims, columns = torch.full((2, 1), 0.3), torch.zeros(2, dtype=torch.long)
    assert one_to_k(sims, columns, torch.arange(2), 0.1).item() == pytest.approx(math.log(2))


def test_imitation_is_the_squared_distance_and_moves_the_student_alone():
    texts, english = unit(1, 3).requires_grad_(), unit(2, 3).requires_grad_()
    found = imitation(texts, english)
    expected = sum(2 - 2 * dot(text, target) for text, target in zip(texts.tolist(), english.tolist(), strict=True)) / 3
    assert found.item() == pytest.approx(expected)
    found.backward()
    assert english.grad is None and texts.grad.abs().sum() > 0
    assert imitation(texts[:0], english[:0]) == 0
