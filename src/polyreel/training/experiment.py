"""run_experiment: a grid of systems, settings and seeds, as one resumable command that ends in one table.

An experiment file names systems (a recipe each), axes (named changes to every recipe) and seeds. Every combination of
axis values is a cell; every system is trained in every cell with every seed. Runs whose effective recipes are equal are
one run, so what an axis does not touch is shared between cells. Teachers are systems of the same file. A run that is
finished is never done again; each is evaluated on the report's split once, after it is finished.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from pydantic import Field

from polyreel.data.dataset import Dataset
from polyreel.errors import ItemsFailedError, PolyreelError, RecipeError, saying_which_extra
from polyreel.evaluation.metrics import Metric
from polyreel.evaluation.report import Report, evaluate
from polyreel.progress import Progress, silent
from polyreel.settings import Settings, Table, parse, read_toml
from polyreel.training.recipes import Recipe, find_recipe, merged, read_recipe_table
from polyreel.training.results import CellResult, ExperimentResult, summarise

Cell = tuple[tuple[str, str], ...]


class SystemSettings(Settings):
    """One system of an experiment."""

    recipe: str = Field(description="shipped name or path")
    set: dict[str, object] = Field(default={}, description="changes to its recipe, nested as in the recipe")
    at: dict[str, dict[str, dict[str, object]]] = Field(
        default={}, description="by axis and value: further changes to its recipe there"
    )
    teachers: str | None = Field(default=None, description="system whose runs, all seeds, teach it")
    seeds: tuple[int, ...] = Field(default=(), description="its own seeds; none: the experiment's")
    only: dict[str, tuple[str, ...]] = Field(default={}, description="by axis: the values it is trained at; none: all")
    is_reported: bool = Field(default=True, description="whether it has a column in the table")


class ExperimentSettings(Settings):
    """What an experiment file states."""

    title: str = Field(description="heading of the table and the page")
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1, description="of every system that names none")
    set: dict[str, object] = Field(default={}, description="changes to every recipe")
    axes: dict[str, dict[str, dict[str, object]]] = Field(
        default={}, description="by axis and value: changes to every recipe"
    )
    systems: dict[str, SystemSettings] = Field(min_length=1, description="by name, in the order of the table")
    baseline: str | None = Field(default=None, description="system the others are compared with; none: the first")
    metric: Metric = Field(default="R@10", description="the one shown first and plotted")
    report_split: str = Field(default="test", description="split reported on; tuning reports on val")
    report_langs: tuple[str, ...] = Field(default=(), description="languages reported; none: all the dataset has")


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        system: whose it is first.
        cell: the axis values it was first asked for at.
        recipe: resolved, teachers' folders included.
        folder: where it is done.
        depth: 0 without teachers, else one more than theirs.
    """

    system: str
    cell: Cell
    recipe: Recipe
    folder: Path
    depth: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every run of an experiment, and which runs make up each place of its table.

    Attributes:
        runs: by fingerprint; each is done once.
        places: fingerprints, one a seed, by cell and system.
    """

    runs: dict[str, PlannedRun]
    places: dict[tuple[Cell, str], tuple[str, ...]]


def load_experiment(name_or_path: str | Path) -> ExperimentSettings:
    """Read an experiment file by shipped name or path.

    Raises:
        RecipeError: no such file, an unknown key, or a name that is not one of the file's.
    """
    where = f"experiment {str(name_or_path)!r}"
    settings = parse(ExperimentSettings, read_toml(find_recipe(name_or_path)), where)
    named = {settings.baseline: "baseline", **{system.teachers: "teachers" for system in settings.systems.values()}}
    for system, key in named.items():
        if system is not None and system not in settings.systems:
            raise RecipeError(f"{where}: {key} names {system!r}; the systems are {', '.join(settings.systems)}")
    for name, system_settings in settings.systems.items():
        for axis, values in (*system_settings.only.items(), *system_settings.at.items()):
            if unknown := [value for value in values if value not in settings.axes.get(axis, {})]:
                raise RecipeError(f"{where}: {name!r} names {axis} = {unknown[0]!r}, which is no value of an axis")
    return settings


def plan_experiment(settings: ExperimentSettings, folder: Path) -> Plan:
    """Resolve every run.

    Args:
        settings: the experiment.
        folder: runs go to its `runs/`.

    Raises:
        RecipeError: a recipe cannot be resolved, or a system is its own teacher.
    """
    plan = Plan(runs={}, places={})
    for values in product(*(axis.items() for axis in settings.axes.values())):
        cell: Cell = tuple((axis, value) for axis, (value, _) in zip(settings.axes, values, strict=True))
        changes: dict[str, object] = dict(settings.set)
        for _, change in values:
            changes = merged(changes, change)
        for name in settings.systems:
            _plan_place(settings, plan, folder, cell, changes, name, ())
    return plan


def run_experiment(
    name_or_path: str | Path, output: Path | str, *, jobs: int = 1, progress: Progress = silent
) -> ExperimentResult:
    """Train and evaluate everything an experiment asks for.

    Args:
        name_or_path: shipped name or path of an experiment file.
        output: folder for the runs; what is finished there is not done again.
        jobs: runs at a time, each a process with one thread.
        progress: called after every run.

    Returns:
        Reports by cell and system, in the order of the file; `save` writes them out.

    Raises:
        RecipeError: the file or a recipe cannot be used; nothing was trained.
        ItemsFailedError: some runs failed; all that do not depend on them are finished.
    """
    settings = load_experiment(name_or_path)
    plan = plan_experiment(settings, Path(output))
    failures: dict[str, str] = {}
    num_done = 0
    for depth in range(1 + max(run.depth for run in plan.runs.values())):
        wave = [run for run in plan.runs.values() if run.depth == depth]
        _bank_teachers(wave)
        for run, failure in _train_all(wave, settings, jobs):
            num_done += 1
            if failure:
                failures[run.folder.name] = failure
            progress(num_done, len(plan.runs), f"{run.system}, seed {run.recipe.seed}")
    if failures:
        raise ItemsFailedError(f"experiment {settings.title!r}", failures)
    return ExperimentResult(title=settings.title, folder=Path(output), cells=_collect(settings, plan))


def report_folder(run: PlannedRun, settings: ExperimentSettings) -> Path:
    """Return where a run's report on the experiment's split lies."""
    return run.folder / f"report-{settings.report_split}"


def _plan_place(
    settings: ExperimentSettings,
    plan: Plan,
    folder: Path,
    cell: Cell,
    changes: Table,
    name: str,
    pupils: tuple[str, ...],
) -> tuple[str, ...]:
    """Plan a system in a cell, its teachers first; return the fingerprints of its runs, none where it is not asked."""
    system = settings.systems[name]
    if name in pupils:
        raise RecipeError(f"{name!r} is its own teacher ({' teaches '.join((name, *reversed(pupils)))})")
    if (cell, name) in plan.places:
        return plan.places[cell, name]
    if any(value not in system.only.get(axis, (value,)) for axis, value in cell) and not pupils:
        return ()
    values = merged(merged(read_recipe_table(system.recipe), changes), system.set)
    for axis, value in cell:
        values = merged(values, system.at.get(axis, {}).get(value, {}))
    depth = 0
    if system.teachers is not None:
        taught_by = _plan_place(settings, plan, folder, cell, changes, system.teachers, (*pupils, name))
        values = merged(values, {"teachers": {"runs": [str(plan.runs[one].folder) for one in taught_by]}})
        depth = 1 + plan.runs[taught_by[0]].depth
    found = []
    for seed in system.seeds or settings.seeds:
        recipe = parse(Recipe, merged(values, {"seed": seed}), f"system {name!r} at {dict(cell)}")
        recipe.check()
        place = folder / "runs" / f"{name}-{recipe.fingerprint[:12]}"
        plan.runs.setdefault(
            recipe.fingerprint, PlannedRun(system=name, cell=cell, recipe=recipe, folder=place, depth=depth)
        )
        found.append(recipe.fingerprint)
    plan.places[cell, name] = tuple(found)
    return plan.places[cell, name]


def _collect(settings: ExperimentSettings, plan: Plan) -> tuple[CellResult, ...]:
    by_cell: dict[Cell, dict[str, list[PlannedRun]]] = {}
    for (cell, system), fingerprints in plan.places.items():
        if settings.systems[system].is_reported:
            by_cell.setdefault(cell, {})[system] = [plan.runs[one] for one in fingerprints]
    return tuple(
        summarise(
            dict(cell),
            [
                Report.merged([Report.open(report_folder(run, settings)) for run in systems[name]], name=name)
                for name in settings.systems
                if name in systems
            ],
            {name: [run.folder for run in runs] for name, runs in systems.items()},
            Dataset.open(next(iter(systems.values()))[0].recipe.data.dataset),
            metric=settings.metric,
            baseline=settings.baseline,
        )
        for cell, systems in by_cell.items()
    )


def _bank_teachers(wave: Sequence[PlannedRun]) -> None:
    """Bank every teacher of a wave before its runs start, so that no two processes do it at once."""
    from polyreel.training.material import gather_material

    banked = set()
    for run in wave:
        key = (run.recipe.data.dataset, run.recipe.data.features, run.recipe.teachers)
        if run.depth and key not in banked:
            gather_material(run.recipe)
            banked.add(key)


def _train_all(wave: Sequence[PlannedRun], settings: ExperimentSettings, jobs: int) -> Iterator[tuple[PlannedRun, str]]:
    """Yield every run of a wave when it is done, with why it failed, or nothing."""
    if jobs == 1:
        yield from ((run, train_and_report(run, settings)) for run in wave)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        futures = {pool.submit(train_and_report, run, settings): run for run in wave}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _end_with_parent() -> None:
    """Let a worker end when the experiment was killed, instead of waiting for work for ever."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def train_and_report(run: PlannedRun, settings: ExperimentSettings) -> str:
    """Do one run and report on it, unless that is done; return why it failed, or nothing."""
    try:
        with saying_which_extra("an experiment"):
            import torch

            from polyreel.models.retriever import Retriever
            from polyreel.training.loop import train

        torch.set_num_threads(1)
        train(run.recipe, run.folder, resume=True)
        folder = report_folder(run, settings)
        if not folder.is_dir():
            dataset = Dataset.open(run.recipe.data.dataset)
            evaluate(
                Retriever.load(run.folder / "model"),
                dataset,
                split=settings.report_split,
                langs=settings.report_langs or None,
                name=run.system,
                seed=run.recipe.seed,
                features=dataset.features(run.recipe.data.features),
                num_clips=run.recipe.data.num_test_clips if run.recipe.reference else None,
            ).save(folder)
    except PolyreelError as error:
        return str(error)
    return ""
