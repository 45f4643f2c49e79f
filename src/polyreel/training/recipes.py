"""Recipe: everything one training run is asked to do.

A recipe states only what differs from the defaults, which are the C2KD paper's. Zero-shot, translate-train and C2KD are
the same loop under three settings: `data.langs`, `objective` and `teachers`. `reference = true` stands for the
reference implementation's arithmetic where it differs; `expanded` writes it out.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import tomli_w
from pydantic import Field

from polyreel.errors import RecipeError
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.settings import Settings, Table, parse
from polyreel.storage import fingerprint
from polyreel.training.beyond_settings import BankSettings, PairSettings
from polyreel.training.objective_settings import ObjectiveSettings, TeacherPooling
from polyreel.training.scale_settings import AdaptSettings, MachineSettings
from polyreel.training.schedule_settings import OptimizerSettings, ScheduleSettings

# What the reference's names for pooling do to similarities; its other names do what they say.
REFERENCE_POOLING: Mapping[TeacherPooling, TeacherPooling] = {"min": "max", "max": "min"}


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
    known_words: str | None = Field(
        default=None,
        description="file of words: captions in the teachers' language without any, and their clips, are left out of "
        "its contrastive term, as the reference does with word2vec's vocabulary; None: every caption counts",
    )
    substitutes: tuple[str, ...] = Field(
        default=(),
        description="languages whose missing captions are filled from one another, as the reference does; none: masked",
    )
    num_test_clips: int | None = Field(
        default=None, ge=1, description="clips of the published test split; with `reference`, absent ones are misses"
    )


class TeacherSettings(Settings):
    """Who is imitated."""

    runs: tuple[str, ...] = Field(
        default=(),
        description='folders of finished runs; "clip:MODEL", a dual encoder as it comes, by folder or hub name; '
        '"python:MODULE:FUNCTION", an encoder of yours',
    )
    chosen: Literal["all", "best"] = Field(
        default="all", description='who of them: "best" is the run that validated best, by its own log'
    )
    lang: str = Field(default="en", description="language the teachers are asked in")

    @property
    def num_asked(self) -> int:
        """How many of them are asked."""
        return min(1, len(self.runs)) if self.chosen == "best" else len(self.runs)


class BatchSettings(Settings):
    """How a step's captions and clips are drawn."""

    size: int = Field(default=64, ge=2, description="distinct clips in a batch")
    sampling: Literal["independent", "parallel"] = Field(
        default="independent",
        description="each language draws its own caption of a clip, or all draw the same sentence",
    )


