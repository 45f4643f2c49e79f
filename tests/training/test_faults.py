"""What stops a run from within says where, on what, and what to lower."""

import json

import pytest
import torch
from moments import when_clips_are_read_for_the

from polyreel.errors import TrainingError
from polyreel.training.loop import train
from polyreel.training.recipe_files import merged
from polyreel.training.recipes import Recipe


def allocate_a_petabyte():
    torch.empty(2**50)


@pytest.mark.parametrize(
    ("machine", "advice"),
    [
        ({}, r"16 clips and 32 captions; set machine\.chunk = 8, which"),
        ({"chunk": 5}, r"set machine\.chunk = 2, which"),
        ({"chunk": 1}, r"set machine\.recomputes = true; then go on with --resume"),
        ({"chunk": 1, "recomputes": True}, r"lower batches\.size, which changes what is learnt"),
    ],
)
def test_memory_that_ends_names_the_setting_to_lower(recipe, tmp_path, machine, advice):
    with when_clips_are_read_for_the(1, allocate_a_petabyte), pytest.raises(TrainingError, match=advice):
        train(recipe(machine=machine), tmp_path / "run")


def test_another_error_of_a_step_is_passed_on(recipe, tmp_path):
    def break_something():
        raise RuntimeError("a bug")

    with when_clips_are_read_for_the(1, break_something), pytest.raises(RuntimeError, match="a bug"):
        train(recipe(), tmp_path / "run")


def wild(recipe, **changes) -> Recipe:
    """Weights that become so large in one step that the next has no loss."""
    settings = {"optimizer": {"learning_rate": 1e30}, "schedule": {"learning_rate": "constant"}}
    return recipe(**merged(settings, changes))


def test_a_loss_that_is_no_number_names_clips_languages_and_captions_and_saves_the_state(recipe, tmp_path):
    with pytest.raises(TrainingError, match=r"the loss is nan at step \d+ \(contrastive/en.*on this batch") as caught:
        train(wild(recipe), tmp_path / "run")
    captions = json.loads((tmp_path / "run" / "failed" / "batch.json").read_text())["captions"]
    assert len(captions) == 32 and {row["lang"] for row in captions} == {"en", "it"}
    first = captions[0]
    assert f"clip {first['clip_id']!r}, {first['lang']}: {first['text']!r}" in str(caught.value)
    assert "lower optimizer.learning_rate or set optimizer.max_gradient_norm" in str(caught.value)
    assert list((tmp_path / "run" / "failed").glob("step-*.safetensors"))


def test_a_loss_of_sentence_pairs_that_is_no_number_names_pairs(paired, tmp_path):
    with pytest.raises(TrainingError, match=r"\(pair_distillation/it.*on this batch: pair \d+, it: 'un ") as caught:
        train(wild(paired, objective={"contrastive_weight": 0.0}), tmp_path / "run")
    pairs = json.loads((tmp_path / "run" / "failed" / "batch.json").read_text())["pairs"]
    assert len(pairs) == 16 and all(row["english"].startswith("a ") for row in pairs)
    assert f"pair {pairs[0]['pair']}, it: {pairs[0]['text']!r}" in str(caught.value)


def test_weights_that_became_no_numbers_are_blamed_on_the_batch_before_and_never_saved(recipe, tmp_path):
    asked = wild(recipe, optimizer={"learning_rate": 1e-3}, machine={"save_every_seconds": 0})

    def spoil(done, total, doing):
        if done == 4 and total == 30:
            for weight in watched:
                weight.data.fill_(float("nan"))

    watched = []
    hook = torch.nn.modules.module.register_module_parameter_registration_hook(
        lambda module, name, weight: watched.append(weight) if name == "learnt" else None
    )
    try:
        with pytest.raises(TrainingError, match="after weights became no numbers on the batch before"):
            train(asked, tmp_path / "run", progress=spoil)
    finally:
        hook.remove()
    for file in (tmp_path / "run" / "checkpoints").glob("step-*"):
        assert int(file.stem.removeprefix("step-")) <= 4
