"""Packed texts give what padded ones give, in every encoder that can be packed, forward and backward."""

import copy

import pytest
import torch
from encoder_folders import MAKERS, SIZES
from transformers import ElectraConfig, ElectraModel

from polyreel.models.devices import CPU
from polyreel.models.packing import Packing, enable_packing
from polyreel.models.settings import TextSettings
from polyreel.models.text import build_backbone
from polyreel.models.tokens import Tokens

TEXTS = ["A dog", "ein Hund, sehr schnell!", "", "собака бежит", "z", "ein Hund", "a very long text, the longest"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)

    def make(name):
        place = tmp_path_factory.mktemp("packing") / name
        place.mkdir()
        MAKERS[name](place)
        return place

    return make


def padded(backbone):
    """Return the same backbone, reading padded texts."""
    other = copy.deepcopy(backbone)
    other._can_pack = False
    return other


@pytest.mark.parametrize("pooling", ["mean", "own"])
@pytest.mark.parametrize("name", MAKERS)
def test_packed_texts_give_the_vectors_and_gradients_of_padded_ones(folder, name, pooling):
    packed = build_backbone(TextSettings(backbone=str(folder(name)), pooling=pooling), []).eval()
    plain = padded(packed)
    assert packed._can_pack
    tokens, found = packed.tokenize(TEXTS), []
    for backbone in (packed, plain):
        vectors_BD = backbone(tokens)
        (vectors_BD * torch.linspace(-1, 1, vectors_BD.numel()).view_as(vectors_BD)).sum().backward()
        found.append((vectors_BD.detach(), {key: one.grad for key, one in backbone.named_parameters()}))
    (vectors, gradients), (expected, expected_gradients) = found
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
    for key, gradient in expected_gradients.items():
        if gradient is not None:
            torch.testing.assert_close(gradients[key], gradient, rtol=1e-4, atol=1e-5)


def test_a_row_holds_every_token_once_and_is_put_back_in_order():
    tokens = Tokens.from_lists([[5, 6, 7], [8], [9, 10, 11], [12, 13]])
    packing = Packing.of(tokens, CPU)
    assert packing.ids_1N.tolist() == [[8, 12, 13, 5, 6, 7, 9, 10, 11]]
    assert packing.positions_1N.tolist() == [[0, 0, 1, 0, 1, 2, 0, 1, 2]]
    assert packing.groups == ((1, 1), (1, 2), (2, 3))
    assert packing.starts.tolist() == [0, 1, 3, 6, 9]
    states_BT1 = packing.unpack(packing.ids_1N[0, :, None].float())
    expected, mask = tokens.padded(0)
    assert states_BT1[..., 0].tolist() == expected.tolist() and packing.mask_BT.tolist() == mask.tolist()


def test_an_encoder_of_another_kind_is_not_packed():
    assert not enable_packing(ElectraModel(ElectraConfig(vocab_size=20, embedding_size=8, **SIZES)))


def test_texts_do_not_see_one_another(folder):
    backbone = build_backbone(TextSettings(backbone=str(folder("LaBSE"))), []).eval()
    with torch.no_grad():
        both, alone = backbone(backbone.tokenize(["a dog", "a cat"])), backbone(backbone.tokenize(["a dog"]))
    torch.testing.assert_close(both[:1], alone)
