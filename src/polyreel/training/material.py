"""What a recipe's training reads: clips, captions, features, and what the teachers say of them.

Splits are checked here. A dataset without a validation split gets one of its training clips, by source, and that is
said aloud; the test split is never opened.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import Texts
from polyreel.data.pairs import Pairs, gather_pairs
from polyreel.data.substitutes import with_substitutes
from polyreel.errors import DataError, RecipeError
from polyreel.models.devices import CPU
from polyreel.models.retriever import Retriever
from polyreel.progress import Progress, silent
from polyreel.storage import Json, fingerprint
from polyreel.training.kept_tower import KeptTower, keep_tower
from polyreel.training.pair_bank import bank_pairs
from polyreel.training.recipes import DataSettings, Recipe
from polyreel.training.runs import best_of
from polyreel.training.teachers import TeacherBank, open_run

SET_ASIDE_EVERY = 10
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a recipe's training reads.

    Attributes:
        learnt: training clips and captions, in the recipe's languages and limits.
        val: validation clips and captions; None where the last weights are kept.
        features: of both.
        langs: languages trained on.
        start: the model whose weights the student starts with; None: weights of its own.
        known: caption ids in the teachers' language that have a known word; None: all count.
        bank: teachers' embeddings of the training clips; None where nothing asks them.
        teachers: names of those that are asked, in the bank's order.
        tower: the teacher's video tower, which the student keeps; None: it has its own.
        pairs: sentence pairs by language code.
        pair_bank: teachers' embeddings of the pairs' sentences; None where nothing asks them.
        inputs: fingerprints, for the record.
    """

    learnt: Dataset
    val: Dataset | None
    features: FeatureStore
    langs: tuple[str, ...]
    start: Retriever | None
    known: frozenset[str] | None
    bank: TeacherBank | None
    teachers: tuple[str, ...]
    tower: KeptTower | None
    pairs: dict[str, Pairs]
    pair_bank: TeacherBank | None
    inputs: dict[str, Json]

    @property
    def spoken(self) -> tuple[str, ...]:
        """The languages of captions or pairs: all that the student learns."""
        return tuple(dict.fromkeys([*self.langs, *self.pairs]))

    @property
    def training_texts(self) -> Texts:
        """What a tokenizer made from scratch learns its pieces from; the captions stay mapped."""
        of_pairs = [pa.array(one.texts, pa.string()) for one in self.pairs.values()]
        return Texts(pa.chunked_array([*self.learnt.captions["text"].chunks, *of_pairs], pa.string()))


def gather_material(recipe: Recipe, progress: Progress = silent, device: torch.device = CPU) -> Material:
    """Open a recipe's data and ask its teachers.

    Args:
        recipe: the settings.
        progress: told what is prepared.
        device: where teachers that were not asked yet compute.

    Raises:
        DataError: a split, a language, captions or features are missing.
        RecipeError: who is to be imitated does not fit the student, or a run that is named has no model.
    """
    settings = recipe.data
    dataset = open_dataset(settings, is_mapped=True)
    features = dataset.features(settings.features)
    langs = settings.langs or dataset.langs
    whole, val = _split(dataset, recipe, progress)
    for part in filter(None, (whole, val)):
        _check_covered(part, features)
    pairs = gather_pairs(recipe.pairs.files, lang=recipe.teachers.lang, most=recipe.pairs.most)
    _check_can_choose(val, [*langs, *pairs])
    _tell_idle(recipe, {*langs, *pairs}, progress)
    tower, teachers, bank = keep_tower(recipe, features), _choose(recipe), None
    if teachers:
        bank = TeacherBank.build(teachers, whole, features, lang=recipe.teachers.lang, device=device, progress=progress)
    _check_imitated(recipe, langs, bank)
    learnt = whole.in_langs(langs).first_captions(settings.captions_per_clip)
    start = None if recipe.start is None else open_run(Path(recipe.start))
    asks_of_pairs = recipe.objective.pair_distillation_weight > 0
    words = None if settings.known_words is None else _read_words(settings.known_words)
    return Material(
        learnt=learnt,
        val=val,
        features=features,
        langs=tuple(langs),
        start=start,
        known=None if words is None else _with_words(learnt.in_langs([recipe.teachers.lang]).captions, words),
        bank=bank,
        teachers=teachers,
        tower=tower,
        pairs=pairs,
        pair_bank=bank_pairs(bank, teachers, pairs, dataset, features, device) if bank and asks_of_pairs else None,
        inputs={
            "dataset": dataset.name,
            "dataset_fingerprint": dataset.fingerprint,
            "features_fingerprint": features.fingerprint,
            "teacher_fingerprints": list(bank.fingerprints) if bank else [],
            **_further_inputs(pairs, start, tower, words),
        },
    )


