import numpy as np
import pytest

from polyreel.models.tokens import Tokens


@pytest.fixture
def tokens():
    return Tokens.from_lists([[5, 6, 7], [8], [9, 10]])


def lists(tokens):
    return [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets, tokens.offsets[1:], strict=False)]


def test_by_hand(tokens):
    assert tokens.ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert tokens.offsets.tolist() == [0, 3, 4, 6]
    assert (tokens.ids.dtype, tokens.offsets.dtype) == (np.int32, np.int64)
    assert tokens.lengths.tolist() == [3, 1, 2]
    assert len(tokens) == 3


def test_select_gathers_in_any_order_with_repeats(tokens):
    assert lists(tokens.select([2, 0, 2])) == [[9, 10], [5, 6, 7], [9, 10]]
    assert lists(tokens.select(np.array([1]))) == [[8]]
    assert len(tokens.select([])) == 0


def test_truncated_keeps_the_beginning(tokens):
    assert lists(tokens.truncated(2)) == [[5, 6], [8], [9, 10]]
    assert lists(tokens.truncated(9)) == lists(tokens)


def test_padded_by_hand(tokens):
    ids, mask = tokens.padded(pad_id=1)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1], [9, 10, 1]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]


def test_select_equals_the_slow_loop():
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 99, rng.integers(1, 12)).tolist() for _ in range(40)]
    rows = rng.integers(0, 40, 100)
    assert lists(Tokens.from_lists(texts).select(rows)) == [texts[row] for row in rows]


def test_no_texts():
    empty = Tokens.from_lists([])
    assert (len(empty), empty.ids.tolist(), empty.padded(0)[0].shape) == (0, [], (0, 0))


def test_offsets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"offsets of 3 tokens must be \[B \+ 1\] and go from 0 to 3"):
        Tokens(ids=np.zeros(3, np.int32), offsets=np.array([0, 2]))
