"""Clip rows out of the files that a layout names, or, where it names none, out of the captions."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from polyreel.data.clips import CLIP_SCHEMA
from polyreel.data.importers.layout import ClipsLayout
from polyreel.data.importers.placed_rows import PlacedRows, join_rows
from polyreel.data.importers.source_table import SourceTable, find_file, read_table
from polyreel.errors import DataError


def read_clips(folder: Path, layouts: Sequence[ClipsLayout]) -> PlacedRows:
    """Read the clip tables of a layout.

    Raises:
        DataError: a file or column is missing, or a cell is not what it should be.
    """
    parts = []
    for layout in layouts:
        source = read_table(folder, str(layout.file))
        parts.append((source, _clip_table(source, layout), np.arange(len(source))))
    return join_rows(parts)


def clips_of_captions(captions: PlacedRows, layout: ClipsLayout) -> PlacedRows:
    """Make a clip of every clip id that captions name, each its own source, all in the layout's split.

    Raises:
        DataError: the layout has no split for them.
    """
    if layout.split is None:
        raise DataError('the layout has no clip table and no split; say split = "train" (or another) under [clips]')
    clip_ids = captions.table["clip_id"].combine_chunks()
    first = np.sort(np.unique(np.asarray(clip_ids.dictionary_encode().indices), return_index=True)[1])
    names = clip_ids.take(pa.array(first))
    table = _filled({"clip_id": names, "video": names, "source": names}, layout.split, len(first))
    return PlacedRows(
        table=table,
        sources=captions.sources,
        source_of=captions.source_of[first],
        row_in_source=captions.row_in_source[first],
    )


def with_video_files(clips: PlacedRows, folder: Path, videos: str) -> PlacedRows:
    """Replace every clip's `video` by the file of that name in the videos folder, with or without its suffix.

    Raises:
        DataError: the folder is missing, or a clip has no file in it, or several.
    """
    root = find_file(folder, videos)
    files_of: dict[str, list[str]] = {}
    for path in sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file()):
        for name in {path.as_posix(), path.with_suffix("").as_posix()}:
            files_of.setdefault(name, []).append(path.as_posix())
    found = []
    for row, video in enumerate(clips.table["video"].to_pylist()):
        name = PurePosixPath(video).as_posix()
        files = [name] if name in files_of.get(name, ()) else files_of.get(name, [])
        if len(files) != 1:
            what = f"several files in {videos}: {', '.join(files)}" if files else f"no file in {videos}"
            raise DataError(f"{clips.place(row)} names the video {video!r}, which is {what}; expected one")
        found.append(files[0])
    column = clips.table.schema.get_field_index("video")
    table = clips.table.set_column(column, CLIP_SCHEMA.field("video"), pa.array(found, pa.string()))
    return PlacedRows(table=table, sources=clips.sources, source_of=clips.source_of, row_in_source=clips.row_in_source)


def _clip_table(source: SourceTable, layout: ClipsLayout) -> pa.Table:
    named = layout.columns
    columns = {"clip_id": source.texts(named.clip_id or "clip_id")}
    for field, column in (("video", named.video), ("source", named.source), ("split", named.split)):
        is_constant = field == "split" and layout.split is not None
        if not is_constant and (column or field in source):
            columns[field] = source.texts(column or field)
    for field, column in (("start_seconds", named.start_seconds), ("end_seconds", named.end_seconds)):
        if column or field in source:
            columns[field] = source.numbers(column or field)
    if layout.split is None and "split" not in columns:
        raise DataError(
            f"{source.file} has no column 'split'; it has {', '.join(source.cells.column_names)}; "
            'name it under [clips.columns], or say split = "train" (or another) under [clips]'
        )
    table = _filled(columns, layout.split, len(source))
    for name in layout.keep:
        table = table.append_column(name, source.column(name))
    return table


def _filled(columns: dict[str, pa.Array], split: str | None, num_rows: int) -> pa.Table:
    """Bring columns into the order of `Clip`, with what stands in for those that are missing."""
    video = columns.get("video", columns["clip_id"])
    absent = pa.nulls(num_rows, pa.float64())
    stand_in = {
        "video": video,
        "source": video,
        "split": pa.array([split] * num_rows, pa.string()),
        "start_seconds": absent,
        "end_seconds": absent,
    }
    values = [columns.get(name, stand_in.get(name)) for name in CLIP_SCHEMA.names]
    return pa.table(values, names=CLIP_SCHEMA.names)
