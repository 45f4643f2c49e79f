"""Where each clip's features lie, out of a store's manifest: looked up in memory, or on the disk where it is mapped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.id_index import IdIndex
from polyreel.data.mapped import ROWS_AT_ONCE, Ints, Texts, gather
from polyreel.storage import Json, fingerprint_streamed

Place = tuple[int, int, int]
_COLUMNS = ("shard", "first_row", "num_rows")


class FeaturePlaces:
    """Find clips in a manifest.

    Args:
        manifest: a row a clip.
        is_mapped: whether the manifest is mapped, and the look-up shall be on the disk, too.
    """

    def __init__(self, manifest: pa.Table, *, is_mapped: bool) -> None:
        self._manifest = manifest
        self._index = IdIndex.nameless(Texts(manifest["clip_id"])) if is_mapped else None

    def of(self, clip_ids: Sequence[str]) -> list[Place | None]:
        """Return shard, first row and number of rows of each clip; None for those without."""
        if self._index is None:
            return [self._in_memory.get(clip_id) for clip_id in clip_ids]
        rows = self._index.places(pa.array(clip_ids, pa.string()))
        found = self._at(rows[rows >= 0])
        return [next(found) if row >= 0 else None for row in rows]

    @cached_property
    def _in_memory(self) -> dict[str, Place]:
        columns = (self._manifest[name].to_pylist() for name in _COLUMNS)
        return dict(zip(self._manifest["clip_id"].to_pylist(), zip(*columns, strict=True), strict=True))

    def _at(self, rows: Ints) -> Iterator[Place]:
        return zip(*(gather(self._manifest[name], rows).to_pylist() for name in _COLUMNS), strict=True)


def fingerprint_of_features(facts: Mapping[str, Json], manifest: pa.Table) -> str:
    """Digest what made features, and every clip's rows, as `fingerprint(facts, pairs of clip id and checksum)` does."""
    made = json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()
    size = sum(map(len, _listed_checksums(manifest)))
    return fingerprint_streamed([(len(made), [made]), (size, _listed_checksums(manifest))])


def _listed_checksums(manifest: pa.Table) -> Iterator[bytes]:
    """Yield clip ids and checksums, sorted by clip, as one JSON list in pieces."""
    order = pc.sort_indices(manifest["clip_id"])
    yield b"["
    for first in range(0, len(order), ROWS_AT_ONCE):
        rows = np.asarray(order[first : first + ROWS_AT_ONCE], np.int64)
        columns = (gather(manifest[name], rows).to_pylist() for name in ("clip_id", "checksum"))
        pairs = json.dumps([list(pair) for pair in zip(*columns, strict=True)], ensure_ascii=False)
        yield f"{', ' if first else ''}{pairs[1:-1]}".encode()
    yield b"]"
