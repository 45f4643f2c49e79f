"""Where each id stands, found on the disk: an index of ids that need not fit in memory.

The digests of all ids lie in a mapped array, sorted, and their places in a second. A look-up is a binary search, and
compares the ids themselves, so two ids with one digest are told apart.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.mapped import Ints, Texts, blocks, gather, strings_of

Digests = npt.NDArray[np.uint64]
_SORTED_AT_ONCE = 2**20
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64


class IdIndex:
    """Find ids by digest.

    Args:
        ids: the ids; where one comes twice, its first place counts.
        folder: where the index is written; it may be deleted when the index is needed no more.
    """

    def __init__(self, ids: Texts, folder: Path) -> None:
        self._ids = ids
        folder.mkdir(parents=True, exist_ok=True)
        self._digests, self._places = _sorted_digests(ids, folder)

    @classmethod
    def nameless(cls, ids: Texts) -> "IdIndex":
        """Make an index in files that go when it does."""
        with TemporaryDirectory(prefix="polyreel-", ignore_cleanup_errors=True) as folder:
            return cls(ids, Path(folder))

    def places(self, wanted: pa.Array) -> Ints:
        """Return where each of some ids stands `[W]`, -1 for strangers."""
        digest_W = _digests(wanted)
        at_W = np.searchsorted(self._digests, digest_W)
        found_W, open_W = np.full(len(wanted), -1, np.int64), np.arange(len(wanted))
        while len(open_W):
            open_W = open_W[at_W[open_W] < len(self._digests)]
            open_W = open_W[self._digests[at_W[open_W]] == digest_W[open_W]]
            candidates = np.asarray(self._places[at_W[open_W]])
            is_same = pc.equal(gather(self._ids.column, candidates), wanted.take(pa.array(open_W)))
            same = np.asarray(is_same.to_numpy(zero_copy_only=False), bool)
            found_W[open_W[same]] = candidates[same]
            open_W = open_W[~same]
            at_W[open_W] += 1
        return found_W


def _sorted_digests(ids: Texts, folder: Path) -> tuple[Digests, Ints]:
    """Sort digests by range of values, one range after the other, so that one range is in memory at a time."""
    unsorted, digests, places = (
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(len(ids),))
        for name, dtype in (("unsorted", np.uint64), ("digests", np.uint64), ("places", np.int64))
    )
    first = 0
    for part in blocks(ids.column):
        unsorted[first : first + len(part)] = _digests(part)
        first += len(part)
    num_ranges, done = -(-len(ids) // _SORTED_AT_ONCE), 0
    for number in range(num_ranges):
        low, high = (edge * 2**64 // num_ranges for edge in (number, number + 1))
        rows = np.concatenate(
            [
                first + np.flatnonzero((part >= np.uint64(low)) & (part <= np.uint64(high - 1)))
                for first in range(0, len(ids), _SORTED_AT_ONCE)
                for part in [unsorted[first : first + _SORTED_AT_ONCE]]
            ]
        )
        rows = rows[np.argsort(unsorted[rows], kind="stable")]
        digests[done : done + len(rows)], places[done : done + len(rows)] = unsorted[rows], rows
        done += len(rows)
    return digests, places


def _digests(ids: pa.Array) -> Digests:
    """Digest strings: a polynomial of their bytes modulo 2^64, mixed so that all bits count; `[N]`."""
    offsets, data = strings_of(ids)
    powers, inverses = (_powers(base, len(data) + 1) for base in (_ODD, _inverse(_ODD)))
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers[:-1], out=sums[1:])
    digest = (sums[offsets[1:]] - sums[offsets[:-1]]) * inverses[offsets[:-1]]
    for shift, factor in zip((30, 27), _MIX, strict=True):
        digest = (digest ^ (digest >> np.uint64(shift))) * factor
    mixed: Digests = digest ^ (digest >> np.uint64(31))
    return mixed


def _powers(base: np.uint64, count: int) -> Digests:
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    found: Digests = np.cumprod(powers, dtype=np.uint64)
    return found


def _inverse(odd: np.uint64) -> np.uint64:
    return np.uint64(pow(int(odd), -1, 2**64))
