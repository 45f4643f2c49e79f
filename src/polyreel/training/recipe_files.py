"""Recipes as files: found by name or path, built on one another, changed by overrides.

What a recipe says is in `recipes.py`; here is how it is read. Recipes that ship with polyreel are named like
`msrvtt1k/c2kd`; any other is a path to a TOML file.
"""

from collections.abc import Sequence
from pathlib import Path

from polyreel.errors import RecipeError
from polyreel.settings import merged, parse, parse_override, read_toml
from polyreel.training.recipes import Recipe

SHIPPED = Path(__file__).parents[1] / "recipes"


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
        values = merged(values, parse_override(override))
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
