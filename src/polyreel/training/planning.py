"""Plan of an experiment: every run it asks for, each once, and which runs make up each place of its table.

Every combination of axis values is a cell; every system is trained in every cell with every seed. Runs whose effective
recipes are equal are one run, so what an axis does not touch is shared between cells. Teachers are systems of the same
file, and are planned before those they teach.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from polyreel.errors import RecipeError
from polyreel.settings import Table, merged, parse
from polyreel.training.experiment_settings import ExperimentSettings
from polyreel.training.recipe_files import read_recipe_table
from polyreel.training.recipes import Recipe

Cell = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        system: whose it is first.
        cell: the axis values it was first asked for at.
        recipe: resolved, teachers' folders included.
        folder: where it is done.
        depth: 0 without teachers, else one more than the deepest of theirs.
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
    if system.taught_by:
        places = [_plan_place(settings, plan, folder, cell, changes, one, (*pupils, name)) for one in system.taught_by]
        teachers = [plan.runs[one] for place in places for one in place]
        values = merged(values, {"teachers": {"runs": [str(teacher.folder) for teacher in teachers]}})
        depth = 1 + max(teacher.depth for teacher in teachers)
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
