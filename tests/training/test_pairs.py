"""Sentence pairs without video: what is drawn, what is minimised, and that a language is learnt from them."""

import json

import numpy as np
import pytest
import torch
from moments import stop_after
from torch.nn.functional import normalize

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.models.tokens import Tokens
from polyreel.training.loop import train
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


@pytest.fixture(scope="module")
def teacher(recipe, tmp_path_factory):
    return train(recipe(data={"langs": ["en"]}), tmp_path_factory.mktemp("teacher") / "run")


@pytest.fixture(scope="module")
def files(toy, tmp_path_factory):
    """The Italian training captions beside their English ones, without the clips."""
    texts = {}
    for row in toy.split("train").captions.to_pylist():
        texts.setdefault(row["caption_id"], {})[row["lang"]] = row["text"]
    place = tmp_path_factory.mktemp("pairs") / "toy.en-it.tsv"
    lines = [f"{row['en']}\t{row['it']}\n" for row in texts.values() if len(row) == 2]
    place.write_text("".join(reversed(lines)), encoding="utf-8")
    return [str(place)]


@pytest.fixture(scope="module")
def asked(recipe, teacher, files):
    def make(**changes):
        objective = {"pair_distillation_weight": 1.0, "pair_alignment_weight": 1.0, **changes.pop("objective", {})}
        given = {"data": {"langs": ["en"]}, "pairs": {"files": files, "size": 16}, "teachers": {"runs": [str(teacher)]}}
        return recipe(objective=objective, **{**given, **changes})

    return make


@pytest.mark.parametrize("left_out", ["pair_alignment_weight", "pair_distillation_weight"])
def test_a_language_is_learnt_without_any_video_in_it(asked, teacher, toy, tmp_path, left_out):
    run = train(asked(objective={left_out: 0.0}, schedule={"steps": 100}), tmp_path / "run")
    found = {}
    test = toy.split("test")
    for name, folder in (("teacher", teacher), ("student", run)):
        model = Retriever.load(folder / "model")
        italian = test.in_langs(["it"]).captions
        clips = model.encode_clips([toy.features("noise")[clip] for clip in test.clip_ids])
        sims = model.encode_text(italian["text"].to_pylist()) @ clips.T
        own = [test.clip_ids.index(clip) for clip in italian["clip_id"].to_pylist()]
        found[name] = np.mean((sims > sims[np.arange(len(own)), own][:, None]).sum(1) < 5)
    assert found["student"] > found["teacher"] + 0.2
    assert Retriever.load(run / "model").langs == ("en", "it")
    record = json.loads((run / "run.json").read_text("utf-8"))
    assert record["pairs_fingerprint"]


def test_a_stopped_run_with_pairs_goes_on_to_the_same_bytes(asked, tmp_path):
    settings = asked(bank={"sample": 8, "hard": 2}, objective={"pair_doubt": 1.0})
    whole = train(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", progress=stop_after(10))
    train(settings, tmp_path / "cut", resume=True)
    files = [run / "model" / "model.safetensors" for run in (whole, tmp_path / "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_chunks_change_nothing_but_rounding(asked, tmp_path):
    losses = []
    for name, machine in (("whole", {}), ("chunks", {"chunk": 5})):
        run = train(asked(machine=machine), tmp_path / name)
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
        losses.append([line["loss"] for line in log if "loss" in line])
    assert np.allclose(*losses, rtol=1e-3)


def test_weights_without_files_are_refused(recipe):
    with pytest.raises(RecipeError, match=r"pairs\.files is empty but the objective gives sentence pairs a weight"):
        recipe(objective={"pair_alignment_weight": 1.0}).check()


def test_settings_that_nothing_reads_are_named(recipe, files):
    asked = recipe(bank={"sample": 5}, objective={"pair_doubt": 1.0}, pairs={"files": files, "size": 3})
    assert asked.idle_settings() == ["bank.sample", "objective.pair_doubt", "pairs.size"]
    looking = recipe(bank={"hard": 5}, objective={"whole_bank_weight": 1.0}, teachers={"runs": ["a"]})
    assert looking.idle_settings() == ["bank.hard"]
