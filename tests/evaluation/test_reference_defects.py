"""What the reference implementation's metric gets wrong, next to what ours makes of the same similarities.

Its arithmetic is written out here: the place of the right one is the first at which nothing is better than it, found
after sorting by comparing distances, and recall is divided by a number that is handed in.
"""

from dataclasses import replace

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.evaluation.metrics import t2v_ranks
from polyreel.evaluation.report import evaluate
from polyreel.evaluation.tables import measured_on

SIZE = 50


def reference(sims, *, out_of=None):
    """Recall at 1, median and mean rank as the reference computes them."""
    distances = -sims
    right = np.diag(distances)[:, None]
    places = np.argmax(np.sort(distances, axis=1) - right == 0, axis=1)
    return {
        "R@1": 100 * (places == 0).sum() / (out_of or len(sims)),
        "MedR": np.median(places) + 1,
        "MnR": places.mean() + 1,
    }


def ours(sims, present=1.0):
    ranks = replace(t2v_ranks(sims, range(len(sims))), present=present)
    return {metric: ranks.of_queries(metric) for metric in ("R@1", "MedR", "MnR")}


def test_nan_scores_a_hundred_there_and_is_refused_here():
    broken = np.full((SIZE, SIZE), np.nan)
    assert reference(broken)["R@1"] == 100
    with pytest.raises(DataError, match=r"similarity row 0 \(query '0'\) is nan"):
        t2v_ranks(broken, range(SIZE))


def test_a_constant_scores_a_hundred_there_and_chance_here():
    constant = np.ones((SIZE, SIZE))
    assert reference(constant)["R@1"] == 100
    assert ours(constant)["R@1"].mean() == pytest.approx(100 / SIZE)
    assert ours(constant)["MnR"].mean() == (SIZE + 1) / 2


class SaysTheSame:
    """A collapsed model: every text and clip has one embedding, which matrix products round in more than one way."""

    def __init__(self):
        drawn = np.random.default_rng(0).standard_normal(512)
        self.row = (drawn / np.linalg.norm(drawn)).astype(np.float32)

    def encode_text(self, texts):
        return np.tile(self.row, (len(texts), 1))

    def encode_clips(self, features):
        return np.tile(self.row, (len(features), 1))


def test_a_collapsed_model_scores_chance_though_its_similarities_differ_in_the_last_digit(dataset, features):
    report = evaluate(SaysTheSame(), dataset, features=features)
    for direction in ("t2v", "v2t"):
        for metric in ("R@1", "R@10", "MnR"):
            row = report.row("de", metric, direction)
            assert row.value == pytest.approx(row.chance)


def test_how_ties_are_broken_is_handed_on(dataset, features):
    """There the setting is stored and never used: both ways give the same."""
    by_chance = evaluate(SaysTheSame(), dataset, features=features)
    optimistic = evaluate(SaysTheSame(), dataset, features=features, ties="optimistic")
    assert optimistic.row("en", "R@1").value == 100
    assert by_chance.row("en", "R@1").value == pytest.approx(100 / 18)


def test_one_line_has_one_denominator_or_says_that_it_has_two(dataset, features, measure):
    random = np.random.default_rng(1)
    sims = random.standard_normal((48, 48)) + 2 * np.eye(48)
    theirs = reference(sims, out_of=SIZE)
    assert theirs["R@1"] == pytest.approx(ours(sims, present=48 / SIZE)["R@1"].mean())
    assert ours(sims)["R@1"].mean() == pytest.approx(theirs["R@1"] * SIZE / 48)
    assert measured_on(measure(num_clips=20)) == "toy test, 18 of 20 clips"
    assert measured_on(measure()) == "toy test, 18 clips"


def test_videos_ask_for_texts_too(measure):
    report = measure()
    assert {direction for _, direction in report.ranks} == {"t2v", "v2t"}
    assert len(report.ranks["de", "v2t"]) == 18 and len(report.ranks["de", "t2v"]) == 36
    assert report.row("de", "MnR", "v2t").value > 1
