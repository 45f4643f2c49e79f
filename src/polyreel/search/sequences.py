"""All clips of one video in the order of time, with their embeddings.

A score curve is drawn from them, copies of a video are recognised by them, and a file that moved is put in again from
them without being decoded.

Shapes: N clips of a video, D width of an embedding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from polyreel.search.table import IndexedClip
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
    facts = rows.select(list(IndexedClip.__dataclass_fields__))
    videos = np.asarray(rows["video"].to_pylist(), object)
    starts = [place for place in range(len(videos)) if place == 0 or videos[place] != videos[place - 1]]
    for start, end in zip(starts, [*starts[1:], len(videos)], strict=True):
        clips = tuple(IndexedClip(**row) for row in facts.slice(start, end - start).to_pylist())
        yield ClipSequence(video=clips[0].video, clips=clips, embeddings_ND=vectors_ND[start:end])
