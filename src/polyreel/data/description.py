"""Description: what a dataset holds, counted, for people and programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.checks import straddling_sources
from polyreel.data.dataset import PIVOT_LANG, Dataset
from polyreel.data.features import FeatureStore
from polyreel.languages import LANGUAGES
from polyreel.storage import Json


@dataclass(frozen=True, kw_only=True)
class SplitCount:
    """How much one split holds."""

    split: str
    clips: int
    captions: int


@dataclass(frozen=True, kw_only=True)
class CaptionCount:
    """How many captions one language has of one origin.

    Attributes:
        lang: ISO 639-1 code.
        origin: how they came about.
        captions: how many.
        clips: how many clips have at least one.
        fewest_per_clip: over the clips that have any.
        median_per_clip: over the clips that have any.
        most_per_clip: over the clips that have any.
    """

    lang: str
    origin: str
    captions: int
    clips: int
    fewest_per_clip: int
    median_per_clip: float
    most_per_clip: int


@dataclass(frozen=True, kw_only=True)
class StoreCount:
    """What one extractor left.

    Attributes:
        extractor: its name.
        dim: width of a row.
        clips: how many of the dataset's clips have features.
        fewest_rows: a clip, over those.
        median_rows: a clip, over those.
        most_rows: a clip, over those.
    """

    extractor: str
    dim: int
    clips: int
    fewest_rows: int
    median_rows: float
    most_rows: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a dataset holds.

    Attributes:
        name: of the dataset.
        fingerprint: of its clips and captions.
        clips: how many.
        captions: how many.
        parallel_sentences: how many sentences exist in all its languages.
        splits: counts by split.
        languages: counts by language and origin, English first.
        features: counts by extractor.
        straddling_sources: the splits of each source that has clips in more than one.
        recorded_warnings: what was let pass at import.
    """

    name: str
    fingerprint: str
    clips: int
    captions: int
    parallel_sentences: int
    splits: tuple[SplitCount, ...]
    languages: tuple[CaptionCount, ...]
    features: tuple[StoreCount, ...]
    straddling_sources: dict[str, tuple[str, ...]]
    recorded_warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the description as lines of plain text."""
        num_langs = len({count.lang for count in self.languages})
        return [
            f"{self.name}: {self.clips:,} clips, {self.captions:,} captions in {_plural(num_langs, 'language')}",
            f"parallel sentences in all languages: {self.parallel_sentences:,}",
            "",
            *_aligned(["split", "clips", "captions"], [[row.split, row.clips, row.captions] for row in self.splits]),
            "",
            *self._language_lines(),
            "",
            *self._feature_lines(),
            "",
            *self._source_lines(),
            *[f"warning: {warning}" for warning in self.recorded_warnings],
        ]

    def to_json(self) -> dict[str, Json]:
        """Return the description as JSON values."""
        values: dict[str, Json] = asdict(self)
        return values

    def _language_lines(self) -> list[str]:
        if not self.languages:
            return ["captions: none"]
        head = ["language", "origin", "captions", "clips", "captions per clip (min / median / max)"]
        return _aligned(head, [_language_row(row) for row in self.languages])

    def _feature_lines(self) -> list[str]:
        if not self.features:
            return ["features: none; make them with `polyreel extract`"]
        head = ["features", "width", "clips", "rows per clip (min / median / max)"]
        return _aligned(head, [_feature_row(row, self.clips) for row in self.features])

    def _source_lines(self) -> list[str]:
        if not self.straddling_sources:
            return ["sources in more than one split: none"]
        source, splits = next(iter(self.straddling_sources.items()))
        count = len(self.straddling_sources)
        return [f"sources in more than one split: {count:,}, the first is {source} ({', '.join(splits)})"]


def describe(dataset: Dataset) -> Description:
    """Count what a dataset holds."""
    stores = [dataset.features(extractor) for extractor in dataset.extractors]
    return Description(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        clips=dataset.clips.num_rows,
        captions=dataset.captions.num_rows,
        parallel_sentences=len(dataset.parallel(dataset.langs)),
        splits=tuple(_count_split(dataset.split(name)) for name in dataset.splits),
        languages=tuple(_count_captions(dataset.captions)),
        features=tuple(_count_features(store, dataset) for store in stores),
        straddling_sources=straddling_sources(dataset.clips),
        recorded_warnings=dataset.recorded_warnings,
    )


def _count_split(part: Dataset) -> SplitCount:
    return SplitCount(split=part.splits[0], clips=part.clips.num_rows, captions=part.captions.num_rows)


def _count_captions(captions: pa.Table) -> list[CaptionCount]:
    keys = captions.group_by(["lang", "origin"]).aggregate([]).to_pylist()
    keys.sort(key=lambda key: (key["lang"] != PIVOT_LANG, key["lang"], key["origin"]))
    return [_count_group(captions, key["lang"], key["origin"]) for key in keys]


def _count_group(captions: pa.Table, lang: str, origin: str) -> CaptionCount:
    group = captions.filter(pc.and_(pc.equal(captions["lang"], lang), pc.equal(captions["origin"], origin)))
    per_clip = np.asarray(group["clip_id"].value_counts().field("counts"))
    return CaptionCount(
        lang=lang,
        origin=origin,
        captions=group.num_rows,
        clips=len(per_clip),
        fewest_per_clip=int(per_clip.min()),
        median_per_clip=float(np.median(per_clip)),
        most_per_clip=int(per_clip.max()),
    )


def _count_features(store: FeatureStore, dataset: Dataset) -> StoreCount:
    known = set(dataset.clip_ids)
    rows = [count for clip_id, count in zip(store.clip_ids, store.iter_lengths(), strict=True) if clip_id in known]
    return StoreCount(
        extractor=store.extractor,
        dim=store.dim,
        clips=len(rows),
        fewest_rows=min(rows, default=0),
        median_rows=float(np.median(rows)) if rows else 0.0,
        most_rows=max(rows, default=0),
    )


def _language_row(row: CaptionCount) -> list[str | int]:
    spread = f"{row.fewest_per_clip} / {row.median_per_clip:g} / {row.most_per_clip}"
    return [f"{row.lang} {LANGUAGES[row.lang].english_name}", row.origin, row.captions, row.clips, spread]


def _feature_row(row: StoreCount, num_clips: int) -> list[str | int]:
    spread = f"{row.fewest_rows} / {row.median_rows:g} / {row.most_rows}"
    return [row.extractor, row.dim, f"{row.clips:,} of {num_clips:,}", spread]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str | int]]) -> list[str]:
    """Set out cells in columns: text to the left, numbers to the right."""
    cells = [head, *[[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    is_number = [bool(rows) and isinstance(cell, int) for cell in (rows[0] if rows else head)]
    sides = [str.rjust if number else str.ljust for number in is_number]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in cells
    ]
