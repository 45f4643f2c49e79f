"""A compiled encoder says what it did before, is compiled once for all lengths, and leaves no trace in the model."""

import json
import shutil

import pytest
import torch
from torch._inductor import config as inductor

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.compiling import compile_encoder
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.student import build_student

# torch's compiler warns of parts of torch that it calls itself
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "UserWarning")]
TEXTS = ["A dog", "ein Hund, sehr schnell!", "", "z", "ein Hund", "a very long text, the longest"]


def vectors_and_gradients(backbone, texts):
    backbone.zero_grad()
    vectors_BD = backbone(backbone.tokenize(texts))
    (vectors_BD * torch.linspace(-1, 1, vectors_BD.numel()).view_as(vectors_BD)).sum().backward()
    return vectors_BD.detach(), {name: one.grad for name, one in backbone.named_parameters() if one.grad is not None}


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.slow
def test_a_compiled_encoder_has_the_same_vectors_and_gradients_and_is_compiled_once(recipe, encoder):
    asked = recipe(text={"backbone": encoder})
    model = build_student(asked, gather_material(asked)).eval()
    backbone, names = model.text.backbone, set(model.state_dict())
    batches = [TEXTS, TEXTS[:3] * 2, TEXTS[1:], TEXTS * 2, TEXTS[4:5] * 3, *(TEXTS[:count] for count in range(2, 6))]
    expected = [vectors_and_gradients(backbone, texts) for texts in batches]
    compile_encoder(model)
    vectors_and_gradients(backbone, TEXTS)
    with torch.compiler.set_stance("fail_on_recompile"):
        found = [vectors_and_gradients(backbone, texts) for texts in batches]
    for (vectors, gradients), (plain, plain_gradients) in zip(found, expected, strict=True):
        torch.testing.assert_close(vectors, plain, rtol=1e-5, atol=1e-5)
        for name, gradient in plain_gradients.items():
            torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5)
    assert set(model.state_dict()) == names


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [None, 5])
def test_a_compiled_run_learns_the_same_and_its_model_opens_like_any_other(recipe, encoder, tmp_path, chunk):
    calm = tmp_path / "encoder"  # without dropout, whose random numbers are others where it is compiled
    shutil.copytree(encoder, calm)
    config = json.loads((calm / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (calm / "config.json").write_text(json.dumps(config))
    plain, compiled = (
        train(
            recipe(
                text={"backbone": str(calm)}, schedule={"steps": 10}, machine={"compiles": compiles, "chunk": chunk}
            ),
            tmp_path / str(compiles),
        )
        for compiles in (False, True)
    )
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-3)
    ours, theirs = (Retriever.load(run / "model").state_dict() for run in (compiled, plain))
    assert ours.keys() == theirs.keys()
    for file in (compiled / "model").rglob("*.json"):
        assert file.read_bytes() == (plain / "model" / file.relative_to(compiled / "model")).read_bytes(), file


def test_a_backbone_without_layers_is_refused(recipe):
    asked = recipe(machine={"compiles": True})
    assert asked.idle_settings() == [] and asked.fingerprint == recipe().fingerprint
    with pytest.raises(RecipeError, match=r"machine\.compiles is true, but this text backbone has no layers"):
        compile_encoder(build_student(asked, gather_material(asked)))


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_what_is_missing(recipe):
    asked = recipe(text={"num_layers": 1})
    torch.compiler.reset()
    missing = inductor.patch({"cpp.cxx": ("there-is-no-such-compiler",), "force_disable_caches": True})
    with missing, pytest.raises(RecipeError, match=r"cannot compile here \(.*compiler.*install a C\+\+ compiler"):
        compile_encoder(build_student(asked, gather_material(asked)))


def test_layers_that_are_to_be_computed_twice_are_not_compiled(recipe):
    with pytest.raises(RecipeError, match=r"machine\.compiles and machine\.recomputes are both true"):
        recipe(machine={"compiles": True, "recomputes": True}).check()
