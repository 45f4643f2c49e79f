"""Gradient caching is exact: chunks of any size give the loss and the gradients of the plain large batch."""

import numpy as np
import pytest
import torch

from polyreel.training.batches import sample_batches
from polyreel.training.descent import cut_at_embeddings, in_one_piece
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.processes import Processes
from polyreel.training.runs import RunFolder
from polyreel.training.under_way import Training

EVERYTHING = {
    "distillation_weight": 1,
    "regression_weight": 0.3,
    "max_margin_weight": 0.3,
    "partial_order_weight": 0.3,
    "self_teaching_weight": 0.3,
    "teacher_pooling": "learnt",
}
PAIRS = {"pair_distillation_weight": 0.5, "pair_alignment_weight": 0.5}
BEYOND = PAIRS | {"whole_bank_weight": 0.5}
BETWEEN_LANGS = {"text_contrast_weight": 0.5, "conditional_weight": 0.5, "one_to_k_weight": 0.5}
DEEP = {"text": {"num_layers": 2}, "video": {"pooling": "transformer", "width": 16, "num_layers": 1}}


@pytest.fixture(scope="module")
def teachers(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    asked = [recipe(data={"langs": ["en"]}, schedule={"steps": steps, "keep": "last"}) for steps in (20, 2)]
    return [str(train(one, folder / str(number))) for number, one in enumerate(asked)]


def gradients(asked, folder, is_cut):
    training = Training(asked, gather_material(asked), RunFolder(folder))
    drawn = sample_batches(training.table, 16, "independent", seed=1)
    batch = next(training.beyond.added_to(drawn, first_step=0))
    logits_K = training.stepper.teacher_logits_K
    weights_K = None if logits_K is None else logits_K.softmax(0)
    arguments = (training.scorer, asked.objective, batch, weights_K)
    loss, backward = cut_at_embeddings(*arguments, Processes()) if is_cut else in_one_piece(*arguments)
    backward()
    found = {name: weight.grad for name, weight in training.model.named_parameters() if weight.grad is not None}
    return loss, found | ({} if logits_K is None else {"teachers": logits_K.grad})


CASES = [EVERYTHING, EVERYTHING | BETWEEN_LANGS | BEYOND, {"contrastive_weight": 1}, BEYOND, PAIRS]


@pytest.mark.parametrize("terms", CASES)
@pytest.mark.parametrize("chunk", [None, 1, 5])
def test_the_loss_and_all_gradients_are_those_of_the_plain_batch(recipe, teachers, tmp_path, terms, chunk):
    runs = teachers if len(terms) > 1 else []
    pairs = tmp_path / "toy.en-sw.tsv"
    pairs.write_text("a red dog\tmbwa mwekundu\na blue cat\tpaka wa bluu\na horse\tfarasi\n", encoding="utf-8")
    beyond = {"pairs": {"files": [str(pairs)], "size": 2}, "bank": {"sample": 4, "hard": 1}}
    plain = recipe(**DEEP, objective=terms, teachers={"runs": runs}, **beyond)
    cut = plain.model_copy(update={"machine": plain.machine.model_copy(update={"chunk": chunk})})
    loss, expected = gradients(plain, tmp_path / "plain", is_cut=False)
    other, found = gradients(cut, tmp_path / "cut", is_cut=True)
    assert other.total.item() == pytest.approx(loss.total.item(), rel=1e-6)
    assert other.parts.keys() == loss.parts.keys() and found.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=1e-5, err_msg=name)


def test_dropout_is_the_same_when_a_chunk_is_embedded_again(recipe, tmp_path):
    """With other random numbers the second time, the gradient would not be that of the loss."""
    asked = recipe(text={"dropout": 0.5}, machine={"chunk": 4})
    training = Training(asked, gather_material(asked), RunFolder(tmp_path))
    training.model.train()
    batch = next(sample_batches(training.table, 16, "independent", seed=1))

    def loss_of():
        torch.manual_seed(3)
        return cut_at_embeddings(training.scorer, asked.objective, batch, None, Processes())

    weight, step = training.model.text.project.linear.bias, 1e-2
    loss_of()[1]()
    direction = torch.randn_like(weight)
    slope = (weight.grad @ direction).item()
    moved = []
    for sign in (1, -1):
        weight.data += sign * step * direction
        moved.append(loss_of()[0].total.item())
        weight.data -= sign * step * direction
    assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(slope, rel=0.02)
