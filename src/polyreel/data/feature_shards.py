"""What a feature store is made of: shards that grow row by row, and the table that says whose rows lie where.

A shard is one numpy file `[N, D]`; its header has room for N to grow, so rows are written as they come and no clip
waits in memory for others. What a clip was made from is kept with it: then a later run knows what has changed, moved or
been copied, without looking at a frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError
from polyreel.storage import write_aside

Rows = npt.NDArray[np.float16] | npt.NDArray[np.float32]

_ORIGIN = [
    ("video", pa.string()),
    ("video_bytes", pa.int64()),
    ("video_mtime_ns", pa.int64()),
    ("video_identity", pa.string()),
    ("start_seconds", pa.float64()),
    ("end_seconds", pa.float64()),
]
MANIFEST = pa.schema(
    [
        ("clip_id", pa.string()),
        ("shard", pa.int32()),
        ("first_row", pa.int64()),
        ("num_rows", pa.int32()),
        ("checksum", pa.string()),
        ("frame_seconds", pa.list_(pa.float32())),
        *_ORIGIN,
    ]
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a clip's features were made from; all None where they came as numbers.

    Attributes:
        video: the file, as the clip names it.
        video_bytes: its size.
        video_mtime_ns: when it was changed last, nanoseconds since 1970.
        video_identity: digest of its size and content.
        start_seconds: where the clip starts in it; None means its start.
        end_seconds: where the clip ends; None means its end.
    """

    video: str | None = None
    video_bytes: int | None = None
    video_mtime_ns: int | None = None
    video_identity: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where the rows of one clip lie.

    Attributes:
        clip_id: the clip.
        shard: number of the shard.
        first_row: the first of its rows there.
        num_rows: how many follow one another.
        checksum: digest of their bytes.
        frame_seconds: when each row's frame was shown, seconds from the video's start; None where it is not known.
        origin: what they were made from.
    """

    clip_id: str
    shard: int
    first_row: int
    num_rows: int
    checksum: str
    frame_seconds: Sequence[float] | None
    origin: Origin = Origin()


class ShardFile:
    """A shard that is being written; `writing_shard` makes one.

    Attributes:
        number: its number in the store.
        entries: whose rows it holds so far.
    """

    def __init__(self, stream: IO[bytes], number: int, dim: int, dtype: npt.DTypeLike) -> None:
        self.number = number
        self.entries: list[Entry] = []
        self._stream = stream
        self._dim, self._dtype = dim, np.dtype(dtype)
        self._num_rows = 0
        self._write_header()

    def add(self, clip_id: str, rows: Rows, frame_seconds: Sequence[float] | None, origin: Origin = Origin()) -> None:
        """Append the rows of a clip, `[T, D]`, in the shard's number type."""
        kept = np.ascontiguousarray(rows, self._dtype)
        self._stream.write(kept.data)
        entry = Entry(
            clip_id=clip_id,
            shard=self.number,
            first_row=self._num_rows,
            num_rows=len(kept),
            checksum=checksum(kept),
            frame_seconds=frame_seconds,
            origin=origin,
        )
        self.entries.append(entry)
        self._num_rows += len(kept)

    def finish(self) -> None:
        """Write into the header how many rows there are."""
        self._stream.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._num_rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._stream, header)


@contextmanager
def writing_shard(folder: Path, number: int, dim: int, dtype: npt.DTypeLike) -> Iterator[ShardFile]:
    """Write a shard, aside until the block ends well; it counts once a manifest names it.

    Args:
        folder: where it goes.
        number: its number.
        dim: width D of a row.
        dtype: float16 or float32.
    """
    with write_aside(folder / shard_name(number)) as aside, aside.open("wb") as stream:
        shard = ShardFile(stream, number, dim, dtype)
        yield shard
        shard.finish()


def shard_name(shard: int) -> str:
    """Name the file of a shard."""
    return f"shard-{shard:05d}.npy"


def checksum(rows: Rows) -> str:
    """Digest a clip's rows."""
    return blake2b(rows.tobytes(), digest_size=8).hexdigest()


def check_features(name: str, rows: npt.NDArray[np.floating], dim: int) -> None:
    """Refuse features that are not a finite `[T, dim]` matrix with T at least 1.

    Raises:
        DataError: naming the clip and what is wrong.
    """
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != dim:
        raise DataError(
            f"clip {name!r} has features of shape {list(rows.shape)}; expected [T, {dim}] with T at least 1"
        )
    if not np.isfinite(rows).all():
        frame = int(np.argwhere(~np.isfinite(rows))[0][0])
        raise DataError(f"clip {name!r} has NaN or infinity in its features (first in frame {frame}); extract it again")


def table_of(entries: Iterable[Entry]) -> pa.Table:
    """Return entries as rows of a manifest."""
    rows = []
    for entry in entries:
        row = asdict(entry)
        rows.append({**row, **row.pop("origin")})
    return pa.Table.from_pylist(rows, schema=MANIFEST)


def entries_of(manifest: pa.Table) -> Iterator[Entry]:
    """Yield the rows of a manifest, one at a time."""
    names = [name for name, _ in _ORIGIN]
    for batch in manifest.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            origin = Origin(**{name: row.pop(name) for name in names})
            yield Entry(**row, origin=origin)


def completed(manifest: pa.Table) -> pa.Table:
    """Add the columns that a manifest of an earlier polyreel lacks."""
    return pa.concat_tables([MANIFEST.empty_table(), manifest], promote_options="default")


def without(manifest: pa.Table, clip_ids: Sequence[str]) -> pa.Table:
    """Take some clips out of a manifest."""
    if not clip_ids:
        return manifest
    return manifest.filter(pc.invert(pc.is_in(manifest["clip_id"], pa.array(clip_ids, pa.string()))))
