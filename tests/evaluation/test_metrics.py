from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyreel.errors import DataError
from polyreel.evaluation import names
from polyreel.evaluation.estimates import rank_variance
from polyreel.evaluation.metrics import stack_seeds, t2v_ranks, v2t_ranks

# Three texts, two clips; texts 0 and 1 belong to clip 0, text 2 to clip 1.
SIMS = np.array([[0.9, 0.1], [0.2, 0.3], [0.5, 0.5]])
OWN = [0, 0, 1]


def counts(ranks):
    return [ranks.num_better.tolist(), ranks.num_tied_wrong.tolist(), ranks.num_tied_right.tolist()]


def test_texts_find_clips_by_hand():
    ranks = t2v_ranks(SIMS, OWN, query_ids=["a", "b", "c"], clip_ids=["x", "y"], sources=["s", "s"])
    assert counts(ranks) == [[0, 1, 0], [0, 0, 1], [1, 1, 1]]
    assert ranks.clip_ids.tolist() == ["x", "x", "y"] and ranks.sources.tolist() == ["s", "s", "s"]
    assert ranks.mean_rank().tolist() == [1, 2, 1.5]
    assert ranks.recall(1).tolist() == [1, 0, 0.5]
    assert ranks.recall(2).tolist() == [1, 1, 1]
    assert ranks.of_queries("R@1").tolist() == [100, 0, 50]
    assert ranks.of_queries("MnR").tolist() == [1, 2, 1.5]


def test_clips_find_the_best_of_their_texts_by_hand():
    ranks = v2t_ranks(SIMS, OWN)
    assert ranks.query_ids.tolist() == ["0", "1"]
    assert counts(ranks) == [[0, 0], [0, 0], [1, 1]]
    assert ranks.num_right.tolist() == [2, 1] and ranks.num_candidates == 3


def test_clips_without_a_text_are_candidates_but_ask_nothing():
    sims = np.array([[0.1, 0.9, 0.5]])
    assert counts(t2v_ranks(sims, [0])) == [[2], [0], [1]]
    assert v2t_ranks(sims, [0]).query_ids.tolist() == ["0"]


def test_several_own_texts_tied_with_a_wrong_one():
    sims = np.array([[0.5], [0.5], [0.5], [0.7]])
    sims = np.hstack([sims, np.zeros((4, 1))])
    ranks = v2t_ranks(sims, [0, 0, 1, 1])
    assert counts(ranks) == [[1, 0], [1, 2], [2, 2]]
    assert ranks.mean_rank()[0] == pytest.approx(1 + 4 / 3)
    assert ranks.recall(2)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("k", [1, 2, 5, 10, 11, 12, 30, 100])
def test_a_constant_matrix_scores_exactly_chance(k):
    sims, own = np.full((24, 12), 0.3), np.repeat(np.arange(12), 2)
    np.testing.assert_allclose(t2v_ranks(sims, own).recall(k), min(k, 12) / 12, rtol=1e-12)
    a_pair_missed = (24 - k) * (23 - k) / (24 * 23) if k < 23 else 0
    np.testing.assert_allclose(v2t_ranks(sims, own).recall(k), 1 - a_pair_missed, rtol=1e-12)
    for ranks in (t2v_ranks(sims, own), v2t_ranks(sims, own)):
        np.testing.assert_array_equal(ranks.recall(k), ranks.by_chance().recall(k))


def test_large_ties_stay_exact():
    sims = np.zeros((1, 200_000), np.float32)
    ranks = t2v_ranks(sims, [7])
    assert ranks.recall(10)[0] == pytest.approx(10 / 200_000, rel=1e-9)
    assert ranks.mean_rank()[0] == pytest.approx(100_000.5)


def recall_by_trying_every_order(scores, right, k):
    """The share of all orders of the candidates that respect the scores and have a right one in the first k."""
    hits, total = 0, 0
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            total += 1
            hits += any(candidate in right for candidate in order[:k])
    return hits / total


