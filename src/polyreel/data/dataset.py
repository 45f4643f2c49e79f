"""Dataset: what is known about a set of clips, at rest.

A dataset is a folder that other tools open: `clips.parquet`, `captions.parquet`, `dataset.json`, and one feature store
an extractor under `features/`. A Dataset is checked when it is written, so whoever opens one may rely on it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from polyreel.data.checks import RowName, check_captions, check_clips, codes, positions_within
from polyreel.data.clips import CAPTION_SCHEMA, CLIP_SCHEMA, ORIGINS, Caption, Clip, as_table
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import content, count_true, filtered, map_parquet, tables_folder
from polyreel.data.parquet import read_parquet
from polyreel.errors import DataError
from polyreel.settings import Settings, read_header
from polyreel.storage import fingerprint_streamed, write_aside, write_json

PIVOT_LANG = "en"
SCHEMA_VERSION = 1
HEADER, CLIPS, CAPTIONS = "dataset.json", "clips.parquet", "captions.parquet"
_MARK = b"polyreel.fingerprint"  # key of a table's metadata


class Header(Settings):
    """What `dataset.json` holds."""

    schema_version: int = Field(description="of the format")
    name: str = Field(description="what reports call the dataset")
    videos_folder: str | None = Field(default=None, description="relative to the dataset's folder")
    fingerprint: str = Field(description="of clips and captions")
    recorded_warnings: tuple[str, ...] = Field(default=(), description="what was let pass at import")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known about a set of clips: two tables and the folder their features lie in.

    Attributes:
        name: what reports call it.
        clips: one row a clip, in the columns of `Clip` and any further columns of the publisher's.
        captions: one row a caption, in the columns of `Caption`; the order of a clip's captions is kept.
        folder: where it was opened or written; None for one that lives in memory alone.
        videos_folder: what relative `video` paths start from; None where there are no files.
        recorded_warnings: what was odd about the data when it was imported, and was let pass.
        is_mapped: whether the tables, and those of its splits and languages, lie in mapped files beside the dataset.
    """

    name: str
    clips: pa.Table
    captions: pa.Table
    folder: Path | None = None
    videos_folder: Path | None = None
    recorded_warnings: tuple[str, ...] = ()
    is_mapped: bool = False

    @classmethod
    def build(
        cls,
        name: str,
        clips: Iterable[Clip] | pa.Table,
        captions: Iterable[Caption] | pa.Table,
        *,
        videos_folder: Path | None = None,
        has_publisher_splits: bool = False,
        clip_name: RowName | None = None,
        caption_name: RowName | None = None,
    ) -> "Dataset":
        """Check clips and captions and hold them in memory.

        Args:
            name: what reports call the dataset.
            clips: values of `Clip`, or a table with at least these columns.
            captions: values of `Caption`, or a table with at least these columns.
            videos_folder: what relative `video` paths start from.
            has_publisher_splits: sources in two splits become a recorded warning instead of an error.
            clip_name: says where clip row i came from, for messages; its position by default.
            caption_name: the same for caption rows.

        Raises:
            DataError: naming the first offending row, and how many more are like it.
        """
        clip_table = as_table(clips, CLIP_SCHEMA)
        caption_table = as_table(captions, CAPTION_SCHEMA)
        warnings = check_clips(clip_table, has_publisher_splits, clip_name)
        check_captions(caption_table, clip_table, ORIGINS, caption_name)
        return cls(
            name=name,
            clips=clip_table,
            captions=caption_table,
            videos_folder=videos_folder,
            recorded_warnings=warnings,
        )

    @classmethod
    def open(cls, folder: Path | str, *, is_mapped: bool = False) -> "Dataset":
        """Open a dataset folder.

        Args:
            folder: where it was written.
            is_mapped: keep the tables, and those made of them, in mapped files in the folder's `prepared/`, so that
                their size is no matter; in memory where nothing can be written there.

        Raises:
            DataError: the folder is no dataset, or was written by a later polyreel, or half written by a killed one.
        """
        folder = Path(folder)
        if not (folder / HEADER).is_file():
            raise DataError(f"{folder} is no dataset: it has no {HEADER}; make one with `polyreel import tables`")
        header = read_header(Header, folder / HEADER, SCHEMA_VERSION)
        mapped = tables_folder(folder) if is_mapped else None
        return cls(
            name=header.name,
            clips=_read(folder / CLIPS, CLIP_SCHEMA, header, mapped),
            captions=_read(folder / CAPTIONS, CAPTION_SCHEMA, header, mapped),
            folder=folder,
            videos_folder=None if header.videos_folder is None else folder / header.videos_folder,
            recorded_warnings=header.recorded_warnings,
            is_mapped=mapped is not None,
        )

    def save(self, folder: Path | str) -> "Dataset":
        """Write the tables to a folder, aside and renamed, and return the dataset opened there.

        All three files are complete before the first is renamed, and each has the mark of the whole, so that a process
        killed between two renames leaves nothing that opens. Feature stores in the folder are left alone.
        """
        folder = Path(folder)
        header = Header(
            schema_version=SCHEMA_VERSION,
            name=self.name,
            videos_folder=_relative(self.videos_folder, folder),
            fingerprint=self.fingerprint,
            recorded_warnings=self.recorded_warnings,
        )
        with (
            write_aside(folder / HEADER) as header_file,
            write_aside(folder / CAPTIONS) as captions_file,
            write_aside(folder / CLIPS) as clips_file,
        ):
            for table, file in ((self.clips, clips_file), (self.captions, captions_file)):
                marked = table.replace_schema_metadata({_MARK: self.fingerprint})
                pq.write_table(marked, file, compression="zstd")
            write_json(header_file, header.model_dump(mode="json"))
        return Dataset.open(folder)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the fields of every clip and caption, in the order of their rows."""
        tables = ((self.clips, CLIP_SCHEMA), (self.captions, CAPTION_SCHEMA))
        columns = (table[field.name] for table, schema in tables for field in schema)
        return fingerprint_streamed(part for column in columns for part in content(column))

    @cached_property
    def clip_ids(self) -> list[str]:
        """Ids of the clips, in table order."""
        ids: list[str] = self.clips["clip_id"].to_pylist()
        return ids

    @cached_property
    def langs(self) -> tuple[str, ...]:
        """Codes of the languages that have captions: English first, then the alphabet."""
        codes: list[str] = pc.unique(self.captions["lang"]).to_pylist()
        return tuple(sorted(codes, key=lambda code: (code != PIVOT_LANG, code)))

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in order of first appearance."""
        return tuple(pc.unique(self.clips["split"]).to_pylist())

    @cached_property
    def extractors(self) -> tuple[str, ...]:
        """Names of the extractors whose features lie in the folder, sorted."""
        stores = [] if self.folder is None else (self.folder / "features").glob("*/store.json")
        return tuple(sorted(unquote(path.parent.name) for path in stores))

    def split(self, name: str) -> "Dataset":
        """Return the clips of one split with their captions.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.splits:
            raise DataError(f"dataset {self.name!r} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.where_clips(pc.equal(self.clips["split"], name))

    def where_clips(self, mask: pa.Array | pa.ChunkedArray | np.ndarray) -> "Dataset":
        """Return the clips where `mask` (one boolean a clip) is true, with their captions."""
        mask = pa.array(mask) if isinstance(mask, np.ndarray) else mask
        keeps_few = 2 * count_true(mask) < len(mask)  # those are looked up that are fewer, the kept or the dropped
        ids = self.clips["clip_id"].filter(mask if keeps_few else pc.invert(mask)).combine_chunks()
        is_there = pc.is_in(self.captions["clip_id"], value_set=ids)
        captions = self._filtered(self.captions, is_there if keeps_few else pc.invert(is_there))
        return self._with(self._filtered(self.clips, mask), captions)

    def where_captions(self, mask: pa.Array | pa.ChunkedArray | np.ndarray) -> "Dataset":
        """Return all clips with the captions where `mask` (one boolean a caption) is true."""
        mask = pa.array(mask) if isinstance(mask, np.ndarray) else mask
        return self._with(self.clips, self._filtered(self.captions, mask))

    def in_langs(self, langs: Sequence[str]) -> "Dataset":
        """Return all clips with the captions in these languages only."""
        return self.where_captions(pc.is_in(self.captions["lang"], value_set=pa.array(list(langs), pa.string())))

    def first_captions(self, limits: Mapping[str, int]) -> "Dataset":
        """Keep, in each language named, the first so many captions of every clip; other languages stay whole."""
        if not limits:
            return self
        langs = self.captions["lang"].combine_chunks().dictionary_encode()
        limit_of = np.array([limits.get(code, self.captions.num_rows) for code in langs.dictionary.to_pylist()], int)
        lang_codes = np.asarray(langs.indices, np.int64)
        pairs = codes(self.captions["clip_id"]) * max(len(limit_of), 1) + lang_codes
        return self.where_captions(positions_within(pairs) < limit_of[lang_codes])

    def parallel(self, langs: Sequence[str]) -> list[str]:
        """Return the ids of the sentences that exist in every one of these languages, in table order."""
        here = self.in_langs(langs).captions["caption_id"].combine_chunks().dictionary_encode()
        counts = np.bincount(np.asarray(here.indices, np.int64), minlength=len(here.dictionary))
        ids: list[str] = here.dictionary.filter(pa.array(counts == len(set(langs)))).to_pylist()
        return ids

    def features(self, extractor: str) -> FeatureStore:
        """Open the features one extractor left in this dataset's folder.

        Raises:
            DataError: there are none by this name.
        """
        if extractor not in self.extractors or self.folder is None:
            known = ", ".join(self.extractors) or "none"
            raise DataError(
                f"dataset {self.name!r} has no features {extractor!r}; it has {known}; "
                f"make them with `polyreel extract DATASET --extractor {extractor}`"
            )
        mapped = tables_folder(self.folder) if self.is_mapped else None
        return FeatureStore.open(self.features_folder(extractor), mapped=mapped)

    def features_folder(self, extractor: str) -> Path:
        """Return where this dataset keeps the features of one extractor: its name, quoted like an address.

        Raises:
            ValueError: the dataset lives in memory only.
        """
        if self.folder is None:
            raise ValueError(f"dataset {self.name!r} is in memory only; save it to a folder first")
        return self.folder / "features" / quote(extractor, safe="")

    def iter_clips(self) -> Iterator[Clip]:
        """Yield the rows of the clip table as values."""
        names = [field.name for field in fields(Clip)]
        yield from (Clip(**row) for row in self.clips.select(names).to_pylist())

    def iter_captions(self) -> Iterator[Caption]:
        """Yield the rows of the caption table as values."""
        yield from (Caption(**row) for row in self.captions.select(CAPTION_SCHEMA.names).to_pylist())

    def _filtered(self, table: pa.Table, mask: pa.Array | pa.ChunkedArray) -> pa.Table:
        if count_true(mask) == len(mask):
            return table
        folder = tables_folder(self.folder) if self.is_mapped and self.folder else None
        return table.filter(mask) if folder is None else filtered(table, mask, folder)

    def _with(self, clips: pa.Table, captions: pa.Table) -> "Dataset":
        return replace(self, clips=clips, captions=captions)


def _read(path: Path, schema: pa.Schema, header: Header, mapped: Path | None) -> pa.Table:
    """Read or map one of a dataset's tables; one without a mark, as other tools write it, is taken as it is."""
    table = read_parquet(path) if mapped is None else map_parquet(path, schema, mapped)
    mark = (pq.read_schema(path).metadata or {}).get(_MARK)
    if mark is not None and mark.decode() != header.fingerprint:
        raise DataError(
            f"{path} and the {HEADER} beside it are of two datasets; a process that was writing here was stopped; "
            "run it again"
        )
    return as_table(table, schema)


def _relative(path: Path | None, folder: Path) -> str | None:
    return None if path is None else os.path.relpath(path.resolve(), folder.resolve())
