"""Features of clips: rows of numbers by clip id, memory-mapped.

A store is a folder: `store.json` (what made them), `manifest.parquet` (clip id, shard, first row, rows, checksum, the
frames' times) and immutable shards `shard-00000.npy`, each one matrix that numpy maps without reading it.
A writer appends: it collects clips, writes a full shard, then a new manifest. A process killed in between leaves the
old manifest, and the next writer overwrites the shard nobody names. There is one writer at a time. What a clip's rows
were made from stands in the manifest too (`feature_shards.Origin`).
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.data.feature_places import FeaturePlaces, fingerprint_of_features
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.feature_shards import (
    MANIFEST,
    Entry,
    Rows,
    check_features,
    completed,
    shard_name,
    table_of,
    without,
    writing_shard,
)
from polyreel.data.mapped import ROWS_AT_ONCE, map_parquet
from polyreel.data.parquet import read_parquet
from polyreel.errors import DataError, FingerprintError
from polyreel.settings import parse
from polyreel.storage import only_writer, read_json, write_aside, write_json

SHARD_BYTES = 256 * 2**20
_HEADER, _TABLE = "store.json", "manifest.parquet"


class FeatureStore:
    """Read features by clip id.

    Attributes:
        folder: where the store lies.
        settings: what made the features; a model trained on others refuses them.
        manifest: a row a clip.
    """

    def __init__(self, folder: Path, settings: FeatureSettings, manifest: pa.Table, *, is_mapped: bool = False) -> None:
        self.folder = folder
        self.settings = settings
        self.manifest = manifest
        self._is_mapped = is_mapped
        self._shards: dict[int, Rows] = {}

    @classmethod
    def open(cls, folder: Path | str, *, mapped: Path | None = None) -> "FeatureStore":
        """Open a store folder.

        Args:
            folder: where it was written.
            mapped: where mapped tables lie; the manifest is then mapped, too, however many clips there are.

        Raises:
            DataError: the folder is no feature store, or its header was edited or written by another polyreel.
        """
        header = Path(folder) / _HEADER
        if not header.is_file():
            raise DataError(f"{folder} is no feature store: it has no {_HEADER}; make one with `polyreel extract`")
        settings = parse(FeatureSettings, read_json(header), str(header), DataError)
        manifest = header.with_name(_TABLE)
        if mapped is not None and manifest.exists():
            table = completed(map_parquet(manifest, pa.schema([]), mapped))
            return cls(header.parent, settings, table, is_mapped=True)
        table = read_parquet(manifest) if manifest.exists() else MANIFEST.empty_table()
        return cls(header.parent, settings, completed(table))

    @property
    def extractor(self) -> str:
        """Name of the extractor."""
        return self.settings.extractor

    @property
    def dim(self) -> int:
        """Width D of a row."""
        return self.settings.dim

    @cached_property
    def clip_ids(self) -> list[str]:
        """Ids of the clips with features, in the order they were written."""
        ids: list[str] = self.manifest["clip_id"].to_pylist()
        return ids

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what made the features and of every clip's rows, whatever the order they were written in."""
        return fingerprint_of_features(self.settings.facts(), self.manifest)

    @cached_property
    def _places(self) -> FeaturePlaces:
        return FeaturePlaces(self.manifest, is_mapped=self._is_mapped)

    def __len__(self) -> int:
        return int(self.manifest.num_rows)

    def __contains__(self, clip_id: object) -> bool:
        return isinstance(clip_id, str) and self._places.of([clip_id])[0] is not None

    def __getitem__(self, clip_id: str) -> Rows:
        """Return the features of one clip, `[T, D]`, a view of the mapped file.

        Raises:
            DataError: the clip has no features here, or their file is missing or was cut short.
        """
        return self.of_clips([clip_id])[0]

    def of_clips(self, clip_ids: Sequence[str]) -> list[Rows]:
        """Return the features of several clips, each `[T, D]`, views of the mapped files.

        Raises:
            DataError: a clip has no features here, or their file is missing or was cut short.
        """
        found = []
        for clip_id, place in zip(clip_ids, self._places.of(clip_ids), strict=True):
            if place is None:
                raise DataError(f"clip {clip_id!r} has no features in {self.folder}; run `polyreel extract` again")
            shard, first, count = place
            if shard not in self._shards:
                self._shards[shard] = _map(self.folder / shard_name(shard))
            found.append(self._shards[shard][first : first + count])
        return found

    def missing(self, clip_ids: Iterable[str]) -> list[str]:
        """Return those of the clip ids that have no features here."""
        rest, found = iter(clip_ids), []
        while some := list(islice(rest, ROWS_AT_ONCE)):
            found += [clip_id for clip_id, place in zip(some, self._places.of(some), strict=True) if place is None]
        return found

    def iter_lengths(self) -> Iterator[int]:
        """Yield the number of rows of each clip."""
        yield from self.manifest["num_rows"].to_pylist()


