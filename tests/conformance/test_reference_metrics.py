"""Recall and ranks against the numbers of the reference implementation, which rounds nothing and had no ties here."""

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


def test_the_reference_divides_by_absent_clips_too(golden):
    found = [t2v_ranks(golden["sims_968"], range(968)).recall(k).sum() / 1000 * 100 for k in KS]
    np.testing.assert_allclose(found, golden["expected_968_of_1000"][:3], rtol=1e-12)
