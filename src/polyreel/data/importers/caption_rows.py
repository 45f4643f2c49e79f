"""Caption rows out of wide tables (a row a sentence, a column a language) and long ones (a row a caption).

A language that a sentence lacks is absent: an empty cell of a wide table makes no caption. In a long table an empty
text is a fault, because a row that says nothing was hardly meant.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.checks import codes
from polyreel.data.clips import CAPTION_SCHEMA
from polyreel.data.importers.layout import CaptionColumns, CaptionsLayout
from polyreel.data.importers.placed_rows import PlacedRows, join_rows
from polyreel.data.importers.source_table import SourceTable, read_table
from polyreel.errors import DataError

Positions = npt.NDArray[np.int64]


def read_captions(folder: Path, layouts: Sequence[CaptionsLayout]) -> PlacedRows:
    """Read the caption tables of a layout, in the order of the layout and of the files' rows.

    Where a sentence number is given, the captions of a clip follow it.

    Raises:
        DataError: a file or column is missing, or a cell is not what it should be.
    """
    numbered: Counter[str] = Counter()
    parts = []
    for layout in layouts:
        source = read_table(folder, layout.file)
        rows, langs, texts = _wide(source, layout.langs) if layout.langs else _long(source, layout.columns)
        clip_ids, caption_ids = _ids(source, layout.columns, numbered)
        columns = {
            "caption_id": caption_ids.take(rows),
            "clip_id": clip_ids.take(rows),
            "lang": langs,
            "text": texts,
            "origin": _origins(source, layout, rows, langs),
            "weight": _weights(source, layout.columns).take(rows),
        }
        order = _order(source, layout.columns, clip_ids, rows)
        parts.append((source, pa.table(columns, schema=CAPTION_SCHEMA).take(order), rows[order]))
    if parts:
        return join_rows(parts)
    return PlacedRows(
        table=CAPTION_SCHEMA.empty_table(), sources=(), source_of=np.zeros(0, int), row_in_source=np.zeros(0, int)
    )


def _wide(source: SourceTable, column_of: dict[str, str]) -> tuple[Positions, pa.Array, pa.Array]:
    """Return source row, language and text of every cell that is not empty, row by row."""
    texts = pa.concat_arrays([source.texts(column) for column in column_of.values()])
    cells = np.arange(len(texts)).reshape(len(column_of), len(source)).T.ravel()
    is_present = pc.not_equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
    cells = cells[is_present[cells]]
    langs = pa.array(list(column_of), pa.string()).take(cells // max(len(source), 1))
    return cells % max(len(source), 1), langs, texts.take(cells)


def _long(source: SourceTable, named: CaptionColumns) -> tuple[Positions, pa.Array, pa.Array]:
    lang = named.lang or "lang"
    if lang not in source and named.lang is None:
        raise DataError(
            f"{source.file} has no column 'lang'; it has {', '.join(source.cells.column_names)}; name it under "
            "[captions.columns], or, in a table with a column a language, name these under [captions.langs]"
        )
    return np.arange(len(source)), source.texts(lang), source.texts(named.text or "text")


def _ids(source: SourceTable, named: CaptionColumns, numbered: Counter[str]) -> tuple[pa.Array, pa.Array]:
    """Return clip id and caption id of every source row; rows without either are numbered within their clip."""
    clip_ids = source.texts(named.clip_id or "clip_id")
    if named.sentence:
        numbers = pa.array(_sentence_numbers(source, named.sentence)).cast(pa.string())
        return clip_ids, pc.binary_join_element_wise(clip_ids, numbers, "#")
    if named.caption_id or "caption_id" in source:
        return clip_ids, source.texts(named.caption_id or "caption_id")
    caption_ids = []
    for clip_id in clip_ids.to_pylist():
        caption_ids.append(f"{clip_id}#{numbered[clip_id]}")
        numbered[clip_id] += 1
    return clip_ids, pa.array(caption_ids, pa.string())


def _sentence_numbers(source: SourceTable, column: str) -> Positions:
    numbers = pc.fill_null(source.numbers(column), -1.0).to_numpy(zero_copy_only=False)
    bad = np.flatnonzero((numbers < 0) | (numbers != np.floor(numbers)))
    if len(bad):
        found = source.texts(column)[int(bad[0])].as_py()
        raise DataError(f"{source.place(int(bad[0]))} has {column} {found!r}; expected a whole number, 0 or more")
    return np.asarray(numbers, np.int64)


def _order(source: SourceTable, named: CaptionColumns, clip_ids: pa.Array, rows: Positions) -> Positions:
    """Return the order in which each clip's captions follow their sentence numbers, clips by first appearance."""
    if not named.sentence:
        return np.arange(len(rows))
    return np.lexsort((_sentence_numbers(source, named.sentence)[rows], codes(clip_ids)[rows]))


def _origins(source: SourceTable, layout: CaptionsLayout, rows: Positions, langs: pa.Array) -> pa.Array:
    if layout.columns.origin or "origin" in source:
        return source.texts(layout.columns.origin or "origin").take(rows)
    encoded = langs.dictionary_encode()
    by_code = [layout.origins.get(code, "human") for code in encoded.dictionary.to_pylist()]
    return pa.array(by_code, pa.string()).take(encoded.indices)


def _weights(source: SourceTable, named: CaptionColumns) -> pa.Array:
    if named.weight or "weight" in source:
        return pc.fill_null(source.numbers(named.weight or "weight"), 1.0).cast(pa.float32())
    return pa.array(np.ones(len(source), np.float32))
