from dataclasses import replace

import numpy as np
import pytest
from noisy_reader import NoisyReader, toy_dataset

from polyreel.errors import DataError
from polyreel.evaluation.comparison import compare
from polyreel.evaluation.report import evaluate


def row(comparison, lang, metric="R@1", direction="t2v"):
    pair = comparison.pairs()[0]
    return next(row for row in comparison.of(pair, metric=metric, direction=direction) if row.lang == lang)


def test_differences_are_paired_and_those_that_hold_are_named(systems):
    comparison = compare(systems)
    assert comparison.pairs() == [("strong", "weak")]
    german, english = row(comparison, "de"), row(comparison, "en")
    assert german.holds and german.is_better and german.low > 0
    assert (english.value, english.low, english.high, english.holds) == (0, 0, 0, False)
    rank = row(comparison, "de", "MnR")
    assert rank.value < 0 and rank.holds and rank.is_better
    assert row(comparison, "mean", "MRV").holds


def test_a_difference_has_the_interval_of_the_slow_loop(systems):
    weak, strong = systems
    german = row(compare(systems), "de", "R@5")
    values = [100 * report.ranks["de", "t2v"].recall(5).mean(axis=0) for report in systems]
    difference, sources = values[1] - values[0], weak.ranks["de", "t2v"].sources
    assert german.value == pytest.approx(difference.mean())
    sample = np.random.default_rng(0)
    names = np.unique(sources)
    draws = []
    for _ in range(4000):
        drawn = sample.choice(names, len(names))
        draws.append(np.concatenate([difference[sources == name] for name in drawn]).mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (german.low, german.high) == (pytest.approx(low, abs=1.5), pytest.approx(high, abs=1.5))
    unpaired = strong.row("de", "R@5").interval[0] - weak.row("de", "R@5").interval[1]
    assert german.low > unpaired


def test_pairs_follow_the_order_or_the_baseline(systems):
    three = [*systems, replace(systems[0], name="third")]
    assert compare(three).pairs() == [("strong", "weak"), ("third", "weak"), ("third", "strong")]
    assert compare(three, baseline="strong").pairs() == [("weak", "strong"), ("third", "strong")]
    flipped = compare(systems, baseline="strong")
    assert row(flipped, "de").value == -row(compare(systems), "de").value


def test_reports_of_other_queries_are_refused(systems, measure, features):
    weak = systems[0]
    with pytest.raises(
        DataError, match=r"'weak' and 'en only' were not asked the same: languages en, de, sw against en"
    ):
        compare([weak, measure("en only", langs=["en"])])
    with pytest.raises(DataError, match="not asked the same: split 'test' against 'train'"):
        compare([weak, measure("train", split="train")])
    model = NoisyReader({"en": 1.0, "de": 1.0, "sw": 1.0})
    fewer = evaluate(model, toy_dataset(20), features=features, name="fewer")
    with pytest.raises(DataError, match="not asked the same: other clips, 18 against 15"):
        compare([weak, fewer])
    one_each = evaluate(model, toy_dataset().first_captions({"de": 1}), features=features, name="one each")
    with pytest.raises(DataError, match="not asked the same: other captions in 'de', 36 against 18"):
        compare([weak, one_each])


def test_names_tell_systems_apart(systems):
    with pytest.raises(DataError, match=r"cannot compare the reports weak, weak; expected two or more of different"):
        compare([systems[0], systems[0]])
    with pytest.raises(DataError, match=r"cannot compare the reports weak; expected two"):
        compare(systems[:1])
    with pytest.raises(DataError, match=r"no report is called 'best'; the baseline is one of weak, strong"):
        compare(systems, baseline="best")


def test_json_says_which_hold(systems):
    found = compare(systems).to_json()
    assert found["systems"] == ["weak", "strong"]
    assert {"system": "strong", "baseline": "weak", "lang": "en", "metric": "R@1"}.items() <= found["differences"][
        0
    ].items()
    assert any(row["holds"] for row in found["differences"])
