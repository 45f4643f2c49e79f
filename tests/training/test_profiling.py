"""A profile's parts make a step, its gradients are a step's, and its floor is counted by hand."""

import pytest
import torch
from torch import nn

from polyreel.errors import RecipeError
from polyreel.models.devices import CPU
from polyreel.training.batches import sample_batches
from polyreel.training.floor import bytes_of_step, count_operations, measure_rates
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.profiling import PARTS, StepProfile, _take_apart, profile
from polyreel.training.runs import RunFolder
from polyreel.training.under_way import Training


def test_products_and_bytes_are_counted_by_hand():
    layer, rows = nn.Linear(6, 4), torch.ones(10, 6, requires_grad=True)
    assert count_operations(lambda: layer(rows).sum().backward()) == 3 * 2 * 10 * 6 * 4
    frozen = nn.Linear(5, 5).requires_grad_(False)
    assert bytes_of_step(nn.Sequential(layer, frozen)) == 8 * 4 * (6 * 4 + 4)


def test_rates_are_positive_whatever_counts_the_seconds():
    ticks = iter(range(100))
    rates = measure_rates(CPU, clock=lambda: float(next(ticks)))
    assert rates.operations == 2 * 2048**3 and rates.bytes == 2 * 2**28


def test_a_step_taken_apart_moves_the_weights_as_a_whole_one(recipe, tmp_path):
    teacher = train(recipe(data={"langs": ["en"]}, schedule={"steps": 2}), tmp_path / "teacher")
    asked = recipe(objective={"distillation_weight": 0.5}, teachers={"runs": [str(teacher)]})
    whole, apart = (Training(asked, gather_material(asked), RunFolder(tmp_path / "no")) for _ in range(2))
    batch = next(sample_batches(whole.table, 16, "independent", seed=1))
    whole.stepper.take(batch, 29, is_measured=False)
    for group, other in zip(apart.stepper.optimizer.param_groups, whole.stepper.optimizer.param_groups, strict=True):
        group["lr"] = other["lr"]
    _take_apart(apart, batch, {}, CPU)
    for mine, theirs in zip(apart.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_profile_of_a_recipe_leaves_no_run(recipe, tmp_path):
    found = profile(recipe(), num_steps=2)
    assert set(found.seconds) == set(PARTS) and all(seconds > 0 for seconds in found.seconds.values())
    assert found.num_captions == 32 and found.num_tokens > 32
    assert found.to_json()["bound"] in found.text()
    with pytest.raises(RecipeError, match="weights of all terms"):
        profile(recipe(objective={"contrastive_weight": 0}))


def test_what_a_step_looks_at_beyond_its_batch_is_profiled_with_it(recipe, tmp_path):
    teacher = train(recipe(data={"langs": ["en"]}, schedule={"steps": 2}), tmp_path / "teacher")
    pairs = tmp_path / "toy.en-sw.tsv"
    pairs.write_text("a red dog\tmbwa mwekundu\na blue cat\tpaka wa bluu\n", encoding="utf-8")
    objective = {"whole_bank_weight": 1.0, "pair_distillation_weight": 1.0, "pair_alignment_weight": 1.0}
    found = profile(
        recipe(objective=objective, teachers={"runs": [str(teacher)]}, pairs={"files": [str(pairs)]}), num_steps=1
    )
    assert found.num_captions == 32 + 2


@pytest.mark.parametrize(("operations", "bound"), [(1000, "matrix products"), (10, "bytes")])
def test_the_larger_bound_is_named(operations, bound):
    found = StepProfile(
        device="cpu",
        threads=1,
        num_captions=4,
        num_tokens=40,
        seconds=dict.fromkeys(PARTS, 0.5),
        operations=operations,
        bytes=100,
        operations_a_second=1000.0,
        bytes_a_second=1000.0,
    )
    assert found.bound == bound and found.step_seconds == 2.5
    line = next(line for line in found.text().splitlines() if "the larger bound" in line)
    assert line.split(" ms")[0].split()[:-1] == bound.split()
