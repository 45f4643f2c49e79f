"""Recipes: defaults, inheritance, messages, and when two of them are the same run."""

import pytest

from polyreel.errors import RecipeError
from polyreel.training.recipes import SHIPPED, Recipe, load_recipe

SHIPPED_RECIPES = sorted(
    str(path.relative_to(SHIPPED).with_suffix(""))
    for path in SHIPPED.glob("*/*.toml")
    if "title" not in path.read_text() and path.stem != "import"
)


def write(folder, name, text):
    (folder / f"{name}.toml").write_text(text)
    return folder / f"{name}.toml"


@pytest.mark.parametrize("name", SHIPPED_RECIPES)
def test_shipped_recipes_are_valid_short_and_have_no_idle_settings(name):
    overrides = ['teachers.runs=["a", "b", "c"]'] if name.endswith("c2kd") else []
    recipe = load_recipe(name, overrides)
    assert recipe.idle_settings() == []
    assert len((SHIPPED / f"{name}.toml").read_text().splitlines()) <= 32


def test_defaults_are_the_papers():
    recipe = Recipe.model_validate({"data": {"dataset": "d", "features": "f"}})
    assert (recipe.objective.temperature, recipe.objective.distillation_temperature) == (0.05, 0.1)
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.schedule.decay) == ("adam", 1e-4, 0.9)
    assert (recipe.batches.size, recipe.schedule.epochs, recipe.embed_dim, recipe.video.max_frames) == (64, 20, 512, 30)


def test_a_recipe_extends_another_and_overrides_win(tmp_path):
    parent = write(tmp_path, "parent", '[data]\ndataset = "d"\nfeatures = "f"\nlangs = ["en"]\n[batches]\nsize = 32\n')
    child = write(tmp_path, "child", f'extends = "{parent}"\n[data]\nlangs = ["en", "de"]\n')
    recipe = load_recipe(child, ["batches.size=16", "data.features=other"])
    assert recipe.data.langs == ("en", "de")
    assert (recipe.data.dataset, recipe.data.features, recipe.batches.size) == ("d", "other", 16)


def test_the_resolved_recipe_reads_back_as_itself(tmp_path):
    recipe = load_recipe("msrvtt1k/translate-train", ["data.captions_per_clip.it=1"])
    assert load_recipe(write(tmp_path, "resolved", recipe.to_toml())) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[data]\ndataset="d"\nfeatures="f"\n[objectives]\n', "unknown key 'objectives'; did you mean 'objective'?"),
        (
            '[data]\ndataset="d"\nfeatures="f"\n[objective]\ntemprature=0.1\n',
            "unknown key 'objective.temprature'; did you mean 'temperature'?",
        ),
        ('[data]\ndataset="d"\n', "the key 'data.features' is missing"),
        ('[data]\ndataset="d"\nfeatures="f"\n[batches]\nsize=1\n', "'batches.size' is 1: input should be greater"),
        (
            '[data]\ndataset="d"\nfeatures="f"\n[objective]\nteacher_pooling="median"\n',
            "should be 'min', 'max', 'mean'",
        ),
        ('[data]\ndataset="d"\nfeatures="f"\n[objective]\ndistillation_weight=0.5\n', "teachers.runs is empty"),
        ('[data]\ndataset="d"\nfeatures="f"\n[objective]\ncontrastive_weight=0.0\n', "both 0"),
        ("[data\n", "not valid TOML"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, "wrong", text))
    assert message in str(caught.value)


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(RecipeError, match=r"neither a .toml file nor a shipped recipe; shipped are .*msrvtt1k/c2kd"):
        load_recipe("msrvtt1k/c2kdd")


def test_an_override_must_be_a_setting():
    with pytest.raises(RecipeError, match=r"'batches\.size' is no setting; write key=value"):
        load_recipe("msrvtt1k/zero-shot", ["batches.size"])


def test_settings_without_effect_are_named_and_change_no_fingerprint(recipe):
    plain = recipe()
    idle = recipe(
        objective={"distillation_temperature": 0.7, "teacher_pooling": "mean"},
        teachers={"runs": ["a"]},
        video={"width": 64},
        data={"captions_per_clip": {"de": 3}},
    )
    assert idle.idle_settings() == [
        "data.captions_per_clip.de",
        "objective.distillation_temperature",
        "objective.teacher_pooling",
        "teachers.runs",
        "video.width",
    ]
    assert idle.fingerprint == plain.fingerprint
    assert recipe(seed=2).fingerprint != plain.fingerprint
    assert recipe(data={"captions_per_clip": {"it": 1}}).fingerprint != plain.fingerprint
