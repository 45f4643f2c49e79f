"""What every store keeps of a clip: one row, with all that a filter asks and all that is said in the clip.

A row holds its clip alone, so that a batch of videos is one commit in any store. Its `row_key` is a digest of all it
holds: two rows are the same if their keys are, which is how a copy in memory finds out what has changed.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from polyreel.data.speech import SPEECH_SCHEMA, Speech
from polyreel.errors import DataError
from polyreel.search.filter import COLUMN_PREFIX, Value, kind_of
from polyreel.similarity import Embeddings

CLIP_COLUMNS = ("clip_id", "video", "start_seconds", "end_seconds")
_LINE = pa.struct([each for each in SPEECH_SCHEMA if each.name != "video"])


@dataclass(frozen=True, kw_only=True)
class IndexedClip:
    """What an index keeps of a clip beside its embedding.

    Attributes:
        clip_id: unique in the index.
        video: path of the file, relative to the library's folder.
        start_seconds: first moment of the clip.
        end_seconds: first moment after it.
        file_stamp: changes when the file does.
        date_seconds: when the video was taken, or its file last changed: seconds since 1970, UTC; None: not known.
        video_seconds: how long the whole video lasts; None: not known.
        columns: own columns by name: text, numbers, or true and false; they can be filtered by.
    """

    clip_id: str
    video: str
    start_seconds: float
    end_seconds: float
    file_stamp: str
    date_seconds: float | None = None
    video_seconds: float | None = None
    columns: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the own columns.

        Raises:
            ValueError: a name is no plain word.
            TypeError: a value is no text, number or truth value.
        """
        for name, value in self.columns.items():
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot name a column; expected a word of letters, digits and _")
            kind_of(value)


def row_schema(dim: int) -> pa.Schema:
    """Return the columns every row has; own columns come after them, as `user_NAME`.

    Args:
        dim: width D of an embedding.
    """
    return pa.schema(
        [
            pa.field("clip_id", pa.string(), nullable=False),
            pa.field("row_key", pa.int64(), nullable=False),
            pa.field("video", pa.string(), nullable=False),
            pa.field("start_seconds", pa.float64(), nullable=False),
            pa.field("end_seconds", pa.float64(), nullable=False),
            pa.field("file_stamp", pa.string(), nullable=False),
            pa.field("date_seconds", pa.float64()),
            pa.field("video_seconds", pa.float64()),
            pa.field("speech_langs", pa.list_(pa.string()), nullable=False),
            pa.field("speech", pa.string()),
            pa.field("lines", pa.list_(_LINE), nullable=False),
            pa.field("thumbnail", pa.binary()),
            pa.field("vector", pa.list_(pa.float32(), dim), nullable=False),
        ]
    )


def make_rows(
    clips: Sequence[IndexedClip],
    embeddings_ND: Embeddings,
    dim: int,
    speech: Iterable[Speech] = (),
    thumbnails: Mapping[str, bytes] | None = None,
) -> pa.Table:
    """Make rows of clips.

    Args:
        clips: one or more, each id once.
        embeddings_ND: their unit-length embeddings.
        dim: width of the index.
        speech: what is said in these videos, in any order; a line belongs to every clip it is heard in.
        thumbnails: JPEG files by clip id; clips may lack one.

    Raises:
        ValueError: the embeddings are not one finite row of the index's width a clip, or an id is there twice.
        DataError: an own column holds values of several kinds.
    """
    if embeddings_ND.shape != (len(clips), dim) or not np.isfinite(embeddings_ND).all():
        raise ValueError(
            f"{len(clips)} clips have embeddings of shape {list(embeddings_ND.shape)}; expected finite numbers "
            f"[{len(clips)}, {dim}]"
        )
    if len({clip.clip_id for clip in clips}) < len(clips):
        raise ValueError("two clips have the same id; name each clip once")
    said, pictures = _LinesOfVideos(speech), thumbnails or {}
    vectors_ND = np.ascontiguousarray(embeddings_ND, np.float32)
    rows = [_row(clip, said.during(clip), pictures.get(clip.clip_id)) for clip in clips]
    keys = [_key(row, vector_D) for row, vector_D in zip(rows, vectors_ND, strict=True)]
    table = pa.Table.from_pylist(rows, schema=pa.schema([*list(row_schema(dim))[:-1], *_own_fields(clips)]))
    table = table.set_column(1, row_schema(dim).field("row_key"), pa.array(keys, pa.int64()))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.ravel()), dim)
    return table.append_column(row_schema(dim).field("vector"), vectors)


def lines_of(row: Mapping[str, object]) -> tuple[Speech, ...]:
    """Return what is said in a clip, of its row."""
    lines = row["lines"]
    assert isinstance(lines, list)
    return tuple(Speech(video=str(row["video"]), **line) for line in lines)


class _LinesOfVideos:
    """Lines by video, in the order of time, so that a long film's are not read for each of its clips."""

    def __init__(self, speech: Iterable[Speech]) -> None:
        self._lines: dict[str, list[Speech]] = {}
        for line in sorted(speech, key=lambda line: (line.start_seconds, line.end_seconds, line.source)):
            self._lines.setdefault(line.video, []).append(line)
        self._longest = {
            video: max(line.end_seconds - line.start_seconds for line in lines) for video, lines in self._lines.items()
        }

    def during(self, clip: IndexedClip) -> list[Speech]:
        """Return the lines that are heard at some moment of a clip."""
        lines = self._lines.get(clip.video, [])
        if not lines:
            return []
        first = bisect_left(lines, clip.start_seconds - self._longest[clip.video], key=lambda line: line.start_seconds)
        last = bisect_left(lines, clip.end_seconds, key=lambda line: line.start_seconds)
        return [line for line in lines[first:last] if line.end_seconds > clip.start_seconds]


def _row(clip: IndexedClip, lines: Sequence[Speech], thumbnail: bytes | None) -> dict[str, object]:
    facts = {name: value for name, value in asdict(clip).items() if name != "columns"}
    return {
        **facts,
        "row_key": 0,
        "speech_langs": sorted({line.lang for line in lines if line.lang is not None}),
        "speech": " ".join(line.text for line in lines) or None,
        "lines": [{name: value for name, value in asdict(line).items() if name != "video"} for line in lines],
        "thumbnail": thumbnail,
        **{COLUMN_PREFIX + name: _stored(value) for name, value in clip.columns.items()},
    }


def _stored(value: Value) -> Value:
    return value if isinstance(value, bool | str) else float(value)


def _key(row: Mapping[str, object], vector_D: Embeddings) -> int:
    facts = json.dumps({name: value for name, value in row.items() if name != "thumbnail"}, sort_keys=True)
    digest = hashlib.blake2b(facts.encode(), digest_size=8)
    digest.update(vector_D.tobytes())
    return int.from_bytes(digest.digest(), "little", signed=True)


def _own_fields(clips: Sequence[IndexedClip]) -> list[pa.Field]:
    kinds: dict[str, pa.DataType] = {}
    for clip in clips:
        for name, value in clip.columns.items():
            if kinds.setdefault(name, kind_of(value)) != kind_of(value):
                raise DataError(f"the column {name!r} holds {kinds[name]} and {kind_of(value)}; give it one kind")
    return [pa.field(COLUMN_PREFIX + name, kind) for name, kind in sorted(kinds.items())]
