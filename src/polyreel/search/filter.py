"""Which clips a search may find: a frozen value, and what it means over rows in memory.

Every store answers the same filter: LanceDB as SQL, Qdrant as conditions on payloads, and rows in memory as a mask.
What a filter means is said once, here; the stores' own spellings are tested against it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Value = str | float | bool
Mask = npt.NDArray[np.bool_]
COLUMN_PREFIX = "user_"


@dataclass(frozen=True, kw_only=True)
class Between:
    """A range of numbers; both ends belong to it.

    Attributes:
        low: None: no lower bound.
        high: None: no upper bound.
    """

    low: float | None = None
    high: float | None = None


Wanted = Value | Between | tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which clips may be found; what is None or empty asks for nothing.

    Attributes:
        path: a video, or a folder with all that is below it; with `*` or `?` in it a pattern of the whole path, in
            which `*` stands for any characters, slashes too.
        videos: exactly these videos, by their paths in the library.
        since: only videos dated then or later; without a time zone, in this machine's.
        until: only videos dated before.
        min_seconds: only videos that last so long or longer.
        max_seconds: only videos that last so long or shorter.
        langs: only clips with speech or subtitles in one of these languages.
        columns: what own columns must hold: a value, one of several, or a number within a range.
    """

    path: str | None = None
    videos: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    langs: tuple[str, ...] = ()
    columns: Mapping[str, Wanted] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a range ends before it starts.
        """
        for what, low, high in (
            ("dates", _epoch(self.since), _epoch(self.until)),
            ("seconds", self.min_seconds, self.max_seconds),
            *((name, wanted.low, wanted.high) for name, wanted in self.columns.items() if isinstance(wanted, Between)),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"the filter's range of {what} ends before it starts; exchange its ends")

    @property
    def folder(self) -> str | None:
        """The path, if it is no pattern, without a slash at its end."""
        return None if self.path is None or self.is_pattern else self.path.rstrip("/")

    @property
    def is_pattern(self) -> bool:
        """Whether the path is a pattern."""
        return self.path is not None and bool({"*", "?"} & {*self.path})

    @property
    def pattern(self) -> str:
        """The path's pattern as a regular expression of the whole path, for any engine."""
        signs = {"*": ".*", "?": "."}
        return "(?s)^" + "".join(signs.get(sign) or re.escape(sign) for sign in self.path or "*") + "$"

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None, bool]]:
        """Numbers by column of a row: the lowest, the highest, and whether the highest itself belongs to them."""
        found: dict[str, tuple[float | None, float | None, bool]] = {
            "date_seconds": (_epoch(self.since), _epoch(self.until), False),
            "video_seconds": (self.min_seconds, self.max_seconds, True),
        }
        for name, wanted in self.columns.items():
            if isinstance(wanted, Between):
                found[COLUMN_PREFIX + name] = (wanted.low, wanted.high, True)
        return {name: ends for name, ends in found.items() if ends[:2] != (None, None)}

    @property
    def choices(self) -> dict[str, tuple[Value, ...]]:
        """Allowed values by column of a row."""
        found: dict[str, tuple[Value, ...]] = {"video": self.videos} if self.videos else {}
        for name, wanted in self.columns.items():
            if not isinstance(wanted, Between):
                found[COLUMN_PREFIX + name] = wanted if isinstance(wanted, tuple) else (wanted,)
        return found

    def mask(self, rows: pa.Table) -> Mask:
        """Tell which rows of a table may be found.

        Args:
            rows: with the columns of `rows.row_schema`; an own column that is not there holds nothing.
        """
        found = np.ones(len(rows), np.bool_)
        if self.folder is not None:
            below = pc.starts_with(rows["video"], self.folder + "/" if self.folder else "")
            found &= _truth(pc.or_(pc.equal(rows["video"], self.folder), below))
        elif self.is_pattern:
            found &= _truth(pc.match_substring_regex(rows["video"], self.pattern))
        for name, (low, high, is_closed) in self.ranges.items():
            found &= _between(rows, name, low, high, is_closed)
        for name, values in self.choices.items():
            found &= _one_of(rows, name, values)
        if self.langs:
            found &= _some_of(rows["speech_langs"], self.langs)
        return found


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _truth(answers: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(answers, False).to_numpy())


def _between(rows: pa.Table, name: str, low: float | None, high: float | None, is_closed: bool) -> Mask:
    if name not in rows.column_names or not pa.types.is_floating(rows.schema.field(name).type):
        return np.zeros(len(rows), np.bool_)
    numbers = rows[name].to_numpy()  # null becomes NaN, which is in no range
    found = np.isfinite(numbers)
    if low is not None:
        found &= numbers >= low
    if high is not None:
        found &= numbers <= high if is_closed else numbers < high
    return np.asarray(found)


def _one_of(rows: pa.Table, name: str, values: tuple[Value, ...]) -> Mask:
    if name not in rows.column_names:
        return np.zeros(len(rows), np.bool_)
    kind = rows.schema.field(name).type
    fitting = [value for value in values if kind_of(value) == kind]
    return _truth(pc.is_in(rows[name], pa.array(fitting, kind)))


def _some_of(lists: pa.ChunkedArray, values: tuple[str, ...]) -> Mask:
    found = np.zeros(len(lists), np.bool_)
    column = lists.combine_chunks()
    hits = np.asarray(pc.is_in(pc.list_flatten(column), pa.array(values, pa.string())))
    found[np.asarray(pc.list_parent_indices(column))[hits]] = True
    return found


def kind_of(value: Value) -> pa.DataType:
    """Return how a value of an own column is stored: whole numbers as floating ones, so that they mix.

    Raises:
        TypeError: it is no text, number or truth value.
    """
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int | float):
        return pa.float64()
    if isinstance(value, str):
        return pa.string()
    raise TypeError(f"{value!r} is a {type(value).__name__}; an own column holds text, numbers, or true and false")
