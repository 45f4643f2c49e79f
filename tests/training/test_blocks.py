"""Blocks of rows give the terms and gradients of whole matrices, in double precision to its rounding."""

import pytest
import torch
from torch.nn.functional import normalize

from polyreel.training.blocks import IN_BLOCKS, descend_in_blocks
from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.scored import AskedLang, ScoredBatch, ScoredLang
from polyreel.training.terms import objective

CLIPS, ROWS, WIDTH, TEACHERS = 11, 8, 5, 3
WEIGHTS = torch.linspace(0.2, 1.5, ROWS, dtype=torch.float64)


def unit(*shape, seed):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


def asked(*, counted=None, weights=None, read=(0, 2, 3, 6, 7)):
    return AskedLang(
        columns_R=torch.tensor([9, 0, 4, 2, 10, 7, 1, 5]),
        counted_R=None if counted is None else torch.tensor(counted, dtype=torch.int64),
        weights_R=weights,
        rows_V=torch.tensor(read, dtype=torch.int64),
        heard=tuple(unit(len(read), 4 + k, seed=k) for k in range(TEACHERS)),
        seen=tuple(unit(CLIPS, 4 + k, seed=10 + k) for k in range(TEACHERS)),
    )


def whole(settings, lang, about, clips, texts, weights_K):
    sims = ScoredLang(
        texts_RD=texts,
        student_RC=texts @ clips.T,
        columns_R=about.columns_R,
        taught=about.taught,
        counted_R=about.counted_R,
        weights_R=about.weights_R,
    )
    batch = ScoredBatch(clips_CD=clips, by_lang={lang: sims}, teacher_weights_K=weights_K)
    return objective(settings, batch)


CASES = {
    "plain": asked(),
    "some count": asked(counted=[1, 2, 5]),
    "none counts, none read": asked(counted=[], read=()),
    "weighed": asked(weights=WEIGHTS),
    "weighed, some count": asked(counted=[0, 5, 7], weights=WEIGHTS),
}


@pytest.mark.parametrize("pooling", ["max", "each", "learnt"])
@pytest.mark.parametrize("rows_at_once", [1, 3, 512])
@pytest.mark.parametrize("about", CASES.values(), ids=CASES)
def test_terms_and_gradients_are_those_of_whole_matrices(monkeypatch, about, rows_at_once, pooling):
    monkeypatch.setattr("polyreel.training.blocks.ROWS_AT_ONCE", rows_at_once)
    settings = ObjectiveSettings(
        contrastive_weight=0.5,
        distillation_weight=0.7,
        teacher_pooling=pooling,
        lang_weight={"en": 3.0},
        counts_english_twice=True,
    )
    weights_K = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64) if pooling == "learnt" else None
    clips, texts = unit(CLIPS, WIDTH, seed=20).requires_grad_(), unit(ROWS, WIDTH, seed=21).requires_grad_()
    expected = whole(settings, "en", about, clips, texts, weights_K)
    fitted = expected.parts.pop("teacher_weights/en", torch.zeros(())) * (weights_K is not None)
    expected.total.backward()
    grads = torch.ones_like(clips), torch.ones_like(texts)  # what is there already stays
    own = ((clips.detach(), grads[0]), (texts.detach(), grads[1]))
    found = descend_in_blocks(settings, "en", about, *own, teachers_lang="en", teacher_weights_K=weights_K)
    assert list(found.parts) == [f"{name}/en" for name in IN_BLOCKS] == list(expected.parts)
    for name, part in expected.parts.items():
        torch.testing.assert_close(found.parts[name], part, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.total + fitted, expected.total.detach(), rtol=1e-12, atol=1e-14)
    for grad, leaf in zip(grads, (clips, texts), strict=True):
        torch.testing.assert_close(grad - 1, leaf.grad, rtol=1e-12, atol=1e-13)


def test_terms_that_are_not_asked_for_are_left_out():
    clips, texts = unit(CLIPS, WIDTH, seed=20), unit(ROWS, WIDTH, seed=21)
    grads = torch.zeros_like(clips), torch.zeros_like(texts)
    settings = ObjectiveSettings(contrastive_weight=0.0, max_margin_weight=1.0)
    found = descend_in_blocks(settings, "de", asked(), (clips, grads[0]), (texts, grads[1]), teachers_lang="en")
    assert found.parts == {} and found.total == 0 and not grads[0].any() and not grads[1].any()
