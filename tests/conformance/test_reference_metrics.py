"""Recall and ranks against the numbers of the reference implementation, which rounds nothing and had no ties here."""

from dataclasses import replace

import numpy as np
import pytest

from polyreel.evaluation.metrics import t2v_ranks, v2t_ranks

KS = (1, 5, 10)


@pytest.fixture(scope="module")
def golden(shared):
    path = shared / "conformance" / "metrics.npz"
    if not path.is_file():
        pytest.skip("needs the golden numbers beside the real data")
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("size", [50, 968])
@pytest.mark.parametrize(("rank", "expected"), [(t2v_ranks, "expected"), (v2t_ranks, "expected_v2t")])
def test_recall_and_ranks_equal_the_reference(golden, size, rank, expected):
    ranks = rank(golden[f"sims_{size}"], range(size))
    figures = [100 * ranks.recall(k).mean() for k in KS] + [np.median(ranks.mean_rank()), ranks.mean_rank().mean()]
    np.testing.assert_allclose(figures, golden[f"{expected}_{size}"], rtol=1e-12)


def test_absent_clips_counted_as_missed_give_the_references_968_of_1000(golden):
    ranks = replace(t2v_ranks(golden["sims_968"], range(968)), present=968 / 1000)
    figures = [ranks.of_queries(metric).mean() for metric in ("R@1", "R@5", "R@10")]
    figures += [np.median(ranks.of_queries("MedR")), ranks.of_queries("MnR").mean()]
    np.testing.assert_allclose(figures, golden["expected_968_of_1000"], rtol=1e-12)
