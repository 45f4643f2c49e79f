"""Which weights learn: freezing by name, LoRA that is merged when saved, blocks that compute twice."""

import numpy as np
import pytest
import torch

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.adaptation import adapt, layers, merge, recompute
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.optimization import make_optimizer
from polyreel.training.scale_settings import AdaptSettings
from polyreel.training.schedule_settings import OptimizerSettings
from polyreel.training.student import build_student

TEXTS = ["a red dog", "un gatto blu"]


def tensors(run):
    return Retriever.load(run / "model").state_dict()


def test_frozen_parts_keep_their_weights_and_the_others_learn(recipe, tmp_path):
    asked = recipe(text={"num_layers": 1}, adapt={"frozen": ["video", "text.backbone.table"]})
    start = build_student(asked, gather_material(asked)).state_dict()
    end = tensors(train(asked, tmp_path / "run"))
    same = {name for name, tensor in start.items() if torch.equal(tensor, end[name])}
    assert same == {name for name in start if name.startswith(("video.", "text.backbone.table."))}


def test_a_part_that_is_not_there_is_refused_with_the_nearest_name(recipe):
    asked = recipe(adapt={"frozen": ["text.bakbone"]})
    with pytest.raises(
        RecipeError, match=r"'text\.bakbone', which the model does not have; did you mean 'text\.backbone'"
    ):
        build_student(asked, gather_material(asked))
    nothing = recipe(adapt={"frozen": ["video", "text"]})
    with pytest.raises(RecipeError, match="names video, text, and nothing is left that learns"):
        build_student(nothing, gather_material(nothing))


def test_lora_learns_small_updates_and_the_saved_model_is_like_any_other(recipe, encoder, tmp_path):
    asked = recipe(text={"backbone": encoder}, adapt={"lora_rank": 2}, optimizer={"learning_rate": 0.01})
    run = train(asked, tmp_path / "run")
    plain = recipe(text={"backbone": encoder})
    start, end = build_student(plain, gather_material(plain)).state_dict(), tensors(run)
    assert end.keys() == start.keys(), "nothing in the folder tells of LoRA"
    changed = {name for name, tensor in start.items() if not torch.equal(tensor, end[name])}
    of_encoder = {name for name in changed if name.startswith("text.backbone")}
    assert of_encoder and all(name.endswith(".weight") and end[name].dim() == 2 for name in of_encoder)
    assert not any("embeddings" in name or "LayerNorm" in name for name in of_encoder)
    for name in of_encoder:
        assert torch.linalg.matrix_rank(end[name] - start[name], atol=1e-4) <= 2


def test_merged_weights_say_what_the_adapted_model_says(recipe, encoder):
    asked = recipe(text={"backbone": encoder}, adapt={"lora_rank": 2, "lora_targets": ["query", "value"]})
    model = build_student(asked, gather_material(asked))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    adapted = model.encode_text(TEXTS)
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 2 * len(layers(model.text.backbone))
    merge(model)
    assert not any("lora" in name for name, _ in model.named_parameters())
    np.testing.assert_allclose(model.encode_text(TEXTS), adapted, atol=1e-5)