class FeatureWriter:
    """Append features to a store, one clip at a time; to be used as a context manager, and by one process at a time.

    Attributes:
        manifest: a row a clip that counts.
    """

    def __init__(self, folder: Path | str, settings: FeatureSettings, *, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self._shard_bytes = shard_bytes
        self._pending: list[tuple[str, Rows, list[float] | None]] = []
        self._pending_bytes = 0
        self.manifest = MANIFEST.empty_table()
        self._written: set[str] = set()
        self._at_exit = ExitStack()

    def __enter__(self) -> "FeatureWriter":
        """Open the store, or make it.

        Raises:
            DataError: the folder holds something else, or another process is writing to it.
            FingerprintError: it holds features made otherwise.
        """
        with ExitStack() as stack:
            stack.enter_context(only_writer(self.folder))
            self.manifest = self._opened()
            self._written = set(self.manifest["clip_id"].to_pylist())
            stack.callback(self.flush)
            self._at_exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._at_exit.close()

    def _opened(self) -> pa.Table:
        """Return the manifest of what is there, and write the header."""
        manifest = MANIFEST.empty_table()
        if (self.folder / _HEADER).exists():
            store = FeatureStore.open(self.folder)
            if difference := store.settings.difference(self.settings):
                raise FingerprintError(
                    f"{self.folder} holds features made otherwise: {difference}; name another folder, or delete this"
                )
            manifest = store.manifest
        elif strangers := sorted(path.name for path in self.folder.iterdir() if not path.name.startswith(".")):
            raise DataError(f"{self.folder} holds {strangers[0]!r} and is no feature store; name another folder")
        write_json(self.folder / _HEADER, self.settings.model_dump(mode="json"))  # the extractor may lie elsewhere now
        return manifest

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._written

    def add(self, clip_id: str, rows: npt.NDArray[np.number], frame_seconds: Sequence[float] | None = None) -> None:
        """Add the features of one clip.

        Args:
            clip_id: must not be in the store yet.
            rows: finite numbers `[T, D]`, T at least 1; kept as float16 if given so, as float32 otherwise.
            frame_seconds: when each row's frame was shown, seconds from the video's start.

        Raises:
            DataError: wrong width, no rows, NaN or infinity, or a clip that is already there.
        """
        if clip_id in self._written:
            raise DataError(f"clip {clip_id!r} already has features in {self.folder}; a clip is written once")
        if rows.dtype.kind not in "fiu":
            raise DataError(f"clip {clip_id!r} has features of type {rows.dtype.str}; expected numbers")
        kept = _kept(rows)
        check_features(clip_id, kept, self.settings.dim)
        if self._pending and self._pending[0][1].dtype != kept.dtype:
            self.flush()
        self._pending.append((clip_id, kept, None if frame_seconds is None else list(frame_seconds)))
        self._pending_bytes += kept.nbytes
        self._written.add(clip_id)
        if self._pending_bytes >= self._shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what was added as one more shard, then the manifest that names it."""
        if not self._pending:
            return
        with writing_shard(self.folder, self.free_number(), self.settings.dim, self._pending[0][1].dtype) as shard:
            for clip_id, rows, frame_seconds in self._pending:
                shard.add(clip_id, rows, frame_seconds)
        self.commit(shard.entries)
        self._pending, self._pending_bytes = [], 0

    def free_number(self) -> int:
        """Return the number of the next shard that no manifest names."""
        return 1 + max(self.shard_numbers(), default=-1)

    def shard_numbers(self) -> list[int]:
        """List the shards that the manifest names."""
        return sorted(pc.unique(self.manifest["shard"]).to_pylist())

    def commit(self, entries: Sequence[Entry], *, removed: Sequence[str] = ()) -> None:
        """Let clips whose shards are written count, all at once.

        Args:
            entries: where their rows lie; they take the place of what the store had of the same clips.
            removed: clips that are to count no more.
        """
        self.commit_table(table_of(entries), removed=removed)

    def commit_table(self, added: pa.Table, *, removed: Sequence[str] = ()) -> None:
        """Do the same with rows of a manifest."""
        kept = without(self.manifest, [*removed, *added["clip_id"].to_pylist()])
        self.manifest = pa.concat_tables([kept, added])
        with write_aside(self.folder / _TABLE) as aside:
            pq.write_table(self.manifest, aside)
        self._written = (self._written - set(removed)) | set(added["clip_id"].to_pylist())


def _kept(rows: npt.NDArray[np.number]) -> Rows:
    """Copy rows into the number type they are kept in, so that the caller may reuse its buffer."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused
        return rows.astype(np.float16) if rows.dtype == np.float16 else rows.astype(np.float32)


def _map(shard: Path) -> Rows:
    try:
        rows: Rows = np.load(shard, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{shard} is missing or was cut short ({error}); delete its folder and extract again") from None
    return rows


def link_store(store: Path, place: Path) -> None:
    """Give a store a second place that costs no room: hard links where the file system has them, else copies.

    Files of a store are replaced, never changed, so what is added in one place does not show in the other. What is in
    the place already stays.
    """
    if not place.exists():
        with write_aside(place) as aside:
            shutil.copytree(store, aside, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
