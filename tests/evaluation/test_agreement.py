"""Agreement of two languages over clips nobody has labelled, by hand and at its ends."""

import numpy as np
import pytest

from polyreel.evaluation.agreement import Agreement, agreement


def unit(seed, rows, width=6):
    drawn = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_one_language_agrees_wholly_with_itself_and_its_opposite_not_at_all():
    english, clips = unit(0, 20), unit(1, 50)
    same = agreement(english, english, clips)
    assert (same.top_1, same.top_5, same.rank_correlation, same.text_to_text) == (100, 100, pytest.approx(1), 100)
    opposite = agreement(english, -english, clips)
    assert (opposite.top_10, opposite.rank_correlation) == (0, pytest.approx(-1))
    assert (same.num_pairs, same.num_clips) == (20, 50)


def test_figures_by_hand():
    clips = np.eye(3, dtype=np.float32)
    english = np.array([[0.9, 0.5, 0.1], [0.1, 0.9, 0.5]], np.float32)
    texts = np.array([[0.4, 0.9, 0.1], [0.1, 0.9, 0.5]], np.float32)
    found = agreement(english, texts, clips)
    assert (found.top_1, found.top_5) == (50, 100)
    assert found.rank_correlation == pytest.approx((0.5 + 1) / 2)
    assert found.text_to_text == 50, "the first is nearer to the second's English: 0.90 against 0.82"


def test_figures_survive_json():
    found = agreement(unit(0, 9), unit(2, 9), unit(1, 12))
    again = Agreement.from_json(found.to_json())
    assert again.num_pairs == 9 and again.rank_correlation == pytest.approx(found.rank_correlation, abs=1e-4)
