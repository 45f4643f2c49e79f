"""Rates by hand, step by step; who is moved at which rate; what decays."""

import math

import pytest
import torch

from polyreel.data.feature_settings import FeatureSettings
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.training.optimization import clip_gradients, make_optimizer, rate_factor, set_rate
from polyreel.training.schedule_settings import OptimizerSettings, ScheduleSettings


@pytest.fixture
def make_model():
    def make(**text):
        torch.manual_seed(1)
        return Retriever.build(
            TextSettings(vocab_size=30, width=4, **text),
            VideoSettings(pooling="mean"),
            FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=3),
            embed_dim=5,
            langs=["en"],
            training_texts=["a red dog", "a red cat"],
        )

    return make


def test_exponential_decay_falls_once_an_epoch():
    settings = ScheduleSettings(decay=0.5)
    found = [rate_factor(settings, step, 8, 3) for step in range(8)]
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_one_cycle_rises_linearly_and_falls_along_half_a_cosine():
    settings = ScheduleSettings(learning_rate="one-cycle", warm_up=0.4)
    found = [rate_factor(settings, step, 10, 3) for step in range(10)]
    falling = [(1 + math.cos(math.pi * share / 6)) / 2 for share in range(6)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, *falling])
    assert rate_factor(ScheduleSettings(learning_rate="one-cycle", warm_up=0), 0, 10, 3) == 1
    assert rate_factor(ScheduleSettings(learning_rate="constant"), 9, 10, 3) == 1


def test_the_backbone_may_have_a_rate_of_its_own_and_all_follow_the_schedule(make_model):
    model = make_model()
    optimizer = make_optimizer(OptimizerSettings(learning_rate=0.1, backbone_learning_rate=0.01), model)
    set_rate(optimizer, 0.5)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    for name, weight in model.named_parameters():
        assert rates[id(weight)] == (0.005 if name.startswith("text.backbone.") else 0.05)
    same = make_optimizer(OptimizerSettings(learning_rate=0.1), model)
    assert [group["peak"] for group in same.param_groups] == [0.1, 0.1]


def test_a_frozen_backbone_is_not_moved(make_model):
    model = make_model(is_frozen=True)
    optimizer = make_optimizer(OptimizerSettings(), model)
    moved = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    still = {name for name, weight in model.named_parameters() if id(weight) not in moved}
    assert still == {"text.backbone.table.learnt"}


@pytest.mark.parametrize(("name", "shrinks"), [("adamw", True), ("adam", False)])
def test_only_adamw_decays_weights(make_model, name, shrinks):
    model = make_model()
    weight = model.text.project.linear.weight
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    make_optimizer(OptimizerSettings(name=name, learning_rate=0.1, weight_decay=0.5), model).step()
    torch.testing.assert_close(weight.detach(), before * (1 - 0.1 * 0.5) if shrinks else before)


def test_gradients_are_scaled_down_only_where_a_norm_is_named(make_model):
    model = make_model()
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    clip_gradients(model, OptimizerSettings())
    norm = math.sqrt(sum(weight.numel() for weight in model.parameters()))
    assert torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm().item() == pytest.approx(norm)
    clip_gradients(model, OptimizerSettings(max_gradient_norm=0.25))
    found = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm().item()
    assert found == pytest.approx(0.25, rel=1e-4)
