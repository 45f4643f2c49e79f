"""Filters as LanceDB reads them: conditions in SQL."""

from collections.abc import Iterable

import pyarrow as pa

from polyreel.search.filter import Filter, Value, kind_of


def as_sql(wanted: Filter | None, schema: pa.Schema) -> str:
    """Spell a filter as a condition in SQL; empty for one that lets everything pass."""
    if wanted is None:
        return ""
    conditions: list[str] = []
    if wanted.folder:
        folder = wanted.folder
        conditions.append(f"(video = {_quoted(folder)} OR starts_with(video, {_quoted(folder + '/')}))")
    elif wanted.is_pattern:
        conditions.append(f"regexp_like(video, {_quoted(wanted.pattern)})")
    for name, (low, high, is_closed) in wanted.ranges.items():
        if name not in schema.names or not pa.types.is_floating(schema.field(name).type):
            return "false"
        conditions += [] if low is None else [f"`{name}` >= {float(low)!r}"]
        conditions += [] if high is None else [f"`{name}` {'<=' if is_closed else '<'} {float(high)!r}"]
    for name, values in wanted.choices.items():
        if name not in schema.names:
            return "false"
        conditions.append(among(name, [value for value in values if kind_of(value) == schema.field(name).type]))
    if wanted.langs:
        conditions.append(f"array_has_any(speech_langs, [{', '.join(map(_quoted, wanted.langs))}])")
    return " AND ".join(conditions)


def _quoted(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(float(value))


def among(name: str, values: Iterable[Value]) -> str:
    """Spell that a column holds one of several values."""
    quoted = ", ".join(_quoted(value) for value in values)
    return f"`{name}` IN ({quoted})" if quoted else "false"
