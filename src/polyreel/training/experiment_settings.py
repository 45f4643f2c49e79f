"""What an experiment file states: systems (a recipe each), axes (named changes to every recipe), seeds, and the report.

Names inside a file are checked when it is read, so that nothing is trained on a misspelt one. Needs no torch; what the
settings amount to, run by run, is in `planning.py`.
"""

from pathlib import Path
from typing import Self

from pydantic import Field

from polyreel.errors import RecipeError
from polyreel.evaluation.metrics import Metric
from polyreel.settings import Settings, parse, read_toml
from polyreel.training.recipe_files import find_recipe


class SystemSettings(Settings):
    """One system of an experiment."""

    recipe: str = Field(description="shipped name or path")
    set: dict[str, object] = Field(default={}, description="changes to its recipe, nested as in the recipe")
    at: dict[str, dict[str, dict[str, object]]] = Field(
        default={}, description="by axis and value: further changes to its recipe there"
    )
    teachers: str | tuple[str, ...] = Field(
        default=(), description="system, or several, whose runs teach it, those of all seeds"
    )
    seeds: tuple[int, ...] = Field(default=(), description="its own seeds; none: the experiment's")
    only: dict[str, tuple[str, ...]] = Field(default={}, description="by axis: the values it is trained at; none: all")
    is_reported: bool = Field(default=True, description="whether it has a column in the table")

    @property
    def taught_by(self) -> tuple[str, ...]:
        """The systems that teach it, in the order named."""
        return (self.teachers,) if isinstance(self.teachers, str) else self.teachers


class ExperimentSettings(Settings):
    """What an experiment file states."""

    title: str = Field(description="heading of the table and the page")
    preparation: tuple[str, ...] = Field(default=(), description="commands that make its dataset; said if it is absent")
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

    def only_at(self, value: str) -> Self:
        """Return the experiment with one axis at one value, and all else as it was.

        Raises:
            RecipeError: no axis has this value.
        """
        named = {axis: {value: values[value]} for axis, values in self.axes.items() if value in values}
        if not named:
            known = ", ".join(value for values in self.axes.values() for value in values) or "none"
            raise RecipeError(f"{value!r} is no value of an axis of {self.title!r}; there are {known}")
        return self.model_copy(update={"axes": {**self.axes, **named}})


def load_experiment(name_or_path: str | Path) -> ExperimentSettings:
    """Read an experiment file by shipped name or path.

    Raises:
        RecipeError: no such file, an unknown key, or a name that is not one of the file's.
    """
    where = f"experiment {str(name_or_path)!r}"
    settings = parse(ExperimentSettings, read_toml(find_recipe(name_or_path)), where)
    named = [("teachers", one) for system in settings.systems.values() for one in system.taught_by]
    named += [] if settings.baseline is None else [("baseline", settings.baseline)]
    for key, name in named:
        if name not in settings.systems:
            raise RecipeError(f"{where}: {key} names {name!r}; the systems are {', '.join(settings.systems)}")
    for name, system in settings.systems.items():
        for axis, values in (*system.only.items(), *system.at.items()):
            if unknown := [value for value in values if value not in settings.axes.get(axis, {})]:
                raise RecipeError(f"{where}: {name!r} names {axis} = {unknown[0]!r}, which is no value of an axis")
    return settings
