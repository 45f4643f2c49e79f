"""Inverted lists over bytes: what they find is what the embeddings themselves say is nearest."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clip_rows import some_embeddings

from polyreel.search.lists import Code, open_lists, to_bytes, train_lists
from polyreel.similarity import Embeddings, unit

NUM, DIM, K = 3000, 48, 10


def lopsided(num: int, seed: int) -> Embeddings:
    """Embeddings of which one dimension is large and nearly always the same, as some encoders have."""
    rows_ND = some_embeddings(num, DIM, seed)
    rows_ND[:, 5] += 2.0
    return unit(rows_ND)


@pytest.mark.parametrize(
    "make", [lambda num, seed: some_embeddings(num, DIM, seed), lopsided], ids=["even", "lopsided"]
)
def test_bytes_leave_the_nearest_near(make) -> None:
    rows_ND, queries_QD = make(NUM, 0), make(20, 1)
    code = Code.fit(rows_ND)
    assert code.of(rows_ND).min() > -0.01
    assert code.of(rows_ND).max() < 254.01
    codes_NC, asked_QC = to_bytes(code.of(rows_ND)), to_bytes(code.of(queries_QD))
    for query_D, asked_C in zip(queries_QD, asked_QC, strict=True):
        nearest = np.argsort(-(rows_ND @ query_D))[:K]
        by_bytes = np.argsort(((codes_NC - asked_C) ** 2).sum(axis=1))[: 8 * K]
        assert {*nearest.tolist()} <= {*by_bytes.tolist()}


def test_what_does_not_vary_is_left_out() -> None:
    flat_ND = np.zeros((500, DIM), np.float32)
    flat_ND[:, :10] = some_embeddings(500, 10, 0)
    code = Code.fit(flat_ND)
    assert code.turn_and_shift.shape == (DIM + 1, 16)
    far_NN = np.square(code.of(flat_ND)[:, None] - code.of(flat_ND)[None]).sum(axis=-1)
    scale = far_NN[0, 1] / (2 - 2 * flat_ND[0] @ flat_ND[1])
    np.testing.assert_allclose(far_NN / scale, 2 - 2 * flat_ND @ flat_ND.T, atol=1e-4)


def test_equal_embeddings_have_a_code() -> None:
    rows_ND = np.repeat(some_embeddings(1, DIM, 0), 5, axis=0)
    np.testing.assert_allclose(Code.fit(rows_ND).of(rows_ND), 127, atol=0.5)


def test_bytes_are_whole_and_cut_off() -> None:
    assert to_bytes(np.array([-3.0, 0.4, 254.6, 300.0], np.float32)).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    "make", [lambda num, seed: some_embeddings(num, DIM, seed), lopsided], ids=["even", "lopsided"]
)
def test_lists_find_the_nearest_with_their_exact_scores(tmp_path: Path, make) -> None:
    rows_ND, queries_QD = make(NUM, 0), make(20, 1)
    train_lists(rows_ND, tmp_path)
    lists = open_lists(pa.table({"clip_id": [""] * NUM}), rows_ND, tmp_path, NUM, 0)
    for query_D in queries_QD:
        sims_N = rows_ND @ query_D
        positions_K, scores_K = lists.nearest(query_D, K, None)
        assert positions_K.tolist() == np.argsort(-sims_N, kind="stable")[:K].tolist()
        np.testing.assert_allclose(scores_K, np.sort(sims_N)[::-1][:K], atol=1e-6)
        few = np.zeros(NUM, bool)
        few[::7] = True
        assert (
            lists.nearest(query_D, K, few)[0].tolist()
            == [place for place in np.argsort(-sims_N, kind="stable").tolist() if few[place]][:K]
        )
