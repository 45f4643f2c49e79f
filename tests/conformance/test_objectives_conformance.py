"""The objectives against golden numbers of the reference implementation."""

import numpy as np
import pytest
import torch

from polyreel.training.neighbours import max_margin, regression
from polyreel.training.objectives import contrastive, distillation, pool_teachers


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "conformance" / "objectives.npz") as file:
        return {name: file[name] for name in file.files}


def assert_close(found, expected):
    assert np.abs(np.asarray(found) - expected).max() <= 1e-5 * np.abs(expected).max()


def temperatures(golden, term):
    return sorted({name.removeprefix(f"{term}_tau").split("_")[0] for name in golden if name.startswith(f"{term}_tau")})


def test_contrastive(golden):
    own = torch.arange(golden["student_sims"].shape[1])
    assert temperatures(golden, "contrastive")
    for temperature in temperatures(golden, "contrastive"):
        found = [contrastive(torch.from_numpy(sims), own, float(temperature)) for sims in golden["student_sims"]]
        assert_close(found, golden[f"contrastive_tau{temperature}"])


@pytest.mark.parametrize("pooling", ["min", "max", "mean"])
def test_pooling_and_distillation(golden, pooling):
    own = torch.arange(golden["student_sims"].shape[1])
    pooled = pool_teachers(torch.from_numpy(golden["teacher_sims"]), pooling)
    assert_close(pooled[0], golden[f"pool_elementwise_{pooling}"])
    names = [name for name in golden if name.startswith("distillation_tau") and name.endswith(f"_{pooling}")]
    assert names
    for name in names:
        temperature = float(name.removeprefix("distillation_tau").split("_")[0])
        found = [distillation(torch.from_numpy(sims), pooled[0], own, temperature) for sims in golden["student_sims"]]
        assert_close(found, golden[name])


def test_distillation_per_teacher(golden):
    own = torch.arange(golden["student_sims"].shape[1])
    teachers = pool_teachers(torch.from_numpy(golden["teacher_sims"]), "each")
    for name in (name for name in golden if name.endswith("_per_teacher")):
        temperature = float(name.removeprefix("distillation_tau").split("_")[0])
        found = [
            [distillation(torch.from_numpy(sims), teacher, own, temperature) for teacher in teachers]
            for sims in golden["student_sims"]
        ]
        assert_close(found, golden[name])


@pytest.mark.parametrize("pooling", ["min", "max", "mean"])
def test_regression_on_pooled_similarities(golden, pooling):
    pooled = pool_teachers(torch.from_numpy(golden["teacher_sims"]), pooling)[0]
    found = [regression(torch.from_numpy(sims), pooled) for sims in golden["student_sims"]]
    assert_close(found, golden[f"smooth_l1_elementwise_{pooling}"])


def test_max_margin(golden):
    own = torch.arange(golden["student_sims"].shape[1])
    found = [max_margin(torch.from_numpy(sims), own, 0.2) for sims in golden["student_sims"]]
    assert_close(found, golden["max_margin_0.2"])
