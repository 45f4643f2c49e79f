"""Settings read from TOML and JSON: frozen values that know their allowed keys and say what was probably meant.

Recipes, experiments, import layouts and the headers of artefacts are all read here, so that a misspelt key, a wrong
type or a value out of range gives the same kind of message everywhere, and no setting is ever ignored in silence.
"""

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from polyreel.errors import DataError, PolyreelError, RecipeError
from polyreel.storage import read_json


class Settings(BaseModel):
    """A frozen set of documented settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


SettingsType = TypeVar("SettingsType", bound=Settings)
Table = Mapping[str, object]


def read_toml(path: Path, error: type[PolyreelError] = RecipeError) -> dict[str, object]:
    """Read a TOML file.

    Raises:
        error: the file is missing, not UTF-8, or not TOML; the message names file and line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path} does not exist") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 (byte {problem.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path} is not valid TOML: {problem}") from None


def parse(
    kind: type[SettingsType], values: Table, where: str, error: type[PolyreelError] = RecipeError
) -> SettingsType:
    """Make settings of a table of values.

    Args:
        kind: the settings class.
        values: nested tables as TOML gives them.
        where: the file they came from, for the message.
        error: what to raise.

    Raises:
        error: naming every key that is unknown (with the nearest known one), missing or wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as problem:
        faults = "; ".join(_explain(kind, fault) for fault in problem.errors())
        raise error(f"{where}: {faults}") from None


def merged(values: Table, changes: Table) -> dict[str, object]:
    """Return nested tables with changes laid over them; `langs` and other lists are replaced whole."""
    result = dict(values)
    for key, change in changes.items():
        old = result.get(key)
        result[key] = merged(old, change) if isinstance(old, Mapping) and isinstance(change, Mapping) else change
    return result


def parse_override(override: str, error: type[PolyreelError] = RecipeError) -> dict[str, object]:
    """Read a setting in the form `objective.temperature=0.1`: its value is TOML, or else text.

    Raises:
        error: it is not of this form.
    """
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise error(f"{override!r} is no setting; write key=value, as in objective.temperature=0.1")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        return tomllib.loads(f"{key} = {tomli_w.dumps({'x': value.strip()})[4:]}")


def read_settings(kind: type[SettingsType], overrides: Sequence[str], where: str) -> SettingsType:
    """Make settings of overrides alone, in the form of `parse_override`.

    Raises:
        DataError: a key is unknown, or a value is wrong.
    """
    values: dict[str, object] = {}
    for override in overrides:
        values = merged(values, parse_override(override, DataError))
    return parse(kind, values, where, DataError)


def read_header(kind: type[SettingsType], path: Path, schema_version: int) -> SettingsType:
    """Read the JSON header of an artefact's folder.

    Args:
        kind: what the header holds, with a field `schema_version`.
        path: the file.
        schema_version: the one this polyreel reads.

    Raises:
        DataError: the file is missing, was edited or cut short, or was written in another version of the format.
    """
    values = read_json(path)
    found = values.get("schema_version")
    if found != schema_version:
        raise DataError(f"{path.parent} has schema version {found!r}; this polyreel reads {schema_version}")
    return parse(kind, values, str(path), DataError)


def _explain(kind: type[Settings], fault: ErrorDetails) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(kind, fault["loc"][:-1])
        near = get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        return f"unknown key {place!r}; {hint}"
    if fault["type"] == "missing":
        return f"the key {place!r} is missing"
    if fault["type"] == "value_error":
        reason = fault["msg"].removeprefix("Value error, ")
        return f"{place}: {reason}" if place else reason
    return f"{place!r} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _known_keys(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = kind.model_fields.get(str(part))
        candidates = [] if field is None else [field.annotation, *get_args(field.annotation)]
        inner = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
        if inner:
            kind = inner[0]
    return list(kind.model_fields)
