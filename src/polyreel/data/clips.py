"""Clip and Caption: the values of one row, and the columns they are kept in.

Tables stay columns in memory, because caption sets grow to millions of rows; these values are what a person makes and
reads, and their fields are the tables' columns.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Origin = Literal["human", "machine-translated", "generated"]
ORIGINS: tuple[str, ...] = get_args(Origin)

CLIP_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
CAPTION_SCHEMA = pa.schema(
    [
        pa.field("caption_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One span of a video, the unit of retrieval.

    Attributes:
        clip_id: unique in its dataset.
        video: a path relative to the dataset's `videos_folder`, or the publisher's id where there is no file.
        start_seconds: first moment of the span; None means the video's beginning.
        end_seconds: first moment after the span; None means the video's end.
        split: "train", "val", "test" or the publisher's own name.
        source: the video the clip was cut from; clips of one source never straddle two splits of ours.
    """

    clip_id: str
    video: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    split: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Caption:
    """One sentence about a clip in one language.

    Attributes:
        caption_id: a sentence and its translations share it.
        clip_id: the clip it describes.
        lang: ISO 639-1 code.
        text: the sentence, not empty.
        origin: how the text came about.
        weight: how much it counts in training, above 0.
    """

    caption_id: str
    clip_id: str
    lang: str
    text: str
    origin: Origin = "human"
    weight: float = 1.0


def as_table(rows: "Iterable[DataclassInstance] | pa.Table", schema: pa.Schema, *, first_row: int = 0) -> pa.Table:
    """Bring values or a table into a schema's columns; further columns of a table are kept behind them.

    Args:
        rows: values, or a table.
        schema: its columns come first.
        first_row: number of the first row, for messages.

    Raises:
        DataError: a column is missing, of another type, or has no value in a row that needs one.
    """
    if not isinstance(rows, pa.Table):
        rows = pa.Table.from_pylist([asdict(row) for row in rows], schema=pa.schema([*map(_nullable, schema)]))
    missing = [name for name in schema.names if name not in rows.column_names]
    if missing:
        raise DataError(f"the table lacks the columns {', '.join(missing)}; it has {', '.join(rows.column_names)}")
    for field in schema:
        if not field.nullable and rows[field.name].null_count:
            row = first_row + pc.index(pc.is_null(rows[field.name]), True).as_py()
            raise DataError(f"row {row} has no {field.name}; every row needs one")
    further = [rows.schema.field(name) for name in rows.column_names if name not in schema.names]
    try:
        return rows.select(schema.names + [field.name for field in further]).cast(pa.schema([*schema, *further]))
    except pa.ArrowException as error:
        raise DataError(f"the table's columns do not fit ({error}); expected {_types(schema)}") from None


def _nullable(field: pa.Field) -> pa.Field:
    return field.with_nullable(True)


def _types(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
