from dataclasses import replace

import numpy as np
import pytest
from noisy_reader import NoisyReader

from polyreel.errors import DataError
from polyreel.evaluation.asking import Scoring
from polyreel.evaluation.banks import make_query_bank
from polyreel.evaluation.report import evaluate
from polyreel.evaluation.tables import one_system
from polyreel.similarity import find_hubs, less_hubs, similarities

NOISE = {"en": 1.0, "de": 1.5, "sw": 3.0}


@pytest.fixture(scope="module")
def chosen(dataset, features):
    return make_query_bank(NoisyReader(NOISE), dataset, features=features, chosen_on="test")


def test_the_bank_holds_training_captions_and_the_temperature_that_found_most(chosen, dataset):
    assert {lang: len(rows) for lang, rows in chosen.bank.by_lang.items()} == {"en": 12, "de": 12, "sw": 4}
    assert chosen.recall[chosen.bank.temperature] == max(chosen.recall.values())
    assert chosen.bank.model == "f" * 24
    words = sorted(set(dataset.split("train").in_langs(["en"]).captions["text"].to_pylist()))
    np.testing.assert_array_equal(chosen.bank.by_lang["en"], NoisyReader(NOISE).encode_text(words))


def test_evaluate_takes_off_what_the_bank_of_each_language_says(chosen, dataset, features):
    model, bank = NoisyReader(NOISE), chosen.bank
    plain = evaluate(model, dataset, features=features)
    report = evaluate(model, dataset, features=features, scoring=Scoring(hubness="bank", bank=bank, temperature=0.1))
    data = dataset.split("test")
    clips = model.encode_clips([features[name] for name in data.clip_ids])
    texts = model.encode_text(data.in_langs(["de"]).captions["text"].to_pylist())
    sims = less_hubs(similarities(texts, clips), find_hubs(bank.rows("de"), clips, 0.1))
    own = [data.clip_ids.index(name) for name in report.ranks["de", "t2v"].clip_ids]
    expected = (sims > sims[np.arange(len(own)), own][:, None]).sum(axis=1)
    np.testing.assert_array_equal(report.ranks["de", "t2v"].num_better[0], expected)
    np.testing.assert_array_equal(report.ranks["de", "v2t"].num_better, plain.ranks["de", "v2t"].num_better)
    np.testing.assert_allclose(report.answers["de", "t2v"].scores_SQK[0, :, 0], sims.max(axis=1), atol=1e-6)
    assert report.name == "model" and report.scoring == "query bank, temperature 0.1"
    assert "model scored by query bank, temperature 0.1" in one_system(report).text()


def test_dual_softmax_says_everywhere_that_it_reads_all_test_queries(dataset, features, tmp_path):
    report = evaluate(NoisyReader(NOISE), dataset, features=features, name="ours", scoring=Scoring(hubness="dual"))
    assert report.name == "ours (dual softmax, reads all test queries)"
    report.save(tmp_path / "report")
    assert "reads all test queries" in (tmp_path / "report" / "report.json").read_text()
    assert "reads all test queries" in one_system(type(report).open(tmp_path / "report"), "v2t").text()
    plain = evaluate(NoisyReader(NOISE), dataset, features=features)
    assert not np.array_equal(report.ranks["sw", "v2t"].num_better, plain.ranks["sw", "v2t"].num_better)


def test_the_right_scores_are_those_of_the_right_candidates(dataset, features):
    report = evaluate(NoisyReader(NOISE), dataset, features=features, scoring=Scoring(hubness="dual"))
    for direction in ("t2v", "v2t"):
        ranks, answers = report.ranks["en", direction], report.answers["en", direction]
        first = (ranks.num_better[0] == 0) & (ranks.num_tied_wrong[0] == 0)
        assert first.any()
        np.testing.assert_allclose(answers.scores_SQK[0, first, 0], answers.right_scores_SQ[0, first], atol=1e-6)
        assert (answers.scores_SQK[0, ~first, 0] >= answers.right_scores_SQ[0, ~first] - 1e-6).all()


def test_what_cannot_be_scored_is_refused(dataset, features, chosen):
    with pytest.raises(ValueError, match="the temperature is 0; expected a number above 0"):
        Scoring(temperature=0)
    with pytest.raises(ValueError, match="hubness 'bank' needs a bank of training captions; make one with"):
        Scoring(hubness="bank")
    few = replace(chosen.bank, by_lang={"en": chosen.bank.rows("en")})
    with pytest.raises(DataError, match="the query bank has no captions in 'de'; it has en"):
        evaluate(NoisyReader(NOISE), dataset, features=features, scoring=Scoring(hubness="bank", bank=few))

    class Nameless:
        encode_text, encode_clips = NoisyReader.encode_text, NoisyReader.encode_clips

    with pytest.raises(DataError, match="a query bank belongs to a model that knows its fingerprint"):
        make_query_bank(Nameless(), dataset, features=features)
    with pytest.raises(DataError, match="split 'train' of 'toy' has captions in: en, de, sw"):
        make_query_bank(NoisyReader(NOISE), dataset, features=features, chosen_on="test", langs=["fr"])
