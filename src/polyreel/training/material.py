"""What a recipe's training reads: clips, captions, features, and what the teachers say of them.

Splits are checked here. A dataset without a validation split gets one of its training clips, by source, and that is
said aloud; the test split is never opened.
"""

from dataclasses import dataclass

import numpy as np

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import Json
from polyreel.training.recipes import DataSettings, Recipe
from polyreel.training.teachers import TeacherBank

SET_ASIDE_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a recipe's training reads.

    Attributes:
        learnt: training clips and captions, in the recipe's languages and limits.
        val: validation clips and captions.
        features: of both.
        langs: languages trained on.
        bank: teachers' embeddings of the training clips; None without distillation.
        inputs: fingerprints, for the record.
    """

    learnt: Dataset
    val: Dataset
    features: FeatureStore
    langs: tuple[str, ...]
    bank: TeacherBank | None
    inputs: dict[str, Json]


def gather_material(recipe: Recipe, progress: Progress = silent) -> Material:
    """Open a recipe's data and ask its teachers.

    Raises:
        DataError: a split, a language, captions or features are missing.
    """
    settings = recipe.data
    dataset = Dataset.open(settings.dataset)
    features = dataset.features(settings.features)
    langs = settings.langs or dataset.langs
    whole, val = _split(dataset, settings, progress)
    for part in (whole, val):
        _check_covered(part, features)
    bank = None
    if recipe.objective.distillation_weight > 0:
        bank = TeacherBank.build(recipe.teachers.runs, whole, features, lang=recipe.teachers.lang, progress=progress)
    learnt = whole.in_langs(langs).first_captions(settings.captions_per_clip)
    inputs: dict[str, Json] = {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "features_fingerprint": features.fingerprint,
        "teacher_fingerprints": list(bank.fingerprints) if bank else [],
    }
    return Material(learnt=learnt, val=val, features=features, langs=tuple(langs), bank=bank, inputs=inputs)


def _split(dataset: Dataset, settings: DataSettings, progress: Progress) -> tuple[Dataset, Dataset]:
    learnt = dataset.split(settings.train_split)
    if settings.val_split in dataset.splits:
        return learnt, dataset.split(settings.val_split)
    source_C = learnt.clips["source"].to_pylist()
    set_aside = set(sorted(set(source_C))[::SET_ASIDE_EVERY])
    is_val_C = np.array([source in set_aside for source in source_C])
    if is_val_C.all():
        raise DataError(
            f"dataset {dataset.name!r} has no split {settings.val_split!r} and one source in {settings.train_split!r}, "
            "so none can be set aside; add a validation split"
        )
    progress(
        0, 1, f"no split {settings.val_split!r}: {len(set_aside)} of {len(set(source_C))} sources set aside for it"
    )
    return learnt.where_clips(~is_val_C), learnt.where_clips(is_val_C)


def _check_covered(dataset: Dataset, features: FeatureStore) -> None:
    missing = features.missing(dataset.clip_ids)
    if missing:
        raise DataError(
            f"{len(missing)} clips of dataset {dataset.name!r} have no {features.extractor!r} features, the first is "
            f"{missing[0]!r}; run `polyreel extract` again, or take these clips out"
        )
