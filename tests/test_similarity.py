import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polyreel.similarity import similarities, top_k, unit


def test_rows_are_scaled_to_length_one_and_zeros_stay() -> None:
    rows = unit(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    assert rows.dtype == np.float32


def test_similarities_are_cosines_texts_by_clips() -> None:
    texts = unit(np.array([[1.0, 0.0], [1.0, 1.0]]))
    clips = unit(np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(similarities(texts, clips), [[1, 0, -1], [half, half, -half]], atol=1e-6)


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="texts have width 2 and clips 3; embed both with one model"):
        similarities(np.ones((1, 2)), np.ones((4, 3)))


def test_best_come_first_and_ties_keep_their_order() -> None:
    positions, scores = top_k(np.array([[0.1, 0.9, 0.5, 0.9, 0.5, 0.9]]), 4)
    assert positions.tolist() == [[1, 3, 5, 2]]
    assert scores.tolist() == [[0.9, 0.9, 0.9, 0.5]]


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25])
    ),
    st.integers(1, 12),
)
def test_top_k_equals_sorting_everything(sims: np.ndarray, k: int) -> None:
    positions, scores = top_k(sims, k)
    for row, found in zip(sims, positions, strict=True):
        assert found.tolist() == sorted(range(len(row)), key=lambda clip: (-row[clip], clip))[:k]
    np.testing.assert_array_equal(scores, np.take_along_axis(sims, positions, axis=1))


def test_no_clips_give_no_answers() -> None:
    positions, scores = top_k(np.empty((2, 0), np.float32), 3)
    assert positions.shape == scores.shape == (2, 0)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="a similarity is NaN"):
        top_k(np.array([[0.1, np.nan]]), 1)


def test_k_must_be_positive() -> None:
    with pytest.raises(ValueError, match="k is 0; expected 1 or more"):
        top_k(np.ones((1, 2)), 0)