class Recipe(Settings):
    """One training run as asked for; frozen."""

    data: DataSettings
    text: TextSettings = Field(default=TextSettings(), description="the text tower")
    video: VideoSettings = Field(default=VideoSettings(), description="the video tower")
    embed_dim: int = Field(default=512, ge=1, description="width of the shared space")
    start: str | None = Field(
        default=None, description="folder of a finished run whose weights the student starts with"
    )
    objective: ObjectiveSettings = Field(default=ObjectiveSettings(), description="what is minimised")
    teachers: TeacherSettings = Field(default=TeacherSettings(), description="who is imitated")
    bank: BankSettings = Field(default=BankSettings(), description="clips compared with beyond the batch")
    pairs: PairSettings = Field(default=PairSettings(), description="sentences without a video")
    batches: BatchSettings = Field(default=BatchSettings(), description="how a step is drawn")
    optimizer: OptimizerSettings = Field(default=OptimizerSettings(), description="how weights move")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="how long")
    adapt: AdaptSettings = Field(default=AdaptSettings(), description="which weights learn")
    machine: MachineSettings = Field(default=MachineSettings(), description="how it is computed")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description='number type of the towers\' matrix products; "bfloat16" is autocast: faster where the machine has '
        "it, and other rounding",
    )
    seed: int = Field(default=1, ge=0, description="of initial weights and of sampling")
    reference: bool = Field(
        default=False,
        description="the reference implementation's arithmetic: its names of teacher_pooling, counts_english_twice, "
        "frame_sampling first, and misses counted over num_test_clips",
    )

    def check(self) -> None:
        """Refuse settings that contradict one another.

        Raises:
            RecipeError: nothing to minimise, teachers asked where none are named, too many to imitate, an encoder that
                is to learn in two ways, or layers that are to be computed in two.
        """
        if not self.objective.active_terms and not self.objective.learns_pairs:
            raise RecipeError("the weights of all terms of the objective are 0; one must be above 0")
        if self.objective.asks_teachers and not self.teachers.runs:
            raise RecipeError(
                f"teachers.runs is empty but objective.{self.objective.asks_teachers[0]} asks teachers; "
                "name finished runs, or change it"
            )
        if self.video.tower == "teacher" and len(self.teachers.runs) != 1:
            raise RecipeError(
                f'video.tower is "teacher", but teachers.runs names {len(self.teachers.runs)}; name the one whose '
                "space the texts shall learn"
            )
        if self.objective.learns_pairs and not self.pairs.files:
            raise RecipeError(
                "pairs.files is empty but the objective gives sentence pairs a weight; name files of pairs, or set "
                "pair_distillation_weight and pair_alignment_weight to 0"
            )
        if self.objective.imitates_teacher and self.teachers.num_asked > 1:
            raise RecipeError(
                f"a sentence embedding can be imitated of one teacher, but teachers.runs names "
                f'{len(self.teachers.runs)}; name one, or set objective.imitation_of = "own"'
            )
        for key, what in (("lora_rank", "LoRA"), ("release_after_epochs", "a late release")):
            value = getattr(self.adapt, key)
            if value and (self.text.is_frozen or self.text.backbone == "subword"):
                found = "text.is_frozen is true" if self.text.is_frozen else 'text.backbone is "subword"'
                raise RecipeError(
                    f"adapt.{key} is {value} and {found}; {what} is for a pretrained encoder that learns; "
                    "set one of them back"
                )
        if self.machine.compiles and self.machine.recomputes:
            raise RecipeError(
                "machine.compiles and machine.recomputes are both true; a layer is compiled or computed twice; set one "
                "of them back"
            )

    def expanded(self) -> "Recipe":
        """Return the recipe with `reference = true` written out in the settings it stands for.

        `teacher_pooling` is then read by the reference's names, English counts twice in the contrastive term beside
        teachers, and a clip's first frames are read. What it means for reports stays with the experiment.
        """
        if not self.reference:
            return self
        pooling = REFERENCE_POOLING.get(self.objective.teacher_pooling, self.objective.teacher_pooling)
        changes = {"teacher_pooling": pooling, "counts_english_twice": True}
        return self.model_copy(
            update={
                "reference": False,
                "objective": self.objective.model_copy(update=changes),
                "video": self.video.model_copy(update={"frame_sampling": "first"}),
            }
        )

    def effective(self) -> "Recipe":
        """Return the recipe expanded, and every setting that has no effect put back to its default.

        Two recipes that do the same have equal effective forms, and so the same fingerprint.
        """
        return parse(Recipe, _without_keys(self.expanded(), _idle_keys(self)), "recipe")

    def idle_settings(self) -> list[str]:
        """Return the dotted names of settings that were set but have no effect here."""
        kept = _flat(parse(Recipe, _without_keys(self, _idle_keys(self)), "recipe").model_dump())
        return sorted(key for key, value in _flat(self.model_dump()).items() if kept.get(key) != value)

    @property
    def finds_clips(self) -> bool:
        """Whether texts and clips meet: the video tower learns from them, or is that of the space the texts learn."""
        return self.objective.sees_clips or self.video.tower == "teacher"

    @property
    def chooses_epoch(self) -> bool:
        """Whether validation clips choose the weights to keep; otherwise none are needed and the last are kept."""
        return self.schedule.keep == "best" and self.finds_clips

    @property
    def fingerprint(self) -> str:
        """Digest of the effective settings, seed included; `machine` is no part of it."""
        return fingerprint(self.effective().model_dump(mode="json", exclude={"machine"}))

    def differences(self, other: "Recipe") -> list[str]:
        """Return what another recipe asks for otherwise, as in `seed (1, here 2)`; `machine` is not looked at."""
        ours, theirs = (_flat(one.effective().model_dump(exclude={"machine"})) for one in (self, other))
        return [
            f"{key} ({theirs.get(key)}, here {ours.get(key)})"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]

    def to_toml(self) -> str:
        """Return every setting, defaults included, as TOML; settings that are None are left out."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def _without_keys(recipe: Recipe, idle: Sequence[str]) -> dict[str, object]:
    values = recipe.model_dump()
    sections = {name: section for name, section in values.items() if isinstance(section, dict)}
    for dotted in idle:
        section, key = dotted.split(".")
        sections[section].pop(key, None)
    for section, key in (("data", "captions_per_clip"), ("objective", "lang_weight")):
        langs = () if section == "objective" and recipe.pairs.files else recipe.data.langs
        named = sections[section].get(key, {})
        sections[section][key] = {lang: value for lang, value in named.items() if not langs or lang in langs}
    return values


def _idle_keys(recipe: Recipe) -> list[str]:
    """Return what cannot matter, given the rest."""
    objective, schedule = recipe.objective, recipe.schedule
    asks_in_lang = objective.asks_teachers or objective.asks_itself or recipe.data.known_words or recipe.pairs.files
    idle_if = {
        "teachers.runs": not objective.asks_teachers and recipe.video.tower == "own",
        "teachers.chosen": len(recipe.teachers.runs) < 2,
        "teachers.lang": not asks_in_lang,
        "data.num_test_clips": not recipe.reference,
        "data.known_words": "contrastive" not in objective.active_terms,
        "data.val_split": not recipe.chooses_epoch,
        "schedule.epochs": schedule.steps is not None,
        "schedule.keep": not recipe.finds_clips,
        "schedule.validate_every_steps": not recipe.chooses_epoch,
        "schedule.patience": not recipe.chooses_epoch,
        "schedule.decay": schedule.learning_rate != "exponential",
        "schedule.warm_up": schedule.learning_rate != "one-cycle",
        "optimizer.backbone_learning_rate": recipe.text.is_frozen,
        "optimizer.weight_decay": recipe.optimizer.name != "adamw",
        "optimizer.embeddings": recipe.text.is_frozen or recipe.adapt.lora_rank > 0,
        "optimizer.layer_decay": recipe.text.is_frozen or not recipe.text.has_layers,
        "pairs.size": not objective.learns_pairs,
        "pairs.most": not recipe.pairs.files,
        **dict.fromkeys((f"bank.{key}" for key in BankSettings.model_fields), not objective.looks_beyond),
        **dict.fromkeys(("adapt.lora_alpha", "adapt.lora_dropout", "adapt.lora_targets"), not recipe.adapt.lora_rank),
    }
    idle = [key for key, is_idle in idle_if.items() if is_idle]
    idle += [f"bank.{key}" for key in recipe.bank.idle_keys()]
    idle += [f"objective.{key}" for key in objective.idle_keys(recipe.teachers.num_asked)]
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
