"""Recipe: everything one training run is asked to do, read from TOML.

A recipe states only what differs from the defaults, which are the C2KD paper's; it may build on another with
`extends = "name"`. Recipes that ship with polyreel are named like `msrvtt1k/c2kd`; any other is a path to a file.
Zero-shot, translate-train and C2KD are the same loop under three settings: `data.langs`, `objective` and `teachers`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import Field

from polyreel.errors import RecipeError
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.settings import Settings, Table, parse, read_toml
from polyreel.storage import fingerprint

SHIPPED = Path(__file__).parents[1] / "recipes"

TeacherPooling = Literal["min", "max", "mean", "each"]


class DataSettings(Settings):
    """What is learned from."""

    dataset: str = Field(description="folder of a polyreel dataset")
    features: str = Field(description="name of the extractor whose features are read")
    langs: tuple[str, ...] = Field(default=(), description="languages trained on; none named: all the dataset has")
    train_split: str = Field(default="train", description="split to learn from")
    val_split: str = Field(default="val", description="split to choose the epoch on")
    captions_per_clip: dict[str, int] = Field(
        default={}, description="by language: use only the first so many captions of each training clip"
    )


class ObjectiveSettings(Settings):
    """What is minimised: the weighted sum of the contrastive and the distillation term, summed over languages."""

    contrastive_weight: float = Field(default=1.0, ge=0, description="weight of the contrastive term")
    distillation_weight: float = Field(
        default=0.0, ge=0, description="weight of the distillation term; above 0 needs teachers"
    )
    temperature: float = Field(default=0.05, gt=0, description="divides similarities in the contrastive term")
    distillation_temperature: float = Field(
        default=0.1, gt=0, description="divides student's and teachers' similarities alike"
    )
    teacher_pooling: TeacherPooling = Field(default="max", description="what is done to the teachers' similarities")
    lang_weight: dict[str, float] = Field(default={}, description="weight of a language's terms; 1 for those not named")


class TeacherSettings(Settings):
    """Who is imitated."""

    runs: tuple[str, ...] = Field(default=(), description="folders of finished runs")
    lang: str = Field(default="en", description="language the teachers are asked in")


class BatchSettings(Settings):
    """How a step's captions and clips are drawn."""

    size: int = Field(default=64, ge=2, description="distinct clips in a batch")
    sampling: Literal["independent", "parallel"] = Field(
        default="independent",
        description="each language draws its own caption of a clip, or all draw the same sentence",
    )


class OptimizerSettings(Settings):
    """How weights move."""

    name: Literal["adam", "adamw"] = Field(default="adam", description="adamw decays weights apart from the gradient")
    learning_rate: float = Field(default=1e-4, gt=0, description="of everything but the text backbone")
    backbone_learning_rate: float | None = Field(default=None, gt=0, description="of the text backbone; None: the same")
    weight_decay: float = Field(default=0.0, ge=0, description="for adamw")
    max_gradient_norm: float | None = Field(default=None, gt=0, description="gradients are clipped to it; None: never")


class ScheduleSettings(Settings):
    """How long, how fast, and how often it is checked."""

    epochs: int = Field(default=20, ge=1, description="passes over the training clips; unused where `steps` is set")
    steps: int | None = Field(default=None, ge=1, description="number of steps")
    learning_rate: Literal["exponential", "one-cycle", "constant"] = Field(
        default="exponential", description="exponential: x decay an epoch; one-cycle: linear up, cosine down to 0"
    )
    decay: float = Field(default=0.9, gt=0, le=1, description="factor an epoch, for exponential")
    warm_up: float = Field(default=0.1, ge=0, lt=1, description="share of the steps that rise, for one-cycle")
    validate_every_steps: int | None = Field(default=None, ge=1, description="None: once an epoch")
    patience: int | None = Field(default=None, ge=1, description="stop after so many validations without a better one")


