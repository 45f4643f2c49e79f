"""A compiled encoder says what it did before, is compiled once for all lengths, and leaves no trace in the model."""

import pytest
import torch
from torch._inductor import config

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.compiling import compile_encoder
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.student import build_student

# torch's compiler warns of parts of torch that it calls itself
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "UserWarning")]
TEXTS = ["A dog", "ein Hund, sehr schnell!", "", "z", "ein Hund", "a very long text, the longest"]


@pytest.fixture
def encoder(bench):
    """A small pretrained BERT."""
    found = sorted(path.parent for path in bench.rglob("config.json"))
    return str(next(folder for folder in found if '"bert"' in (folder / "config.json").read_text()))


def vectors_and_gradients(backbone, texts):
    backbone.zero_grad()
    vectors_BD = backbone(backbone.tokenize(texts))
    (vectors_BD * torch.linspace(-1, 1, vectors_BD.numel()).view_as(vectors_BD)).sum().backward()
    return vectors_BD.detach(), {name: one.grad for name, one in backbone.named_parameters() if one.grad is not None}


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
@pytest.mark.parametrize("machine", [{}, {"chunk": 5}, {"recomputes": True}])
def test_a_compiled_run_learns_the_same_and_its_model_opens_like_any_other(recipe, encoder, tmp_path, machine):
    asked = recipe(text={"backbone": encoder}, schedule={"steps": 3})
    plain = train(asked, tmp_path / "plain")
    compiled = train(
        asked.model_copy(update={"machine": asked.machine.model_copy(update={**machine, "compiles": True})}),
        tmp_path / "compiled",
    )
    ours, theirs = (Retriever.load(run / "model") for run in (compiled, plain))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
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
    missing = config.patch({"cpp.cxx": ("there-is-no-such-compiler",), "force_disable_caches": True})
    with missing, pytest.raises(RecipeError, match=r"cannot compile here \(.*compiler.*install a C\+\+ compiler"):
        compile_encoder(build_student(asked, gather_material(asked)))
