"""p-values, their correction, what a set can show, and seeds as a sample of their own."""

from dataclasses import replace

import numpy as np
import pytest

from polyreel.evaluation.comparison import compare
from polyreel.evaluation.estimates import estimate_all
from polyreel.evaluation.metrics import stack_seeds, t2v_ranks
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import by_system, of_differences, what_holds
from polyreel.evaluation.uncertainty import detectable, holm, interval, p_value, resample_seeds, resample_sources


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_rare():
    random = np.random.default_rng(0)
    alarms = [min(holm(random.random(20).tolist())) < 0.05 for _ in range(1000)]
    assert 0.02 < np.mean(alarms) < 0.08
    assert np.mean([random.random(20).min() < 0.05 for _ in range(1000)]) > 0.5


def test_a_p_value_is_the_share_beyond_zero_and_never_zero():
    draws = np.r_[np.full(95, 1.0), np.full(4, -1.0), np.nan]
    assert p_value(draws) == pytest.approx(2 * 5 / 100)
    assert p_value(np.ones(999)) == pytest.approx(2 / 1000)
    assert p_value(np.zeros(10)) == 1


def test_p_values_and_intervals_of_a_mean_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with the extra train")
    values = np.random.default_rng(3).normal(0.25, 1.0, 120)
    sources = np.array([f"v{number:03}" for number in range(120)])
    draws = resample_sources(sources, num_resamples=10_000).means(values, sources)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, random_state=0)
    assert interval(draws) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    assert p_value(draws) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_what_a_set_can_show_is_found_in_four_of_five_sets():
    random = np.random.default_rng(5)
    sources = np.array([f"v{number}" for number in range(100)])
    resamples = resample_sources(sources, num_resamples=500)
    smallest = detectable(resamples.means(random.normal(0, 1, 100), sources))
    assert smallest == pytest.approx(2.8 / 10, rel=0.2)
    drawn = resamples.means(random.normal(smallest, 1, (300, 100)), sources)
    found = [interval(drawn[:, one])[0] > 0 for one in range(300)]
    assert 0.7 < np.mean(found) < 0.95


def ranks_of(num_seeds, spread, seed=0):
    """Ranks of 60 queries by seeds whose quality differs so much."""
    random = np.random.default_rng(seed)
    noise = np.linspace(1 - spread, 1 + spread, num_seeds)
    sims = [2.0 * np.eye(60) + one * random.standard_normal((60, 60)) for one in noise]
    return {("en", "t2v"): stack_seeds([t2v_ranks(of_seed, range(60)) for of_seed in sims])}


def test_five_seeds_enter_the_interval_and_four_do_not():
    ranks = ranks_of(5, 0.6)
    resamples = resample_sources(ranks["en", "t2v"].sources)
    (five,) = [
        row for row in estimate_all(ranks, resamples, (3, 4, 5, 6, 7)) if (row.lang, row.metric) == ("en", "R@1")
    ]
    values_SQ = ranks["en", "t2v"].of_queries("R@1")
    alone_RS = resamples.means(values_SQ, ranks["en", "t2v"].sources)
    shares_RS = resample_seeds((3, 4, 5, 6, 7), 2000)
    np.testing.assert_allclose(five.draws_R, (alone_RS * shares_RS).sum(axis=1))
    assert shares_RS.sum(axis=1) == pytest.approx(1) and len(np.unique(shares_RS[:, 0])) > 3
    assert np.std(five.draws_R) > 1.2 * np.std(alone_RS.mean(axis=1))
    (four,) = [row for row in estimate_all(ranks_of(4, 0.6), resamples) if (row.lang, row.metric) == ("en", "R@1")]
    values = ranks_of(4, 0.6)["en", "t2v"].of_queries("R@1").mean(axis=0)
    np.testing.assert_allclose(four.draws_R, resamples.means(values, ranks["en", "t2v"].sources))


def test_systems_of_the_same_seeds_see_the_same_draws_of_seeds():
    np.testing.assert_array_equal(resample_seeds((1, 2, 3, 4, 5), 50), resample_seeds((1, 2, 3, 4, 5), 50))
    assert not np.array_equal(resample_seeds((1, 2, 3, 4, 5), 50), resample_seeds((1, 2, 3, 4, 6), 50))


def test_few_seeds_are_shown_one_by_one(systems, measure):
    table = by_system(systems).text()
    by_seed = systems[0].row("mean", "R@10").by_seed
    assert f"{by_seed[0]:.1f}, {by_seed[1]:.1f} ({min(by_seed):.1f} – {max(by_seed):.1f})" in table
    five = Report.merged([measure("weak", seed) for seed in range(5)])
    table = by_system([five]).text()
    assert "source videos resampled, and seeds]" in table
    assert f"{five.row('mean', 'R@10').by_seed[0]:.1f}, " not in table


def test_differences_of_one_metric_are_corrected_together(systems):
    three = [*systems, replace(systems[0], name="third")]
    rows = [row for row in compare(three).differences if (row.metric, row.direction) == ("R@5", "t2v")]
    assert len(rows) == 3 * 4
    assert [row.p_corrected for row in rows] == pytest.approx(holm([row.p_value for row in rows]))
    same = [row for row in rows if (row.system, row.baseline) == ("third", "weak")]
    assert all(row.p_value == 1 and not row.holds_among_all and row.detectable == 0 for row in same)
    held = [row for row in rows if row.holds_among_all]
    assert held and all(row.holds and row.p_corrected < 0.05 for row in held)
    assert len(held) < sum(row.holds for row in rows) or all(row.p_corrected < 0.05 for row in rows if row.holds)


def test_what_holds_is_said_in_words(systems):
    table = what_holds(compare(systems), "R@5")
    assert table.title.startswith("What holds: R@5, text → video, ")
    verdicts = {row[1]: row[-1] for row in table.rows}
    assert verdicts["German (de)"] == "better" and verdicts["English (en)"] == "not shown"
    assert table.rows[0][-1] == "better", "what holds among all comes first"
    starred = of_differences(compare(systems), ("strong", "weak")).text()
    assert "] **" in starred and "holds among all differences of its metric" in starred
