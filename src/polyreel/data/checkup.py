"""Checkup: every problem of a dataset folder that anyone may have made or edited, each with its place.

An import stops at the first kind of fault, because it must not write what is wrong. Here nothing is written, so
everything is looked at: the header, each row of the tables, the features down to their checksums, the translations,
and whether the video files are there.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.checks import NO_CLIPS, Fault, caption_faults, clip_faults, straddling_sources
from polyreel.data.clips import CAPTION_SCHEMA, CLIP_SCHEMA, ORIGINS, as_table
from polyreel.data.dataset import CAPTIONS, CLIPS, HEADER, SCHEMA_VERSION, Dataset, Header
from polyreel.data.feature_shards import check_features
from polyreel.data.features import FeatureStore
from polyreel.data.parquet import read_parquet
from polyreel.data.translations import FOLDER, out_of_range, read_translations, repeated_keys
from polyreel.errors import DataError
from polyreel.languages import LANGUAGES, unknown_lang
from polyreel.settings import read_header


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong in a dataset folder.

    Attributes:
        place: the file, and the row or clip in it.
        fault: what is wrong, what is allowed, what to do.
    """

    place: str
    fault: str

    def __str__(self) -> str:
        """Return place and fault as one line."""
        return f"{self.place} {self.fault}"


@dataclass(frozen=True)
class _Rows:
    """The rows of a table that can be looked at, and their numbers in the file."""

    file: str
    table: pa.Table
    numbers: np.ndarray

    def place(self, row: int) -> str:
        return f"{self.file}, row {self.numbers[row]}"

    def problems(self, fault: Fault) -> Iterator[Problem]:
        yield from (Problem(place=self.place(int(row)), fault=fault.says(int(row))) for row in fault.rows)


def check(folder: Path | str) -> list[Problem]:
    """Return everything that is wrong with a dataset folder; nothing for a sound one. Rows are counted from 0."""
    return list(_problems(Path(folder)))


def _problems(folder: Path) -> Iterator[Problem]:
    header: Header | None = None
    try:
        header = read_header(Header, folder / HEADER, SCHEMA_VERSION)
    except DataError as error:
        yield Problem(place=HEADER, fault=f"cannot be read: {error}")
    clips = yield from _rows(folder / CLIPS, CLIP_SCHEMA)
    captions = yield from _rows(folder / CAPTIONS, CAPTION_SCHEMA)
    if clips is not None:
        yield from _clip_problems(clips, header)
    if clips is not None and captions is not None:
        for fault in caption_faults(captions.table, clips.table, ORIGINS, captions.place):
            yield from captions.problems(fault)
        if header is not None:
            yield from _whole_problems(folder, header, clips.table, captions.table)
    clip_ids = None if clips is None else set(clips.table["clip_id"].to_pylist())
    for store in sorted((folder / "features").glob("*/store.json")):
        yield from _feature_problems(folder, store.parent, clip_ids)
    yield from _translation_problems(folder, captions)


def _rows(path: Path, schema: pa.Schema) -> Generator[Problem, None, _Rows | None]:
    """Yield what keeps rows of a table from being looked at, and return the others."""
    try:
        table = read_parquet(path)
    except DataError as error:
        yield Problem(place=path.name, fault=f"cannot be read: {error}")
        return None
    is_whole = np.ones(table.num_rows, bool)
    for field in schema:
        if field.name in table.column_names and not field.nullable:
            empty = np.flatnonzero(pc.is_null(table[field.name]).to_numpy())
            is_whole[empty] = False
            for row in empty:
                yield Problem(place=f"{path.name}, row {row}", fault=f"has no {field.name}; every row needs one")
    try:
        return _Rows(path.name, as_table(table.filter(pa.array(is_whole)), schema), np.flatnonzero(is_whole))
    except DataError as error:
        yield Problem(place=path.name, fault=f"cannot be used: {error}")
        return None


def _clip_problems(clips: _Rows, header: Header | None) -> Iterator[Problem]:
    if clips.table.num_rows == 0:
        yield Problem(place=clips.file, fault=f"is empty: {NO_CLIPS}")
    for fault in clip_faults(clips.table, clips.place):
        yield from clips.problems(fault)
    is_recorded = header is not None and any("more than one split" in warning for warning in header.recorded_warnings)
    for source, splits in {} if is_recorded else straddling_sources(clips.table).items():
        advice = "a source belongs to one split, or test results are flattered; move its clips together"
        yield Problem(place=clips.file, fault=f"has clips of source {source!r} in {' and '.join(splits)}; {advice}")


def _whole_problems(folder: Path, header: Header, clips: pa.Table, captions: pa.Table) -> Iterator[Problem]:
    found = Dataset(name=header.name, clips=clips, captions=captions).fingerprint
    if header.fingerprint != found:
        advice = "clips or captions were changed; to accept them: Dataset.open(folder).save(folder) in Python"
        yield Problem(place=HEADER, fault=f"has fingerprint {header.fingerprint}; the tables have {found}; {advice}")
    if header.videos_folder is not None:
        for clip_id, video in zip(clips["clip_id"].to_pylist(), clips["video"].to_pylist(), strict=True):
            path = folder / header.videos_folder / video
            if not path.is_file():
                yield Problem(
                    place=CLIPS, fault=f"names the video {video!r} of clip {clip_id!r}; {path} does not exist"
                )


def _feature_problems(folder: Path, place: Path, clip_ids: set[str] | None) -> Iterator[Problem]:
    name = place.relative_to(folder).as_posix()
    try:
        store = FeatureStore.open(place)
    except DataError as error:
        yield Problem(place=name, fault=f"cannot be read: {error}")
        return
    for clip_id, checksum in zip(store.clip_ids, store.manifest["checksum"].to_pylist(), strict=True):
        if clip_ids is not None and clip_id not in clip_ids:
            yield Problem(
                place=name, fault=f"has features of {clip_id!r}, which is not among the {len(clip_ids)} clips"
            )
        try:
            rows = store[clip_id]
            check_features(clip_id, rows, store.dim)
        except DataError as error:
            yield Problem(place=name, fault=f"is broken: {error}")
            continue
        if blake2b(rows.tobytes(), digest_size=8).hexdigest() != checksum:
            yield Problem(place=name, fault=f"has other features of {clip_id!r} than were written; extract it again")


def _translation_problems(folder: Path, captions: _Rows | None) -> Iterator[Problem]:
    try:
        table = read_translations(folder)
    except DataError as error:
        yield Problem(place=FOLDER, fault=f"cannot be read: {error}")
        return
    rows = _Rows(FOLDER, table, np.arange(table.num_rows))
    ids, langs = table["caption_id"], table["lang"]
    yield from rows.problems(Fault(repeated_keys(table), lambda row: "repeats the key of an earlier row"))
    strange = np.flatnonzero(~pc.is_in(langs, value_set=pa.array(LANGUAGES)).to_numpy())
    yield from rows.problems(Fault(strange, lambda row: unknown_lang(langs[row].as_py())))
    for name in ("score", "weight"):
        for row in out_of_range(table[name]):
            fault = f"has the {name} {table[name][int(row)]}; it is a number from 0 to 1"
            yield Problem(place=rows.place(int(row)), fault=fault)
    if captions is not None:
        known = captions.table["caption_id"].unique()
        unknown = np.flatnonzero(~pc.is_in(ids, value_set=known).to_numpy())
        yield from rows.problems(
            Fault(unknown, lambda row: f"translates {ids[row].as_py()!r}, which is no caption here")
        )
