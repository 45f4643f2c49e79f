"""Looking after feature stores: tidying, merging, verifying, describing them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from polyreel.data.feature_shards import (
    Entry,
    Rows,
    check_features,
    checksum,
    entries_of,
    shard_name,
    writing_shard,
)
from polyreel.data.features import SHARD_BYTES, FeatureStore, FeatureWriter
from polyreel.errors import DataError, FingerprintError
from polyreel.progress import Progress, silent
from polyreel.storage import Json


@dataclass(frozen=True, kw_only=True)
class StoreDescription:
    """A feature store, counted.

    Attributes:
        facts: what made the features, by name.
        num_clips: clips.
        num_videos: files they are cut from; 0 where that is not known.
        num_rows: rows of all clips.
        num_shards: files that hold them.
        num_bytes: size of these files.
        num_lost_bytes: of these, what no clip names any more.
        number_types: how many shards have which.
        fingerprint: digest of what made the features and of all rows.
    """

    facts: Mapping[str, Json]
    num_clips: int
    num_videos: int
    num_rows: int
    num_shards: int
    num_bytes: int
    num_lost_bytes: int
    number_types: Mapping[str, int]
    fingerprint: str

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        made = ", ".join(f"{name} {fact}" for name, fact in self.facts.items())
        types = ", ".join(f"{name} in {count}" for name, count in self.number_types.items())
        return [
            f"made by    {made}",
            f"clips      {self.num_clips:,} of {self.num_videos:,} videos, {self.num_rows:,} rows",
            f"shards     {self.num_shards:,} ({types or 'none'}), {self.num_bytes / 1e6:,.1f} MB, "
            f"of which {self.num_lost_bytes / 1e6:,.1f} MB belong to no clip any more",
            f"digest     {self.fingerprint}",
        ]


def describe_store(store: FeatureStore) -> StoreDescription:
    """Count what a store holds."""
    entries = list(entries_of(store.manifest))
    paths = [store.folder / shard_name(shard) for shard in sorted({entry.shard for entry in entries})]
    types = Counter(_map(path).dtype.name for path in paths)
    num_bytes = sum(path.stat().st_size for path in paths)
    places = {(entry.shard, entry.first_row): entry.num_rows for entry in entries}
    sizes = {shard: _map(store.folder / shard_name(shard)).itemsize for shard, _ in places}
    used = sum(count * store.dim * sizes[shard] for (shard, _), count in places.items())
    videos = {entry.origin.video for entry in entries if entry.origin.video}
    return StoreDescription(
        facts=store.settings.facts(),
        num_clips=len(store),
        num_videos=len(videos),
        num_rows=sum(store.iter_lengths()),
        num_shards=len(paths),
        num_bytes=num_bytes,
        num_lost_bytes=max(num_bytes - used - sum(_header_bytes(path) for path in paths), 0),
        number_types=dict(types),
        fingerprint=store.fingerprint,
    )


def verify_store(store: FeatureStore, progress: Progress = silent) -> dict[str, str]:
    """Read all rows of a store, and say what is wrong, by clip id; nothing is changed.

    Args:
        store: the store.
        progress: told after every clip.
    """
    faults: dict[str, str] = {}
    for done, entry in enumerate(entries_of(store.manifest), start=1):
        try:
            rows = store[entry.clip_id]
            check_features(entry.clip_id, rows, store.dim)
            if len(rows) != entry.num_rows:
                raise DataError(f"{shard_name(entry.shard)} ends before its rows; extract this clip again")
            if checksum(rows) != entry.checksum:
                raise DataError(f"its rows in {shard_name(entry.shard)} were altered; extract this clip again")
        except DataError as error:
            faults[entry.clip_id] = str(error)
        progress(done, len(store), entry.clip_id)
    return faults


def merge_stores(stores: Sequence[FeatureStore], folder: Path, progress: Progress = silent) -> FeatureStore:
    """Write what several stores hold into one, tidily: full shards, the clips of a video side by side.

    Args:
        stores: made alike; a clip may be in several of them if its rows are the same.
        folder: the new store; one that is there already is added to.
        progress: told after every clip.

    Raises:
        FingerprintError: they were not made alike.
        DataError: they have different rows for the same clip, or something else lies in the folder.
    """
    first = stores[0]
    for other in stores[1:]:
        if difference := first.settings.difference(other.settings):
            raise FingerprintError(
                f"{other.folder} was made otherwise than {first.folder}: {difference}; merge those that were made alike"
            )
    with FeatureWriter(folder, first.settings) as writer:
        there = dict(zip(*(writer.manifest[name].to_pylist() for name in ("clip_id", "checksum")), strict=True))
        wanted: list[tuple[FeatureStore, Entry]] = []
        for store in stores:
            for entry in entries_of(store.manifest):
                if there.setdefault(entry.clip_id, entry.checksum) != entry.checksum:
                    raise DataError(
                        f"{store.folder} has other rows for clip {entry.clip_id!r} than a store before it; extract the "
                        "clip again in one of them, or leave that store out"
                    )
                wanted.append((store, entry))
        present = set(writer.manifest["clip_id"].to_pylist())
        new = {entry.clip_id: (store, entry) for store, entry in wanted if entry.clip_id not in present}
        _copy(sorted(new.values(), key=lambda pair: _order(pair[1])), writer, progress)
    return FeatureStore.open(folder)


def tidy(writer: FeatureWriter, *, in_use: Collection[int] = (), shard_bytes: int = SHARD_BYTES) -> None:
    """Put the rows of small shards together into full ones, the clips of a video side by side; lost rows go.

    Args:
        writer: an open store.
        in_use: numbers of shards that somebody may be reading; their files stay until the next time.
        shard_bytes: size of a full shard; one of at least half of it is left alone.
    """
    store = FeatureStore(writer.folder, writer.settings, writer.manifest)
    sizes = {number: (writer.folder / shard_name(number)).stat().st_size for number in writer.shard_numbers()}
    small = {number for number, size in sizes.items() if size < shard_bytes / 2}
    if len(small) > 1:
        entries = [entry for entry in entries_of(writer.manifest) if entry.shard in small]
        _copy([(store, entry) for entry in sorted(entries, key=_order)], writer, silent, shard_bytes)
    named = {shard_name(number) for number in {*writer.shard_numbers(), *in_use}}
    for path in writer.folder.glob("shard-*.npy"):
        if path.name not in named:
            path.unlink()


def _copy(
    wanted: Sequence[tuple[FeatureStore, Entry]],
    writer: FeatureWriter,
    progress: Progress,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Copy rows into new shards, which count together at the end; clips that share rows go on sharing them."""
    number, copied = writer.free_number(), []
    places: dict[tuple[Path, int, int], Entry] = {}
    done = 0
    for part in _shardfuls(wanted, shard_bytes):
        with writing_shard(writer.folder, number, writer.settings.dim, part[0][0][part[0][1].clip_id].dtype) as shard:
            for store, entry in part:
                key = (store.folder, entry.shard, entry.first_row)
                if key not in places:
                    shard.add(entry.clip_id, store[entry.clip_id], entry.frame_seconds, entry.origin)
                    places[key] = shard.entries[-1]
                place = places[key]
                copied.append(replace(entry, shard=place.shard, first_row=place.first_row))
                done += 1
                progress(done, len(wanted), entry.clip_id)
        number += 1
    writer.commit(copied)


def _shardfuls(
    wanted: Iterable[tuple[FeatureStore, Entry]], shard_bytes: int
) -> Iterator[list[tuple[FeatureStore, Entry]]]:
    """Cut a row of clips where a shard is full, or the number type changes."""
    part: list[tuple[FeatureStore, Entry]] = []
    num_bytes, dtype = 0, None
    for store, entry in wanted:
        rows = store[entry.clip_id]
        if part and (num_bytes >= shard_bytes or rows.dtype != dtype):
            yield part
            part, num_bytes = [], 0
        part.append((store, entry))
        num_bytes, dtype = num_bytes + rows.nbytes, rows.dtype
    if part:
        yield part


def _order(entry: Entry) -> tuple[str, float, str]:
    return entry.origin.video or "", entry.origin.start_seconds or 0.0, entry.clip_id


def _map(path: Path) -> Rows:
    rows: Rows = np.load(path, mmap_mode="r")
    return rows


def _header_bytes(path: Path) -> int:
    return path.stat().st_size - _map(path).nbytes
