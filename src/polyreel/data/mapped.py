"""Tables larger than memory: Arrow files beside the dataset, mapped, and read some thousand rows at a time.

A mapped table is an ordinary Arrow table whose columns lie in a file, so the system reads pages of it when they are
looked at and drops them when it needs room. What would make a copy of a column is done here in another way. Files are
named by a digest of what is in them, so what was written once is found again.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.data.clips import as_table
from polyreel.errors import DataError
from polyreel.storage import fingerprint_files, fingerprint_streamed, write_aside

Ints = npt.NDArray[np.int64]
Bytes = bytes | memoryview
ROWS_AT_ONCE = 16_384
PREPARED, _TABLES = "prepared", "tables"


class Texts(Sequence[str]):
    """A column of strings as a sequence, of which only what is looked at becomes Python's.

    Attributes:
        column: the strings.
    """

    def __init__(self, column: pa.ChunkedArray | pa.Array | Sequence[str]) -> None:
        if not isinstance(column, pa.ChunkedArray | pa.Array):
            column = pa.array(column, pa.string())
        self.column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column], pa.string())

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """Return one string, or a list of some."""
        found: str | list[str]
        found = self.column[place].to_pylist() if isinstance(place, slice) else self.column[int(place)].as_py()
        return found

    def __iter__(self) -> Iterator[str]:
        for part in blocks(self.column):
            yield from part.to_pylist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return bool(self.column.equals(other.column))
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    @property
    def fingerprint(self) -> str:
        """Digest of the strings, in their order."""
        return fingerprint_streamed(content(self.column))


def blocks(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield a column some thousand rows at a time; the pieces are views."""
    for chunk in column.chunks:
        for first in range(0, len(chunk), ROWS_AT_ONCE):
            yield chunk.slice(first, ROWS_AT_ONCE)


def gather(column: pa.ChunkedArray, rows: Ints) -> pa.Array:
    """Return some rows of a column, in the order given, without a copy of the rest."""
    if not len(rows):
        return pa.array([], column.type)
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    chunk_of = np.searchsorted(ends, rows, side="right")
    order = np.argsort(chunk_of, kind="stable")
    used, counts = np.unique(chunk_of, return_counts=True)
    taken = []
    for number, places in zip(used, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        chunk = column.chunk(int(number))
        taken.append(chunk.take(pa.array(rows[places] - (ends[number] - len(chunk)))))
    back = np.empty(len(rows), np.int64)
    back[order] = np.arange(len(rows))
    return pa.concat_arrays(taken).take(pa.array(back))


def content(column: pa.ChunkedArray) -> Iterator[tuple[int, Iterable[Bytes]]]:
    """Yield what a column holds, whatever chunks it is kept in: the size of each part in bytes, and its bytes."""
    if column.type == pa.string():
        yield 4 * len(column), (np.diff(strings_of(part)[0]).astype(np.int32).tobytes() for part in blocks(column))
        yield (
            sum(len(strings_of(part)[1]) for part in blocks(column)),
            (strings_of(part)[1].data for part in blocks(column)),
        )
    else:
        yield sum(len(_numbers_of(part)) for part in blocks(column)), (_numbers_of(part) for part in blocks(column))


def strings_of(strings: pa.Array) -> tuple[Ints, npt.NDArray[np.uint8]]:
    """Return where each of some strings begins and the last ends, `[N + 1]`, and the bytes of all, end to end."""
    if not len(strings):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, ends, data = strings.buffers()
    offsets = np.frombuffer(ends, np.int32)[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    every = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return offsets - offsets[0], every[offsets[0] : offsets[-1]]


def _numbers_of(numbers: pa.Array) -> bytes:
    return bytes(pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False).tobytes())


def prepared_folder(folder: Path) -> Path | None:
    """Return where what is made of a dataset's files may lie beside them; None where nothing can be written."""
    place = folder / PREPARED
    try:
        place.mkdir(exist_ok=True)
        (place / ".writable").touch()
    except OSError:
        return None
    return place


def tables_folder(dataset: Path) -> Path | None:
    """Return where a dataset's mapped tables lie; None where nothing can be written."""
    place = prepared_folder(dataset)
    return None if place is None else place / _TABLES


def count_true(mask: pa.Array | pa.ChunkedArray) -> int:
    """Count the rows that a mask keeps."""
    return int(pc.sum(mask, min_count=0).as_py())


def map_parquet(path: Path, schema: pa.Schema, folder: Path) -> pa.Table:
    """Copy a Parquet file into an Arrow file, unless that was done before, and map it.

    Args:
        path: the Parquet file.
        schema: the columns it must have; further ones stay.
        folder: where Arrow files lie.

    Raises:
        DataError: the file is missing, edited or cut short, or a column is not as it must be.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; make what it belongs to anew")
    place = folder / f"{path.stem}-{fingerprint_files([path])}.arrow"
    if not place.is_file():
        _write(place, _conformed(path, schema))
    return map_table(place)


def filtered(table: pa.Table, mask: pa.Array | pa.ChunkedArray, folder: Path) -> pa.Table:
    """Write the rows where a mask is true into an Arrow file, unless that was done before, and map it."""
    parts = (memoryview(piece.serialize()) for piece in _pieces(table))
    of_table = fingerprint_streamed((len(part), [part]) for part in parts)
    flags = (np.packbits(mask.slice(first, ROWS_AT_ONCE)).tobytes() for first in range(0, len(mask), ROWS_AT_ONCE))
    place = folder / f"rows-{of_table}-{fingerprint_streamed((len(part), [part]) for part in flags)}.arrow"
    if not place.is_file():
        _write(place, _kept_rows(table, mask))
    return map_table(place)


def write_columns(place: Path, schema: pa.Schema, batches: Iterable[pa.Table]) -> None:
    """Write pieces of a table into an Arrow file as they come."""
    with pa.OSFile(str(place), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_table(batch, max_chunksize=ROWS_AT_ONCE)


def map_table(place: Path) -> pa.Table:
    """Map an Arrow file."""
    with pa.ipc.open_file(pa.memory_map(str(place))) as reader:
        return reader.read_all()


def _write(place: Path, batches: Iterator[pa.Table]) -> None:
    with write_aside(place) as aside:
        first = next(batches)

        def every() -> Iterator[pa.Table]:
            yield first
            yield from batches

        write_columns(aside, first.schema, every())


def _conformed(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    try:
        source, first = pq.ParquetFile(path, memory_map=True, pre_buffer=False), 0
        yield as_table(source.schema_arrow.empty_table(), schema)
        for batch in source.iter_batches(ROWS_AT_ONCE):
            yield as_table(pa.Table.from_batches([batch]), schema, first_row=first)
            first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no sound Parquet file, perhaps cut short ({error}); make it anew") from None


def _kept_rows(table: pa.Table, mask: pa.Array | pa.ChunkedArray) -> Iterator[pa.Table]:
    yield table.schema.empty_table()
    for first in range(0, table.num_rows, ROWS_AT_ONCE):
        yield table.slice(first, ROWS_AT_ONCE).filter(mask.slice(first, ROWS_AT_ONCE))


def _pieces(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for first in range(0, table.num_rows, ROWS_AT_ONCE):
        yield from table.slice(first, ROWS_AT_ONCE).combine_chunks().to_batches()