class Recipe(Settings):
    """One training run as asked for; frozen."""

    data: DataSettings
    text: TextSettings = Field(default=TextSettings(), description="the text tower")
    video: VideoSettings = Field(default=VideoSettings(), description="the video tower")
    embed_dim: int = Field(default=512, ge=1, description="width of the shared space")
    objective: ObjectiveSettings = Field(default=ObjectiveSettings(), description="what is minimised")
    teachers: TeacherSettings = Field(default=TeacherSettings(), description="who is imitated")
    batches: BatchSettings = Field(default=BatchSettings(), description="how a step is drawn")
    optimizer: OptimizerSettings = Field(default=OptimizerSettings(), description="how weights move")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="how long")
    seed: int = Field(default=1, ge=0, description="of initial weights and of sampling")

    def check(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            RecipeError: nothing to minimise, or distillation without teachers.
        """
        if self.objective.contrastive_weight == 0 and self.objective.distillation_weight == 0:
            raise RecipeError("contrastive_weight and distillation_weight are both 0; one must be above 0")
        if self.objective.distillation_weight > 0 and not self.teachers.runs:
            raise RecipeError(
                f"distillation_weight is {self.objective.distillation_weight} but teachers.runs is empty; "
                "name finished runs, or set it to 0"
            )

    def effective(self) -> "Recipe":
        """Return the recipe with every setting that has no effect put back to its default.

        Two recipes that do the same have equal effective forms, and so the same fingerprint.
        """
        return parse(Recipe, _without_idle_keys(self), "recipe")

    def idle_settings(self) -> list[str]:
        """Return the dotted names of settings that were set but have no effect here."""
        kept = _flat(self.effective().model_dump())
        return sorted(key for key, value in _flat(self.model_dump()).items() if kept.get(key) != value)

    @property
    def fingerprint(self) -> str:
        """Digest of the effective settings, seed included."""
        return fingerprint(self.effective().model_dump(mode="json"))

    def to_toml(self) -> str:
        """Return every setting, defaults included, as TOML; settings that are None are left out."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by shipped name or path.

    Args:
        name_or_path: like `msrvtt1k/c2kd`, or a path to a TOML file.
        overrides: settings in the form `objective.temperature=0.1`, values in TOML; they win.

    Raises:
        RecipeError: no such recipe, an unknown key, a value out of range, or settings that contradict one another.
    """
    values = read_recipe_table(name_or_path)
    for override in overrides:
        values = merged(values, _parse_override(override))
    recipe = parse(Recipe, values, f"recipe {str(name_or_path)!r}")
    recipe.check()
    return recipe


def read_recipe_table(name_or_path: str | Path) -> dict[str, object]:
    """Read a recipe's TOML with everything it extends, unchecked.

    Raises:
        RecipeError: no such recipe, or no TOML.
    """
    values = read_toml(find_recipe(name_or_path))
    parent = values.pop("extends", None)
    return values if parent is None else merged(read_recipe_table(str(parent)), values)


def find_recipe(name_or_path: str | Path) -> Path:
    """Return the file of a recipe or experiment: a shipped one by name, any other by path.

    Raises:
        RecipeError: there is neither; the message lists the shipped ones.
    """
    path, shipped = Path(name_or_path), SHIPPED / f"{name_or_path}.toml"
    if path.suffix == ".toml" and path.is_file():
        return path
    if shipped.is_file():
        return shipped
    names = ", ".join(
        sorted(
            str(file.relative_to(SHIPPED).with_suffix("")) for file in SHIPPED.glob("*/*.toml") if file.stem != "import"
        )
    )
    raise RecipeError(f"{str(name_or_path)!r} is neither a .toml file nor a shipped recipe; shipped are {names}")


def merged(values: Table, changes: Table) -> dict[str, object]:
    """Return nested tables with changes laid over them; `langs` and other lists are replaced whole."""
    result = dict(values)
    for key, change in changes.items():
        old = result.get(key)
        result[key] = merged(old, change) if isinstance(old, Mapping) and isinstance(change, Mapping) else change
    return result


def _parse_override(override: str) -> dict[str, object]:
    import tomllib

    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"{override!r} is no setting; write key=value, as in objective.temperature=0.1")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        return tomllib.loads(f"{key} = {tomli_w.dumps({'x': value.strip()})[4:]}")


def _without_idle_keys(recipe: Recipe) -> dict[str, object]:
    values = recipe.model_dump()
    sections = {name: section for name, section in values.items() if isinstance(section, dict)}
    for dotted in _idle_keys(recipe):
        section, key = dotted.split(".")
        sections[section].pop(key, None)
    langs = recipe.data.langs
    for section, key in (("data", "captions_per_clip"), ("objective", "lang_weight")):
        named = sections[section].get(key, {})
        sections[section][key] = {lang: value for lang, value in named.items() if not langs or lang in langs}
    return values


def _idle_keys(recipe: Recipe) -> list[str]:
    """Return what cannot matter, given the rest."""
    idle = []
    if recipe.objective.distillation_weight == 0:
        idle += ["teachers.runs", "teachers.lang", "objective.distillation_temperature", "objective.teacher_pooling"]
    elif len(recipe.teachers.runs) == 1:
        idle += ["objective.teacher_pooling"]
    if recipe.objective.contrastive_weight == 0:
        idle += ["objective.temperature"]
    if recipe.schedule.steps is not None:
        idle += ["schedule.epochs"]
    if recipe.schedule.learning_rate != "exponential":
        idle += ["schedule.decay"]
    if recipe.schedule.learning_rate != "one-cycle":
        idle += ["schedule.warm_up"]
    if recipe.optimizer.name != "adamw":
        idle += ["optimizer.weight_decay"]
    idle += [f"text.{key}" for key in recipe.text.idle_keys()]
    return idle + [f"video.{key}" for key in recipe.video.idle_keys()]


def _flat(values: Table, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _without_none(values: Table) -> dict[str, object]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
