"""Sentence pairs without video: what is drawn, what is minimised, and which settings that reads."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from polyreel.errors import RecipeError
from polyreel.models.tokens import Tokens
from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.pairs import PairTable, ScoredPairs, WithPairs, pair_losses, trust
from polyreel.training.whole_bank import OverBank, bank_divergence


def unit(seed, *shape):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def scored(num_teachers=2):
    over = OverBank(student_VS=unit(3, 4, 6), teachers_KVS=unit(4, num_teachers, 4, 6), log_weights_S=torch.arange(6.0))
    return ScoredPairs(texts_PD=unit(1, 4, 5), english_PD=unit(2, 4, 5).requires_grad_(), over_bank=over)


def test_each_pass_gives_every_pair_once_and_seed_and_step_determine_a_step():
    table = PairTable(first_row=100, first_english=200, bank_row_N=np.arange(10) * 3)
    steps = [table.draw(4, 1, step) for step in range(5)]
    rows = np.concatenate([one.rows_P for one in steps]) - 100
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10)) and (rows[:10] != rows[10:]).any()
    for one in steps:
        assert (one.english_P - 200 == one.rows_P - 100).all() and (one.bank_rows_P == 3 * (one.rows_P - 100)).all()
    assert (table.draw(4, 1, 2).rows_P == steps[2].rows_P).all()
    assert sorted(table.draw(64, 1, 7).rows_P - 100) == list(range(10)), "where there are fewer, all"


def test_captions_stand_before_pairs_in_tokens():
    captions, pairs = Tokens.from_lists([[1], [2, 2], [3]]), Tokens.from_lists([[4, 4, 4], [5]])
    found = WithPairs(captions, pairs).select(np.array([2, 1, 4, 3]))
    assert found.ids.tolist() == [3, 2, 2, 5, 4, 4, 4] and found.lengths.tolist() == [1, 2, 1, 3]


def test_terms_are_those_of_their_formulas_and_alignment_moves_one_side():
    settings = ObjectiveSettings(pair_distillation_weight=1, pair_alignment_weight=1, teacher_pooling="each")
    of = scored()
    found = pair_losses(settings, of, None)
    over = of.over_bank
    each = [bank_divergence(over.student_VS, one, over.log_weights_S, 0.1).mean() for one in over.teachers_KVS]
    assert found["pair_distillation"].item() == pytest.approx(sum(each).item() / 2, rel=1e-5)
    distances = (of.texts_PD - of.english_PD).square().sum(-1)
    assert found["pair_alignment"].item() == pytest.approx(distances.mean().item(), rel=1e-5)
    assert not found["pair_alignment"].requires_grad, "English is held fixed"


def test_pairs_on_which_the_two_disagree_count_less_and_doubt_says_how_much():
    divergence = torch.tensor([0.1, 0.1, 4.0, 0.2])
    assert trust(divergence, 0.0) is None
    some, more = trust(divergence, 0.5), trust(divergence, 2.0)
    assert some.argmin() == more.argmin() == 2 and more[2] < some[2] < some[3] < some[0] < 1
    assert some[2].item() == pytest.approx(np.exp(-0.5 * 4.0 / 1.1))
    settings = ObjectiveSettings(pair_distillation_weight=1, pair_alignment_weight=1, pair_doubt=2.0)
    of = scored(1)
    over = of.over_bank
    apart = bank_divergence(over.student_VS, over.teachers_KVS[0], over.log_weights_S, 0.1)
    weights = trust(apart, 2.0)
    found = pair_losses(settings, of, None)
    assert found["pair_distillation"].item() == pytest.approx(((weights * apart).sum() / weights.sum()).item())
    distances = (of.texts_PD - of.english_PD).square().sum(-1)
    assert found["pair_alignment"].item() == pytest.approx(((weights * distances).sum() / weights.sum()).item())


def test_weights_without_files_are_refused(recipe):
    with pytest.raises(RecipeError, match=r"pairs\.files is empty but the objective gives sentence pairs a weight"):
        recipe(objective={"pair_alignment_weight": 1.0}).check()


def test_settings_that_nothing_reads_are_named(recipe):
    asked = recipe(bank={"sample": 5}, objective={"pair_doubt": 1.0}, pairs={"files": ["a.tsv"], "size": 3})
    assert asked.idle_settings() == ["bank.sample", "objective.pair_doubt", "pairs.size"]
    looking = recipe(bank={"hard": 5}, objective={"whole_bank_weight": 1.0}, teachers={"runs": ["a"]})
    assert looking.idle_settings() == ["bank.hard"]
