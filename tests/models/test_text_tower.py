import pytest
import torch
from torch import nn

from polyreel.models.layers import GatedLinear
from polyreel.models.settings import TextSettings
from polyreel.models.text import TextTower, build_backbone


def build(texts, **settings):
    torch.manual_seed(0)
    chosen = TextSettings(width=16, **settings)
    return TextTower(build_backbone(chosen, texts), chosen, embed_dim=8)


def test_norm_and_gate_are_there_unless_switched_off(texts):
    tower, plain = build(texts), build(texts, layer_norm=False, gate=False)
    assert isinstance(tower.norm, nn.LayerNorm)
    assert tower.norm.eps == 1e-6
    assert isinstance(tower.project, GatedLinear)
    vectors = plain.backbone(plain.tokenize(texts))
    torch.testing.assert_close(plain(plain.tokenize(texts)), plain.project(vectors))
    assert isinstance(plain.project, nn.Linear)


def test_it_is_backbone_norm_projection(texts):
    tower = build(texts)
    tokens = tower.tokenize(texts)
    torch.testing.assert_close(tower(tokens), tower.project(tower.norm(tower.backbone(tokens))))
    assert tower(tokens).shape == (len(texts), 8)


def test_dropout_is_for_training_only(texts):
    tower = build(texts, dropout=0.5)
    tokens = tower.tokenize(texts)
    assert not torch.equal(tower.train()(tokens), tower(tokens))
    assert torch.equal(tower.eval()(tokens), tower(tokens))


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_frozen_backbone_keeps_its_weights_while_the_rest_learns(texts, is_frozen):
    tower = build(texts, is_frozen=is_frozen)
    tower(tower.tokenize(texts)).square().sum().backward()
    assert (tower.backbone.table.learnt.grad is None) == is_frozen
    assert tower.project.linear.weight.grad is not None


def test_a_frozen_encoder_has_no_dropout_in_training(texts, bert_folder):
    frozen = build(texts, backbone=str(bert_folder), is_frozen=True).train()
    tokens = frozen.tokenize(texts)
    assert torch.equal(frozen(tokens), frozen(tokens))
    learning = build(texts, backbone=str(bert_folder)).train()
    assert not torch.equal(learning(tokens), learning(tokens))