def _tell_idle(recipe: Recipe, langs: set[str], progress: Progress) -> None:
    named = {*recipe.data.captions_per_clip, *recipe.objective.lang_weight}
    if not recipe.data.langs and (idle := named - langs):
        progress(0, 1, f"settings without effect: no captions in {', '.join(sorted(idle))}")


def _choose(recipe: Recipe) -> tuple[str, ...]:
    """Return the teachers that are asked."""
    if not recipe.objective.asks_teachers:
        return ()
    return recipe.teachers.runs if recipe.teachers.chosen == "all" else (best_of(recipe.teachers.runs),)


def _further_inputs(
    pairs: Mapping[str, Pairs], start: Retriever | None, tower: KeptTower | None, words: frozenset[str] | None
) -> dict[str, Json]:
    """Return the fingerprints of what not every recipe reads."""
    inputs: dict[str, Json] = {}
    if pairs:
        inputs["pairs_fingerprint"] = fingerprint({lang: one.fingerprint for lang, one in pairs.items()})
    if start is not None:
        inputs["start_fingerprint"] = start.fingerprint
    if tower is not None:
        inputs["space_fingerprint"] = tower.space
    if words is not None:
        inputs["known_words_fingerprint"] = fingerprint(sorted(words))
    return inputs


def open_dataset(settings: DataSettings, *, is_mapped: bool = False) -> Dataset:
    """Open a recipe's data, missing captions filled where the recipe asks for it; mapped, however large it is."""
    dataset = Dataset.open(settings.dataset, is_mapped=is_mapped)
    return with_substitutes(dataset, settings.substitutes) if settings.substitutes else dataset


def _split(dataset: Dataset, recipe: Recipe, progress: Progress) -> tuple[Dataset, Dataset | None]:
    settings = recipe.data
    learnt = dataset.split(settings.train_split)
    if not recipe.chooses_epoch:
        return learnt, None
    if settings.val_split in dataset.splits:
        return learnt, _in_memory(dataset.split(settings.val_split))
    sources = pc.unique(learnt.clips["source"]).sort()
    set_aside = sources[::SET_ASIDE_EVERY]
    is_val_C = pc.is_in(learnt.clips["source"], value_set=set_aside)
    if len(set_aside) == len(sources):
        raise DataError(
            f"dataset {dataset.name!r} has no split {settings.val_split!r} and one source in {settings.train_split!r}, "
            "so none can be set aside; add a validation split"
        )
    progress(0, 1, f"no split {settings.val_split!r}: {len(set_aside)} of {len(sources)} sources set aside for it")
    return learnt.where_clips(pc.invert(is_val_C)), _in_memory(learnt.where_clips(is_val_C))


def _in_memory(val: Dataset) -> Dataset:
    """Let what is made of validation clips be in memory: there are few."""
    return replace(val, is_mapped=False)


def _check_imitated(recipe: Recipe, langs: Sequence[str], bank: TeacherBank | None) -> None:
    if recipe.objective.asks_itself and recipe.teachers.lang not in langs:
        raise RecipeError(
            f"the student is to learn from its own {recipe.teachers.lang!r}, but learns {', '.join(langs)}; "
            "add it to data.langs, or change teachers.lang"
        )
    if bank is not None and recipe.objective.imitates_teacher and bank.dims != (recipe.embed_dim,):
        raise RecipeError(
            f"the teacher's embeddings have width {bank.dims[0]} and embed_dim is {recipe.embed_dim}; "
            "to imitate them the student needs the same"
        )


def _read_words(file: str) -> frozenset[str]:
    try:
        return frozenset(Path(file).read_text("utf-8").split())
    except OSError as error:
        raise DataError(
            f"data.known_words {file!r} cannot be read ({error.strerror}); expected a file of words"
        ) from None


def _with_words(captions: pa.Table, known: frozenset[str]) -> frozenset[str]:
    """Return the ids of captions with a known word, words being what the reference takes for them."""
    pairs = zip(captions["caption_id"].to_pylist(), captions["text"].to_pylist(), strict=True)
    return frozenset(caption_id for caption_id, text in pairs if not known.isdisjoint(_WORD.findall(text)))


def _check_can_choose(val: Dataset | None, langs: Sequence[str]) -> None:
    if val is not None and not val.in_langs(langs).captions.num_rows:
        raise DataError(
            f"the clips of {val.name!r} that are to choose the epoch have no captions in {', '.join(langs)}; add "
            'some, name another data.val_split, or keep the last weights with schedule.keep = "last"'
        )


def _check_covered(dataset: Dataset, features: FeatureStore) -> None:
    missing = features.missing(Texts(dataset.clips["clip_id"]))
    if missing:
        raise DataError(
            f"{len(missing)} clips of dataset {dataset.name!r} have no {features.extractor!r} features, the first is "
            f"{missing[0]!r}; run `polyreel extract` again, or take these clips out"
        )