def test_lora_goes_on_after_a_stop_to_the_same_bytes(recipe, encoder, tmp_path):
    asked = recipe(text={"backbone": encoder}, adapt={"lora_rank": 2, "lora_dropout": 0.1}, schedule={"steps": 12})

    def interrupt(done, total, doing):
        if (done, total) == (7, 12):
            raise KeyboardInterrupt

    whole = train(asked, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    train(asked, tmp_path / "cut", resume=True)
    models = [run / "model" / "model.safetensors" for run in (whole, tmp_path / "cut")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_lora_where_it_cannot_be_is_refused(recipe, encoder):
    with pytest.raises(RecipeError, match=r'lora_rank is 4 and text\.backbone is "subword"; LoRA is for a pretrained'):
        recipe(adapt={"lora_rank": 4}).check()
    with pytest.raises(RecipeError, match=r"lora_rank is 4 and text\.is_frozen is true"):
        recipe(text={"backbone": encoder, "is_frozen": True}, adapt={"lora_rank": 4}).check()
    asked = recipe(text={"backbone": encoder}, adapt={"lora_rank": 4, "lora_targets": ["qeury"]})
    with pytest.raises(RecipeError, match=r"lora_targets is qeury, but the encoder's linear maps end in .*query"):
        build_student(asked, gather_material(asked))


def test_settings_of_lora_without_a_rank_and_of_layers_that_are_not_there_have_no_effect(recipe):
    asked = recipe(adapt={"lora_alpha": 3}, optimizer={"layer_decay": 0.5})
    assert asked.idle_settings() == ["adapt.lora_alpha", "optimizer.layer_decay"]
    assert asked.fingerprint == recipe().fingerprint == recipe(machine={"chunk": 3}).fingerprint
    assert recipe(adapt={"frozen": ["video"]}).fingerprint != recipe().fingerprint


def test_blocks_that_compute_twice_give_the_same_weights(recipe, encoder, tmp_path):
    for name, text in (("subword", {"num_layers": 2}), ("bert", {"backbone": encoder})):
        changes = {"text": text, "video": {"pooling": "transformer", "width": 16}, "schedule": {"steps": 3}}
        plain, twice = (
            train(recipe(**changes, machine={"recomputes": flag}), tmp_path / f"{name}{flag}") for flag in (False, True)
        )
        for weight, tensor in tensors(plain).items():
            torch.testing.assert_close(tensors(twice)[weight], tensor, msg=weight)


def test_a_block_that_computes_twice_keeps_no_activations(recipe):
    asked = recipe(text={"num_layers": 3})
    model = build_student(asked, gather_material(asked))
    tokens, kept = model.text.tokenize(["a red dog is there"] * 50), []

    def bytes_kept():
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.nbytes) or tensor, lambda x: x):
            model.embed_texts(tokens)
        return sum(kept)

    plain = bytes_kept()
    assert recompute(model) == 3
    assert bytes_kept() < plain / 3


def test_each_layer_has_its_share_of_the_rate(recipe):
    asked = recipe(text={"num_layers": 3})
    model = build_student(asked, gather_material(asked))
    settings = OptimizerSettings(learning_rate=0.1, backbone_learning_rate=0.08, layer_decay=0.5)
    optimizer = make_optimizer(settings, model)
    peak = {id(weight): group["peak"] for group in optimizer.param_groups for weight in group["params"]}
    assert peak.keys() == {id(weight) for weight in model.parameters()}
    for number, block in enumerate(layers(model.text.backbone)):
        assert {peak[id(weight)] for weight in block.parameters()} == {0.08 * 0.5 ** (2 - number)}
    assert peak[id(model.text.backbone.table.learnt)] == 0.08 * 0.5**3
    assert peak[id(model.text.project.linear.weight)] == 0.1
    flat = recipe()
    with pytest.raises(RecipeError, match=r"layer_decay is 0\.5, but this text backbone has no layers"):
        make_optimizer(settings, build_student(flat, gather_material(flat)))


def test_adapting_nothing_changes_nothing(recipe):
    asked = recipe()
    model = build_student(asked, gather_material(asked))
    adapt(model, AdaptSettings())
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_late_released_encoder_keeps_its_weights_until_then(recipe, encoder, tmp_path):
    held = {"text": {"backbone": encoder, "dropout": 0.0}, "schedule": {"steps": 10, "learning_rate": "constant"}}
    start = build_student(recipe(**held), gather_material(recipe(**held))).state_dict()
    ends = {
        epochs: tensors(train(recipe(**held, adapt={"release_after_epochs": epochs}), tmp_path / f"after-{epochs}"))
        for epochs in (1, 2)
    }
    of_encoder = [name for name in start if name.startswith("text.backbone")]
    assert all(torch.equal(ends[2][name], start[name]) for name in of_encoder), "10 steps are two epochs of five"
    assert not all(torch.equal(ends[1][name], start[name]) for name in of_encoder)
    assert not torch.equal(ends[2]["text.project.linear.weight"], start["text.project.linear.weight"])


def test_a_late_release_goes_on_after_a_stop(recipe, encoder, tmp_path):
    def interrupt(done, total, doing):
        if total == 10 and done == 3:
            raise KeyboardInterrupt

    asked = recipe(text={"backbone": encoder}, adapt={"release_after_epochs": 1}, schedule={"steps": 10})
    whole = tensors(train(asked, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    cut = tensors(train(asked, tmp_path / "cut", resume=True))
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize(("text", "found"), [({}, 'backbone is "subword"'), ({"is_frozen": True}, "is_frozen is true")])
def test_what_is_never_held_or_never_learns_cannot_be_released(recipe, encoder, text, found):
    backbone = {"backbone": encoder} if text else {}
    with pytest.raises(RecipeError, match=f"release_after_epochs is 3 and text.{found}; a late release is for a"):
        recipe(text={**backbone, **text}, adapt={"release_after_epochs": 3}).check()
