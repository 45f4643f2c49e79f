"""All clips of one video in the order of time, with their embeddings.

A score curve is drawn from them, copies of a video are recognised by them, and a file that moved is put in again from
them without being decoded.

Shapes: N clips of a video, D width of an embedding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from polyreel.search.filter import COLUMN_PREFIX
from polyreel.search.rows import IndexedClip
from polyreel.similarity import Embeddings


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipSequence:
    """The clips of one video.

    Attributes:
        video: path of the file, relative to the library's folder.
        clips: in the order of time, one or more.
        embeddings_ND: unit length, `[N, D]`, a row a clip.
    """

    video: str
    clips: tuple[IndexedClip, ...]
    embeddings_ND: Embeddings


def sequences_of(rows: pa.Table, dim: int) -> Iterator[ClipSequence]:
    """Take the rows of a table of clips apart, by video.

    Args:
        rows: with their embeddings in `vector`.
        dim: width D of an embedding.

    Yields:
        The clips of each video, by its name.
    """
    if not len(rows):
        return
    rows = rows.sort_by([("video", "ascending"), ("start_seconds", "ascending"), ("clip_id", "ascending")])
    vectors_ND = rows["vector"].combine_chunks().flatten().to_numpy().reshape(-1, dim)
    videos = rows["video"].to_pylist()
    starts = [place for place in range(len(videos)) if place == 0 or videos[place] != videos[place - 1]]
    for start, end in zip(starts, [*starts[1:], len(videos)], strict=True):
        clips = tuple(map(clip_of, rows.slice(start, end - start).drop_columns(["vector"]).to_pylist()))
        yield ClipSequence(video=videos[start], clips=clips, embeddings_ND=vectors_ND[start:end])


def clip_of(row: Mapping[str, object]) -> IndexedClip:
    """Return the clip that a row was made of."""
    own = {name.removeprefix(COLUMN_PREFIX): value for name, value in row.items() if name.startswith(COLUMN_PREFIX)}
    date, length = row.get("date_seconds"), row.get("video_seconds")
    return IndexedClip(
        clip_id=str(row["clip_id"]),
        video=str(row["video"]),
        start_seconds=float(str(row["start_seconds"])),
        end_seconds=float(str(row["end_seconds"])),
        file_stamp=str(row["file_stamp"]),
        date_seconds=None if date is None else float(str(date)),
        video_seconds=None if length is None else float(str(length)),
        columns={name: value for name, value in own.items() if isinstance(value, str | float | bool)},
    )
