"""reproduce: an experiment of the C2KD paper by name, after a look at whether all it needs is there.

Such an experiment trains for days, so what it lacks is said before, all of it at once and with the command that brings
it: the dataset with its splits, languages and features, and the pretrained text encoders, which nothing downloads here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError, RecipeError
from polyreel.progress import Progress, silent
from polyreel.training.experiment import run_experiment
from polyreel.training.experiment_settings import ExperimentSettings, load_experiment
from polyreel.training.planning import PlannedRun, plan_experiment
from polyreel.training.recipe_files import SHIPPED
from polyreel.training.recipes import Recipe
from polyreel.training.results import ExperimentResult

FILE = "reproduce.toml"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What reproducing would do.

    Attributes:
        folder: where its runs and results go.
        runs: all runs, teachers before those they teach.
        lacks: what is missing, in words, and what brings it; empty: nothing.
    """

    folder: Path
    runs: tuple[PlannedRun, ...]
    lacks: tuple[str, ...]


def reproduce(
    name: str,
    output: Path | str | None = None,
    *,
    only: str | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> ExperimentResult:
    """Train and evaluate a published experiment: teachers, their answers, students, table.

    Args:
        name: a data set that has one, such as `msrvtt`.
        output: folder for runs and results; what is finished there is not done again. None: `runs/NAME`.
        only: value of an axis, such as `clean` or `reference`: nothing else is done; None: all.
        jobs: runs at a time, each a process with one thread.
        progress: called after every run.

    Returns:
        Reports by cell and system; `save` writes them out.

    Raises:
        DataError: something is missing; nothing was trained, and the message lists all of it.
        RecipeError: there is no such experiment, or no such value.
        ItemsFailedError: some runs failed; all that do not depend on them are finished.
    """
    seen = preview(name, output, only=only)
    if seen.lacks:
        raise DataError(f"{name} cannot be reproduced yet, nothing was trained; missing:\n" + "\n".join(seen.lacks))
    return run_experiment(_file(name), seen.folder, only=only, jobs=jobs, progress=progress)


def preview(name: str, output: Path | str | None = None, *, only: str | None = None) -> Preview:
    """Say what `reproduce` would do with the same arguments, and what it lacks.

    Raises:
        RecipeError: there is no such experiment, or no such value.
    """
    settings = load_experiment(_file(name))
    folder = Path("runs") / name if output is None else Path(output)
    plan = plan_experiment(settings if only is None else settings.only_at(only), folder)
    runs = sorted(plan.runs.values(), key=lambda run: run.depth)
    return Preview(folder=folder, runs=tuple(runs), lacks=tuple(_lacks(settings, [run.recipe for run in runs])))


def _file(name: str) -> Path:
    known = sorted(file.parent.name for file in SHIPPED.glob(f"*/{FILE}"))
    if name not in known:
        raise RecipeError(f"nothing is known to reproduce under the name {name!r}; known are {', '.join(known)}")
    return SHIPPED / name / FILE


def _lacks(settings: ExperimentSettings, recipes: Sequence[Recipe]) -> Iterator[str]:
    by_dataset: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        by_dataset.setdefault(recipe.data.dataset, []).append(recipe)
    for folder, readers in by_dataset.items():
        if lacks := list(_dataset_lacks(Path(folder), settings.report_split, readers)):
            yield from lacks
            yield from (f"    make it with: {command}" for command in settings.preparation)
    for backbone in dict.fromkeys(recipe.text.backbone for recipe in recipes):
        if not _is_at_hand(backbone):
            yield f"  encoder {backbone}; get it with: hf download {backbone}"


def _dataset_lacks(folder: Path, report_split: str, readers: Sequence[Recipe]) -> Iterator[str]:
    if not (folder / "dataset.json").is_file():
        yield f"  {folder}, the dataset"
        return
    dataset = Dataset.open(folder)
    langs = dict.fromkeys(lang for recipe in readers for lang in recipe.data.langs)
    extractors = dict.fromkeys(recipe.data.features for recipe in readers)
    for extractor in extractors:
        if extractor not in dataset.extractors:
            has = ", ".join(dataset.extractors) or "none"
            yield f"  features {extractor!r} of {folder}, which has {has}"
    for split in dict.fromkeys([*(recipe.data.train_split for recipe in readers), report_split]):
        if split not in dataset.splits:
            yield f"  split {split!r} of {folder}, which has {', '.join(dataset.splits)}"
            continue
        part = dataset.split(split)
        if absent := [lang for lang in langs if lang not in part.langs]:
            yield f"  captions in {', '.join(absent)} of split {split!r} of {folder}"
        for extractor in (name for name in extractors if name in dataset.extractors):
            if bare := dataset.features(extractor).missing(part.clip_ids):
                yield f"  features {extractor!r} of {len(bare)} clips of split {split!r} of {folder}, such as {bare[0]}"


def _is_at_hand(backbone: str) -> bool:
    """Say whether a text encoder needs no download: from scratch, a folder, or in the cache of the hub."""
    from huggingface_hub import try_to_load_from_cache

    if backbone == "subword" or Path(backbone).expanduser().is_dir():
        return True
    cached = [isinstance(try_to_load_from_cache(backbone, file), str) for file in ("config.json", *_WEIGHTS)]
    return cached[0] and any(cached[1:])