def first_rank_by_trying_every_order(scores, right):
    return sum(1 - recall_by_trying_every_order(scores, right, k) for k in range(len(scores)))


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=5, max_size=5),
    st.lists(st.integers(0, 2), min_size=5, max_size=5),
    st.integers(1, 6),
)
def test_ties_equal_the_mean_over_all_orders(rows, own, k):
    sims = np.array(rows, float)
    by_text, by_clip = t2v_ranks(sims, own), v2t_ranks(sims, own)
    for query, clip in enumerate(own):
        assert by_text.recall(k)[query] == pytest.approx(recall_by_trying_every_order(sims[query], {clip}, k))
    for query, clip in enumerate(by_clip.query_ids.astype(int)):
        right = {text for text, owner in enumerate(own) if owner == clip}
        assert by_clip.recall(k)[query] == pytest.approx(recall_by_trying_every_order(sims[:, clip], right, k))
        assert by_clip.mean_rank()[query] == pytest.approx(first_rank_by_trying_every_order(sims[:, clip], right))


@given(st.integers(0, 2**32 - 1))
def test_permuting_clips_permutes_the_results(seed):
    random = np.random.default_rng(seed)
    sims, own = random.integers(0, 4, (9, 6)).astype(float), random.integers(0, 6, 9)
    order = random.permutation(6)
    place = np.argsort(order)
    assert counts(t2v_ranks(sims, own)) == counts(t2v_ranks(sims[:, order], place[own]))
    before, after = v2t_ranks(sims, own), v2t_ranks(sims[:, order], place[own], clip_ids=[str(c) for c in order])
    back = np.argsort(after.query_ids.astype(int))
    for name in ("query_ids", "num_better", "num_tied_wrong", "num_tied_right", "num_right"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name)[back])


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(3)
    sims, own = random.integers(0, 9, (31, 7)).astype(np.float32), random.integers(0, 7, 31)
    whole = [counts(t2v_ranks(sims, own)), counts(v2t_ranks(sims, own))]
    monkeypatch.setattr(names, "_BLOCK_CELLS", 15)
    assert [counts(t2v_ranks(sims, own)), counts(v2t_ranks(sims, own))] == whole


@pytest.mark.parametrize("rank", [t2v_ranks, v2t_ranks])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors_that_name_the_row(rank, bad):
    sims = SIMS.copy()
    sims[1, 0] = bad
    with pytest.raises(DataError, match=rf"row 1 \(query 'b'\) is {bad} at clip 'x'; expected finite"):
        rank(sims, OWN, query_ids=["a", "b", "c"], clip_ids=["x", "y"])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"similarities are \[3, 2\], texts by clips, but there are 2 right columns"):
        t2v_ranks(SIMS, [0, 1])
    with pytest.raises(ValueError, match="right columns run from 0 to 2; expected 0 to 1"):
        t2v_ranks(SIMS, [0, 1, 2])
    with pytest.raises(ValueError, match="recall at k=0; expected a whole number of 1 or more"):
        t2v_ranks(SIMS, OWN).recall(0)


def test_seeds_stack():
    both = stack_seeds([t2v_ranks(SIMS, OWN), t2v_ranks(-SIMS, OWN)])
    assert both.mean_rank().tolist() == [[1, 2, 1.5], [2, 1, 1.5]]
    assert both.recall(1).shape == (2, 3)
    assert both.by_chance().mean_rank().tolist() == [1.5, 1.5, 1.5]


def test_rank_variance_is_over_parallel_sentences_only():
    english = t2v_ranks(SIMS, OWN, query_ids=["a", "b", "c"], clip_ids=["x", "y"])
    czech = t2v_ranks(-SIMS[:2], OWN[:2], query_ids=["b", "a"], clip_ids=["x", "y"])
    variance, sources = rank_variance([english, czech])
    assert variance.tolist() == [0, 0] and sources.tolist() == ["x", "x"]  # a: ranks 1 and 1, b: 2 and 2
    german = t2v_ranks(SIMS[:2], OWN[:2], query_ids=["b", "a"], clip_ids=["x", "y"])
    assert rank_variance([english, german])[0].tolist() == [0.25, 0.25]
    nothing, _ = rank_variance([english, t2v_ranks(SIMS, OWN, query_ids=["d", "e", "f"])])
    assert len(nothing) == 0
