import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.evaluation import uncertainty
from polyreel.evaluation.uncertainty import interval, resample_sources


def queries(num_sources, seed=0):
    """Values of a few queries a source, some sources with none."""
    random = np.random.default_rng(seed)
    names = np.array([f"v{number}" for number in range(num_sources)])
    sources = np.repeat(names, random.integers(1, 5, num_sources))
    return random.integers(1, 30, len(sources)).astype(float), sources


def slowly(statistic, values, sources, resamples):
    by_source = {name: values[sources == name].tolist() for name in resamples.sources}
    return [
        statistic(
            [value for name, count in zip(resamples.sources, counts, strict=True) for value in by_source[name] * count]
        )
        for counts in resamples.counts_RN
    ]


def test_means_and_medians_equal_the_slow_loop_over_the_same_resamples(monkeypatch):
    values, sources = queries(7)
    resamples = resample_sources(sources, num_resamples=50)
    np.testing.assert_allclose(resamples.means(values, sources), slowly(np.mean, values, sources, resamples))
    expected = slowly(np.median, values, sources, resamples)
    np.testing.assert_array_equal(resamples.medians(values, sources), expected)
    monkeypatch.setattr(uncertainty, "_BLOCK_CELLS", 40)
    np.testing.assert_array_equal(resamples.medians(values, sources), expected)


def test_resamples_follow_from_the_names_alone():
    first, again = resample_sources(["b", "a", "c", "a"]), resample_sources({"c", "b", "a"})
    assert first.sources.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(first.counts_RN, again.counts_RN)
    assert first.counts_RN.shape == (2000, 3)
    assert (first.counts_RN.sum(axis=1) == 3).all()
    assert not np.array_equal(first.counts_RN, resample_sources(["a", "b", "c"], seed=1).counts_RN)


def test_a_source_keeps_its_queries_together():
    values, sources = np.array([0.0] * 50 + [100.0] * 50), np.repeat(["a", "b"], 50)
    assert interval(resample_sources(sources).means(values, sources)) == (0, 100)


def test_the_interval_shrinks_with_more_sources():
    widths = []
    for num_sources in (20, 200, 2000):
        values, sources = queries(num_sources)
        low, high = interval(resample_sources(sources).means(values, sources))
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_the_interval_covers_what_theory_says():
    values, sources = np.arange(400.0), np.array([f"v{number}" for number in range(400)])
    low, high = interval(resample_sources(sources).means(values, sources))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


def test_resamples_without_a_query_are_left_out():
    resamples = resample_sources(["a", "b"])
    alone = np.array(["a"])
    for draws in (resamples.means(np.array([5.0]), alone), resamples.medians(np.array([5.0]), alone)):
        assert np.isnan(draws).any() and interval(draws) == (5, 5)


def test_unknown_and_absent_sources_are_refused():
    with pytest.raises(DataError, match="there are no source videos to resample"):
        resample_sources([])
    with pytest.raises(DataError, match="source 'z' is not among the 2 resampled ones"):
        resample_sources(["a", "b"]).means(np.ones(1), np.array(["z"]))
