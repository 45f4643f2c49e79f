"""Recipes: defaults, inheritance, messages, and when two of them are the same run."""

import pytest

from polyreel.errors import RecipeError
from polyreel.training.objective_settings import TERMS, ObjectiveSettings
from polyreel.training.recipe_files import SHIPPED, load_recipe
from polyreel.training.recipes import Recipe

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
    overrides = ['teachers.runs=["a", "b", "c"]'] if name.endswith(("c2kd", "pairs")) else []
    recipe = load_recipe(name, overrides)
    assert recipe.idle_settings() == []
    lines = (SHIPPED / f"{name}.toml").read_text().splitlines()
    assert len(list(filter(None, lines))) <= 25


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
        ('[data]\ndataset="d"\nfeatures="f"\n[objective]\ncontrastive_weight=0.0\n', "weights of all terms"),
        (
            '[data]\ndataset="d"\nfeatures="f"\n[objective]\npartial_order_weight=1.0\npartials_by="teachers"\n',
            "teachers.runs is empty but objective.partials_by asks teachers",
        ),
        (
            '[data]\ndataset="d"\nfeatures="f"\n[objective]\nimitation_weight=1.0\n[teachers]\nruns=["a", "b"]\n',
            "can be imitated of one teacher, but teachers.runs names 2",
        ),
        (
            '[data]\ndataset="d"\nfeatures="f"\n[objective]\npartial_margin=0.1\n',
            "expected partial_margin < negative_margin",
        ),
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


def test_a_term_makes_its_own_settings_count_and_no_others(recipe):
    chosen = {"margin": 0.1, "num_partials": 2, "distillation_temperature": 0.7, "regression_of": "softmax"}
    assert recipe(objective=chosen).idle_settings() == sorted(f"objective.{key}" for key in chosen)
    margin = recipe(objective={**chosen, "max_margin_weight": 1})
    assert "objective.margin" not in margin.idle_settings() and "objective.num_partials" in margin.idle_settings()
    softmax = recipe(objective={**chosen, "regression_weight": 1}, teachers={"runs": ["a"]})
    assert softmax.idle_settings() == ["objective.margin", "objective.num_partials"]


def test_every_term_has_a_weight_facts_and_a_function():
    from polyreel.training.terms import FUNCTIONS

    weights = {key.removesuffix("_weight") for key in ObjectiveSettings.model_fields if key.endswith("_weight")}
    of_pairs = {"pair_distillation", "pair_alignment"}  # functions of sentence pairs, in `pairs.pair_losses`
    assert weights - {"lang"} - of_pairs == set(TERMS) == set(FUNCTIONS)
    assert {key for facts in TERMS.values() for key in facts.reads} <= set(ObjectiveSettings.model_fields)


def test_reference_is_its_settings_written_out(recipe):
    taught = {"distillation_weight": 0.5, "contrastive_weight": 0.5}
    asked = recipe(objective={**taught, "teacher_pooling": "min"}, teachers={"runs": ["a", "b"]}, reference=True)
    written_out = recipe(
        objective={**taught, "teacher_pooling": "max", "counts_english_twice": True},
        teachers={"runs": ["a", "b"]},
        video={"frame_sampling": "first"},
    )
    assert asked.expanded() == written_out
    assert asked.fingerprint == written_out.fingerprint
    assert asked.idle_settings() == []
    assert recipe(objective={**taught, "teacher_pooling": "mean"}, reference=True).expanded().objective == (
        recipe(objective={**taught, "teacher_pooling": "mean", "counts_english_twice": True}).objective
    )


def test_the_published_number_of_clips_counts_under_reference_alone(recipe):
    assert recipe(data={"num_test_clips": 1000}).idle_settings() == ["data.num_test_clips"]
    assert recipe(data={"num_test_clips": 1000}).fingerprint == recipe().fingerprint
    assert recipe(data={"num_test_clips": 1000}, reference=True).idle_settings() == []
    assert recipe(data={"num_test_clips": 1000}, reference=True).fingerprint != recipe(reference=True).fingerprint
