"""The folder of a report: figures as JSON, and what they were made of as Parquet that any tool opens.

`report.json` says what was measured of what; `ranks.parquet` has a row a query, language, direction and seed;
`answers.parquet` the first ten candidates of every query with their scores; `queries.parquet` a row a caption asked.
The last two are absent from reports of before they were kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from polyreel.errors import DataError
from polyreel.evaluation.ground import Ground
from polyreel.storage import Json, read_json, write_aside, write_json

HEADER, RANKS, ANSWERS, QUERIES = "report.json", "ranks.parquet", "answers.parquet", "queries.parquet"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What `report.json` says besides figures, which are computed from the ranks."""

    name: str
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    versions: Mapping[str, str]
    ground: Ground
    scoring: str = "cosine"
    pretrained_on: str = ""
    confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def write_report(folder: Path, header: Mapping[str, Json], tables: Mapping[str, pa.Table | None]) -> None:
    """Write a report's folder, aside and renamed; a table that is None is left out."""
    with write_aside(folder) as aside:
        write_json(aside / HEADER, header)
        for name, table in tables.items():
            if table is not None:
                pq.write_table(table, aside / name, compression="zstd")


def read_report(folder: Path) -> tuple[Header, dict[str, pa.Table]]:
    """Read a report's folder.

    Returns:
        The header, and the tables that are there by the name of their file.

    Raises:
        DataError: the folder is no report, or not one that this polyreel can read.
    """
    if not (folder / HEADER).is_file():
        raise DataError(f"{folder} is no report: it has no report.json; make one with `polyreel evaluate -o`")
    try:
        header = TypeAdapter(Header).validate_python(read_json(folder / HEADER))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(f"{folder}/report.json has a wrong {place!r}; evaluate again to write it anew") from None
    there = [name for name in (RANKS, ANSWERS, QUERIES) if (folder / name).is_file() or name == RANKS]
    return header, {name: pq.read_table(folder / name) for name in there}
