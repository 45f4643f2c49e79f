"""The results that lie in `results/`, read back, so that every table in the docs comes from a file and not from a hand.

There are two kinds. A *comparison* is what an experiment wrote: figures with intervals, and fingerprints of data,
features and models; since schema version 1 also of each run's recipe and of the code that measured. A *measurement* is
any other JSON object: seconds, bytes, shares, each under its name.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from polyreel.errors import DataError
from polyreel.evaluation.estimates import MEAN_LANG
from polyreel.evaluation.layouts import Format, laid_out
from polyreel.evaluation.metrics import Direction, Metric
from polyreel.evaluation.tables import DIRECTION_NAMES, Table, lang_name
from polyreel.storage import Json, read_json

RESULT_SCHEMA_VERSION = 1
NOT_RECORDED = "not recorded"
_HEADING = """# Results, as they lie in `results/`

Made by `polyreel table results/*.json --format md`, and not to be edited. Intervals are 95 %, over source videos;
`docs/results.md` says what the figures mean. Older files do not hold the fingerprints of recipes and code."""


class _Lenient(BaseModel):
    """A part of a file whose further fields are somebody else's."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FigureEntry(_Lenient):
    """One figure of one system."""

    lang: str
    direction: str
    metric: str
    value: float
    low: float
    high: float


class GroundEntry(_Lenient):
    """What was measured on."""

    dataset: str
    dataset_fingerprint: str
    split: str
    num_clips: int
    extractor: str
    features_fingerprint: str


class ReportEntry(_Lenient):
    """One system."""

    name: str
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    recipes: tuple[str, ...] = ()
    ground: GroundEntry
    figures: tuple[FigureEntry, ...]


class CellEntry(_Lenient):
    """Systems that answered the same queries."""

    values: dict[str, str] = {}
    reports: Annotated[tuple[ReportEntry, ...], Field(min_length=1)]


class ComparisonResult(_Lenient):
    """What an experiment found."""

    schema_version: Literal[1] | None = None
    title: str
    code: str = NOT_RECORDED
    cells: Annotated[tuple[CellEntry, ...], Field(min_length=1)]


def read_result(path: Path) -> ComparisonResult | dict[str, Json]:
    """Read a result: a comparison, or a measurement as it stands.

    Raises:
        DataError: the file is no JSON object, or has cells that are none of a comparison.
    """
    if path.is_file() and path.read_text(encoding="utf-8").startswith("["):
        return {"row": json.loads(path.read_text(encoding="utf-8"))}
    values = read_json(path)
    if "cells" not in values:
        return values
    try:
        return TypeAdapter(ComparisonResult).validate_python(values)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(
            f"{path} has cells, and a wrong {field!r}; expected what `polyreel experiment` writes, schema version "
            f"{RESULT_SCHEMA_VERSION} or none"
        ) from None


def tables_of(path: Path, metric: Metric = "R@10", direction: Direction = "t2v") -> list[Table]:
    """Lay a result out: a table a cell of a comparison, one table for a measurement.

    Raises:
        DataError: see `read_result`.
    """
    found = read_result(path)
    if isinstance(found, ComparisonResult):
        return [_cell_table(found, cell, path.name, metric, direction) for cell in found.cells]
    rows = [row for name, value in found.items() for row in _measured(name, value)]
    return [Table(title=f"{path.stem}, measured", header=("what", "value"), rows=tuple(rows), note=f"{path.name}")]


def result_page(
    paths: Sequence[Path], form: Format = "md", metric: Metric = "R@10", direction: Direction = "t2v"
) -> str:
    """Lay results out one after the other, in the order of their names; Markdown gets a heading.

    Raises:
        DataError: a file is not there; see also `read_result`.
    """
    tables = [table for path in sorted(set(paths)) for table in tables_of(path, metric, direction)]
    head = [_HEADING] if form == "md" else []
    return "\n\n".join([*head, *(laid_out(table, form) for table in tables)]) + "\n"


def _cell_table(result: ComparisonResult, cell: CellEntry, file: str, metric: Metric, direction: Direction) -> Table:
    by_place = {
        (report.name, figure.lang): figure
        for report in cell.reports
        for figure in report.figures
        if (figure.metric, figure.direction) == (metric, direction)
    }
    langs = dict.fromkeys(lang for _, lang in by_place)
    ground = cell.reports[0].ground
    place = f" ({', '.join(f'{axis} {value}' for axis, value in cell.values.items())})" if cell.values else ""
    where = f"{ground.dataset} {ground.split}, {ground.num_clips:,} clips"
    return Table(
        title=f"{result.title}{place}: {metric}, {DIRECTION_NAMES[direction]}, {where}",
        header=("language", *(report.name for report in cell.reports)),
        rows=tuple(
            (lang_name(lang), *(_figure(by_place.get((report.name, lang))) for report in cell.reports))
            for lang in sorted(langs, key=lambda lang: lang == MEAN_LANG)
        ),
        note=_provenance(result, cell, file),
    )


def _figure(figure: FigureEntry | None) -> str:
    return "–" if figure is None else f"{figure.value:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


def _provenance(result: ComparisonResult, cell: CellEntry, file: str) -> str:
    ground = cell.reports[0].ground
    seeds = max(len(report.seeds) for report in cell.reports)
    recipes = [
        f"{report.name} {' '.join(fingerprint[:8] for fingerprint in report.recipes)}"
        for report in cell.reports
        if report.recipes
    ]
    return (
        f"{file}; seeds: {seeds}; data {ground.dataset_fingerprint[:12]}, features {ground.extractor} "
        f"{ground.features_fingerprint[:12]}; recipes: {', '.join(recipes) or NOT_RECORDED}; code: {result.code}"
    )


def _measured(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield what stands under a name, level by level; numbers measured several times with their range."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _measured(f"{name}, {key}" if name else key, inner)
    elif isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        numbers = sorted(float(one) for one in value if isinstance(one, int | float))
        middle = median(numbers)
        spread = f" ({numbers[0]:,.4g} – {numbers[-1]:,.4g}, {len(numbers)} times)" if len(numbers) > 1 else ""
        yield name, f"{middle:,.4g}{spread}"
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _measured(f"{name} {number}", inner)
    else:
        yield name, f"{value:,.4g}" if isinstance(value, float) else str(value)
