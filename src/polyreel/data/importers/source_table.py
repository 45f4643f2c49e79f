"""Tables as they come: CSV, TSV, JSON lines, Parquet, each row remembering the line it stands in.

Text files are read with Python's own readers, because only they tell the line of a fault. CSV is RFC 4180 (quotes,
doubled quotes, line breaks within quotes); TSV knows no quotes, so that a quotation mark is just a character.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A table and where its rows stand.

    Attributes:
        file: the file's name, for messages.
        cells: the columns as they were read: text from CSV and TSV, typed from JSON lines and Parquet.
        lines: line of each row's beginning, counted from 1; for Parquet the row's own number.
        unit: what `lines` counts, "line" or "row".
    """

    file: str
    cells: pa.Table
    lines: Sequence[int]
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, column: object) -> bool:
        return column in self.cells.column_names

    def place(self, row: int) -> str:
        """Say where a row stands, for messages."""
        return f"{self.file}, {self.unit} {self.lines[row]}"

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as it was read.

        Raises:
            DataError: there is none by this name; the message suggests the nearest.
        """
        if name in self:
            return self.cells[name]
        near = get_close_matches(name, self.cells.column_names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"{self.file} has no column {name!r}; it has {', '.join(self.cells.column_names)}{hint}")

    def texts(self, name: str) -> pa.Array:
        """Return a column as text; missing cells are empty text.

        Raises:
            DataError: there is no such column, or it holds something that is no text, such as lists.
        """
        column = self.column(name)
        try:
            return pc.fill_null(column.cast(pa.string()), "").combine_chunks()
        except pa.ArrowException:
            raise DataError(f"{self.file}: column {name!r} holds {column.type}; expected text") from None

    def numbers(self, name: str) -> pa.Array:
        """Return a column as float64; missing and empty cells are null.

        Raises:
            DataError: there is no such column, or a cell is no number.
        """
        texts = pc.utf8_trim_whitespace(self.texts(name))
        present = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        try:
            return present.cast(pa.float64())
        except pa.ArrowInvalid:
            row = next(row for row, cell in enumerate(present) if not _is_number(cell))
            raise DataError(f"{self.place(row)} has {name} {texts[row].as_py()!r}; expected a number") from None


def read_table(folder: Path, file: str) -> SourceTable:
    """Read a table by the suffix of its name.

    Args:
        folder: where the file lies.
        file: its name there.

    Raises:
        DataError: the file is missing, of an unknown kind, not UTF-8, or broken; the message names the line.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in _READERS:
        raise DataError(f"{file} is of the kind {suffix!r}; tables that can be read are {', '.join(_READERS)}")
    return _READERS[suffix](find_file(folder, file), file)


def find_file(folder: Path, file: str) -> Path:
    """Return the path of a file or folder.

    Raises:
        DataError: it does not exist; the message suggests the nearest name.
    """
    path = folder / file
    if path.exists():
        return path
    names = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{file} does not exist in {folder}{hint}")


def read_utf8(path: Path, file: str) -> str:
    """Read a text file, without the byte order mark it may begin with.

    Raises:
        DataError: it is not UTF-8; the message names the line.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise DataError(
            f"{file}, line {line} is not UTF-8 (byte {content[error.start]:#04x}); save the file as UTF-8"
        ) from None


def _read_csv(path: Path, file: str) -> SourceTable:
    return _read_delimited(read_utf8(path, file), file, has_quotes=True)


def _read_tsv(path: Path, file: str) -> SourceTable:
    return _read_delimited(read_utf8(path, file), file, has_quotes=False)


def _read_delimited(text: str, file: str, *, has_quotes: bool) -> SourceTable:
    stream = io.StringIO(text, newline="")
    quoted = csv.reader(stream, strict=True)
    reader = quoted if has_quotes else csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    rows, lines, last_line = [], [], 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(last_line + 1)
            last_line = reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{file}, line {last_line + 1}: {error}; cells with quotes, commas or line breaks are quoted as in RFC 4180"
        ) from None
    if not rows:
        raise DataError(f"{file} is empty; its first line must name the columns")
    header, *rows = rows
    _check_shape(header, rows, lines[1:], file)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    cells = pa.table([pa.array([cell or None for cell in column], pa.string()) for column in columns], names=header)
    return SourceTable(file=file, cells=cells, lines=lines[1:])


def _check_shape(header: Sequence[str], rows: Iterable[Sequence[str]], lines: Sequence[int], file: str) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{file}, line 1 names the column {repeated[0]!r} twice; columns need names of their own")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(f"{file}, line {line} has {len(row)} columns; the first line names {len(header)}")


def _read_json_lines(path: Path, file: str) -> SourceTable:
    records, lines = [], []
    for line, text in enumerate(read_utf8(path, file).split("\n"), start=1):
        if text.strip():
            records.append(_parse_object(text, f"{file}, line {line}"))
            lines.append(line)
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: _as_column([record.get(name) for record in records], name, file) for name in names}
    return SourceTable(file=file, cells=pa.table(columns), lines=lines)


def _parse_object(text: str, place: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"{place} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{place} holds a {type(value).__name__}; expected one JSON object a line")
    return value


def _as_column(values: Sequence[object], name: str, file: str) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise DataError(f"{file}: the values of {name!r} do not make one column: {error}") from None


def _read_parquet(path: Path, file: str) -> SourceTable:
    try:
        cells = pq.read_table(path)
        cells.validate(full=True)
    except pa.ArrowException as error:
        raise DataError(f"{file} is no sound Parquet file: {error}") from None
    return SourceTable(file=file, cells=cells, lines=range(1, cells.num_rows + 1), unit="row")


_READERS: dict[str, Callable[[Path, str], SourceTable]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _is_number(cell: pa.StringScalar) -> bool:
    try:
        cell.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
