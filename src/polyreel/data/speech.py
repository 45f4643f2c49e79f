"""Speech: what is said or subtitled in videos, at rest in one Parquet table.

It is searched beside the pictures, and no training reads it unless asked: subtitles say what is heard, and often not
what is seen. A dataset, or a folder of features, keeps it in a file of the name `SPEECH_FILE`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.data.clips import as_table
from polyreel.data.parquet import read_parquet
from polyreel.storage import write_aside

SPEECH_FILE = "speech.parquet"
SPEECH_SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64(), nullable=False),
        pa.field("end_seconds", pa.float64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("lang", pa.string()),
        pa.field("source", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """One line of what is said in a video.

    Attributes:
        video: the video, as `Clip.video` names it.
        start_seconds: when it begins, from the video's start.
        end_seconds: first moment after it.
        text: the words, without markup, on one line, not empty.
        lang: ISO 639-1 code; None where nothing says so.
        source: where it stands: the name of a subtitle file, or "track 2 (subrip)".
    """

    video: str
    start_seconds: float
    end_seconds: float
    text: str
    lang: str | None = None
    source: str

    def __post_init__(self) -> None:
        """Check span and text.

        Raises:
            ValueError: the span or the text is empty.
        """
        if not 0 <= self.start_seconds < self.end_seconds:
            raise ValueError(
                f"speech from {self.start_seconds} to {self.end_seconds} seconds in {self.source}; expected a start of "
                "0 or more, and a later end"
            )
        if not self.text.strip():
            raise ValueError(f"speech without words at {self.start_seconds} seconds in {self.source}; leave it out")


def write_speech(path: Path, rows: Iterable[Speech]) -> None:
    """Write lines to a Parquet table, in the order of video, source and time, aside and renamed."""
    ordered = sorted(rows, key=lambda row: (row.video, row.source, row.start_seconds, row.end_seconds))
    table = pa.Table.from_pylist([asdict(row) for row in ordered], schema=SPEECH_SCHEMA)
    with write_aside(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_speech(path: Path) -> pa.Table:
    """Read a table of lines.

    Raises:
        DataError: the file is missing, broken, or lacks a column.
    """
    return as_table(read_parquet(path), SPEECH_SCHEMA)


def speech_between(table: pa.Table, video: str, start_seconds: float, end_seconds: float) -> Iterator[Speech]:
    """Yield the lines that are heard at some moment of a clip, in the table's order."""
    overlaps = pc.and_(pc.less(table["start_seconds"], end_seconds), pc.greater(table["end_seconds"], start_seconds))
    names = [field.name for field in fields(Speech)]
    found = table.filter(pc.and_(pc.equal(table["video"], video), overlaps)).select(names)
    yield from (Speech(**row) for row in found.to_pylist())
