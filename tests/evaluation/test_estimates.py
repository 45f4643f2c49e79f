"""Every figure and each of its resamples, against loops that repeat queries as often as their source was drawn."""

from statistics import mean, median

import numpy as np
import pytest

from polyreel.evaluation.estimates import estimate_all
from polyreel.evaluation.metrics import stack_seeds, t2v_ranks, v2t_ranks
from polyreel.evaluation.uncertainty import resample_sources

CLIPS = ["a", "b", "c", "d"]
SOURCES = ["s", "s", "t", "u"]
OWN = {"en": [0, 1, 2, 3, 0], "it": [0, 2, 3]}
QUERIES = {"en": ["a0", "b0", "c0", "d0", "a1"], "it": ["a0", "c0", "d0"]}
SEEDS = 3


@pytest.fixture
def ranks():
    random = np.random.default_rng(4)

    def of_seeds(lang, rank):
        sims = random.integers(0, 6, (SEEDS, len(OWN[lang]), len(CLIPS))).astype(float)
        names = {"query_ids": QUERIES[lang], "clip_ids": CLIPS, "sources": SOURCES}
        return stack_seeds([rank(of_seed, OWN[lang], **names) for of_seed in sims])

    return {
        (lang, name): of_seeds(lang, rank) for lang in OWN for name, rank in (("t2v", t2v_ranks), ("v2t", v2t_ranks))
    }


def drawn(values, sources, resamples):
    """Yield the values of every resample, those of a source as often as it was drawn."""
    for counts in resamples.counts_RN:
        times = dict(zip(resamples.sources, counts, strict=True))
        yield [value for value, source in zip(values, sources, strict=True) for _ in range(times[source])]


def test_figures_are_averaged_over_seeds_query_by_query_and_medians_seed_by_seed(ranks):
    resamples = resample_sources(SOURCES, num_resamples=40)
    rows = {(row.lang, row.direction, row.metric): row for row in estimate_all(ranks, resamples)}
    for (lang, direction), of_queries in ranks.items():
        sources = of_queries.sources
        for metric, values_SQ in (("MnR", of_queries.mean_rank()), ("R@1", 100 * of_queries.recall(1))):
            row = rows[lang, direction, metric]
            assert row.by_seed == pytest.approx([mean(values) for values in values_SQ])
            assert row.value == pytest.approx(mean(row.by_seed))
            averaged = [mean(of_query) for of_query in values_SQ.T]
            expected = [mean(values) if values else np.nan for values in drawn(averaged, sources, resamples)]
            np.testing.assert_allclose(row.draws_R, expected)
        row = rows[lang, direction, "MedR"]
        assert row.by_seed == pytest.approx([median(values) for values in of_queries.mean_rank()])
        assert row.value == pytest.approx(mean(row.by_seed))
        by_seed = [
            [median(values) if values else np.nan for values in drawn(of_seed, sources, resamples)]
            for of_seed in of_queries.mean_rank()
        ]
        np.testing.assert_allclose(row.draws_R, np.mean(by_seed, axis=0))


def test_means_over_languages_are_formed_resample_by_resample(ranks):
    rows = {(row.lang, row.direction, row.metric): row for row in estimate_all(ranks, resample_sources(SOURCES))}
    for direction in ("t2v", "v2t"):
        both = [rows[lang, direction, "R@1"] for lang in OWN]
        row = rows["mean", direction, "R@1"]
        np.testing.assert_allclose(row.draws_R, (both[0].draws_R + both[1].draws_R) / 2)
        assert row.by_seed == pytest.approx([mean(seeds) for seeds in zip(*(one.by_seed for one in both), strict=True)])
        assert row.chance == pytest.approx(mean(one.chance for one in both))


def test_the_rank_variance_is_taken_in_each_seed_and_averaged_after(ranks):
    resamples = resample_sources(SOURCES, num_resamples=40)
    (row,) = [row for row in estimate_all(ranks, resamples) if row.metric == "MRV"]
    english, italian = ranks["en", "t2v"].mean_rank(), ranks["it", "t2v"].mean_rank()
    shared = [(QUERIES["en"].index(name), place, SOURCES[OWN["it"][place]]) for place, name in enumerate(QUERIES["it"])]
    by_seed = [
        [(in_english[one] - in_italian[other]) ** 2 / 4 for one, other, _ in shared]
        for in_english, in_italian in zip(english, italian, strict=True)
    ]
    assert row.by_seed == pytest.approx([mean(values) for values in by_seed])
    assert row.value == pytest.approx(mean(row.by_seed))
    averaged = [mean(values) for values in zip(*by_seed, strict=True)]
    sources = [source for *_, source in shared]
    expected = [mean(values) if values else np.nan for values in drawn(averaged, sources, resamples)]
    np.testing.assert_allclose(row.draws_R, expected)
