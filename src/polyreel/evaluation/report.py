"""Report: what was measured of one system on one split, and `evaluate`, which measures it.

A report keeps the rank of every query, not only figures, so that systems can be compared query by query later. Its
folder holds `report.json` (the figures and where they come from) and `ranks.parquet` (one row a query).
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.evaluation.estimates import Estimate, Figure, estimate_all
from polyreel.evaluation.ground import Ground, survey
from polyreel.evaluation.metrics import Direction, Ranks, Ties, stack_seeds, t2v_ranks, v2t_ranks
from polyreel.evaluation.rank_table import ranks_from_table, ranks_to_table
from polyreel.evaluation.uncertainty import LEVEL, NUM_RESAMPLES, resample_sources
from polyreel.progress import Progress, silent
from polyreel.similarity import similarities
from polyreel.storage import Json, read_json, write_aside, write_json

_VERSIONED = ("polyreel", "numpy", "torch", "transformers")


class Encoder(Protocol):
    """What can be evaluated: anything that turns texts and features into rows of unit length."""

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return `[N, D]`, one row a text."""

    def encode_clips(self, features: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
        """Return `[N, D]`, one row a clip; each clip's features are `[T, D_in]`."""


@runtime_checkable
class Fingerprinted(Protocol):
    """An encoder that knows its weights by name, and which features they were made for."""

    @property
    def fingerprint(self) -> str:
        """Digest of settings and weights."""

    def check_features(self, store: FeatureStore) -> None:
        """Refuse the features of another extractor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """The ranks of one system, trained with one or several seeds, on one split.

    Attributes:
        name: what tables call the system.
        seeds: one a model.
        models: fingerprint of each seed's model; "" for one that has none.
        versions: of the software that measured.
        ground: what it was measured on.
        ranks: counts `[S, Q]` by language and direction.
    """

    name: str
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    versions: Mapping[str, str]
    ground: Ground
    ranks: Mapping[tuple[str, Direction], Ranks]

    @property
    def langs(self) -> tuple[str, ...]:
        """Codes of the languages asked in."""
        return tuple(self.ground.asked)

    @cached_property
    def sources(self) -> frozenset[str]:
        """Names of the source videos asked for."""
        return frozenset().union(*(ranks.sources.tolist() for ranks in self.ranks.values()))

    @cached_property
    def _estimates(self) -> list[Estimate]:
        return estimate_all(self.ranks, resample_sources(self.sources))

    def rows(self) -> list[Estimate]:
        """Return every figure: by language, direction and metric, then means over languages, then the rank variance."""
        return list(self._estimates)

    def row(self, lang: str, metric: Figure, direction: Direction = "t2v") -> Estimate:
        """Return one figure.

        Args:
            lang: language code, or "mean" for the mean over languages.
            metric: which one; "MRV" stands under "mean" and "t2v".
            direction: what is asked for with what.

        Raises:
            KeyError: the report has no such figure.
        """
        for row in self._estimates:
            if (row.lang, row.metric, row.direction) == (lang, metric, direction):
                return row
        raise KeyError(f"report {self.name!r} has no {direction} {metric} in {lang!r}; it has {', '.join(self.langs)}")

    @classmethod
    def merged(cls, reports: "Sequence[Report]", *, name: str | None = None) -> "Report":
        """Join the seeds of one system into one report.

        Args:
            reports: of the same queries, with different seeds.
            name: of the system; the first report's by default.

        Raises:
            DataError: a seed occurs twice, or the queries differ.
        """
        first = reports[0]
        check_same_queries(reports)
        seeds = tuple(seed for report in reports for seed in report.seeds)
        if len(set(seeds)) < len(seeds):
            raise DataError(
                f"{first.name!r} has the seeds {', '.join(map(str, seeds))}; each may occur once; "
                "give every training a seed of its own"
            )
        return replace(
            first,
            name=name or first.name,
            seeds=seeds,
            models=tuple(model for report in reports for model in report.models),
            ranks={key: stack_seeds([report.ranks[key] for report in reports]) for key in first.ranks},
        )

    def to_json(self) -> dict[str, Json]:
        """Return the figures and where they come from; the ranks stay out."""
        return {
            "name": self.name,
            "seeds": list(self.seeds),
            "models": list(self.models),
            "versions": dict(self.versions),
            "ground": asdict(self.ground),
            "bootstrap": {"level": LEVEL, "resamples": NUM_RESAMPLES, "source_videos": len(self.sources)},
            "figures": [row.to_json() for row in self._estimates],
        }

    def save(self, folder: Path | str) -> None:
        """Write the report as a folder, aside and renamed."""
        with write_aside(Path(folder)) as aside:
            write_json(aside / "report.json", self.to_json())
            pq.write_table(ranks_to_table(self.ranks, self.seeds), aside / "ranks.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path | str) -> "Report":
        """Open a report folder.

        Raises:
            DataError: the folder is no report, or not one that this polyreel can read.
        """
        folder = Path(folder)
        if not (folder / "report.json").is_file():
            raise DataError(f"{folder} is no report: it has no report.json; make one with `polyreel evaluate -o`")
        try:
            header = TypeAdapter(_Header).validate_python(read_json(folder / "report.json"))
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{folder}/report.json has a wrong {field!r}; evaluate again to write it anew") from None
        return cls(
            name=header.name,
            seeds=header.seeds,
            models=header.models,
            versions=header.versions,
            ground=header.ground,
            ranks=_counted_over(header.ground, ranks_from_table(pq.read_table(folder / "ranks.parquet"), header.seeds)),
        )


@dataclass(frozen=True, kw_only=True)
class _Header:
    name: str
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    versions: Mapping[str, str]
    ground: Ground


def check_same_queries(reports: Sequence[Report]) -> None:
    """Refuse reports that did not ask the same of the same clips.

    Raises:
        DataError: naming the first two reports that differ, and in what.
    """
    for other in reports[1:]:
        difference = reports[0].ground.difference(other.ground)
        if difference:
            raise DataError(
                f"reports {reports[0].name!r} and {other.name!r} were not asked the same: {difference}; "
                "evaluate both in the same languages on the same split of one dataset"
            )


def evaluate(
    model: Encoder,
    dataset: Dataset,
    *,
    features: FeatureStore,
    split: str = "test",
    langs: Sequence[str] | None = None,
    name: str = "model",
    seed: int = 0,
    num_clips: int | None = None,
    ties: Ties = "chance",
    progress: Progress = silent,
) -> Report:
    """Rank a split's clips for every caption, and the captions of each language for every clip.

    Args:
        model: what encodes texts and clips.
        dataset: where the split is taken from.
        features: the clips' features.
        split: which clips.
        langs: languages to ask in; all by default. One without captions in the split is absent from the report.
        name: what tables call the system.
        seed: the seed the model was trained with.
        num_clips: clips of the split as published; absent ones count as missed in R@k (the reference's "968 of 1000"),
            while MedR and MnR are of those there. None: what is not there does not count.
        ties: "chance": candidates that score the same stand in random order; "optimistic": the right one first, as in
            the reference.
        progress: told after every language.

    Raises:
        DataError: no captions to ask, a clip without features, a similarity that is NaN or infinite, or more clips
            than `num_clips`.
        FingerprintError: the model was made for another extractor's features.
    """
    data = dataset.split(split)
    asked = [lang for lang in data.langs if langs is None or lang in langs]
    if not asked:
        raise DataError(
            f"split {split!r} of {dataset.name!r} has no captions in {', '.join(langs or ['any language'])}; "
            f"it has captions in: {', '.join(data.langs) or 'none'}"
        )
    if isinstance(model, Fingerprinted):
        model.check_features(features)
    ground = replace(survey(dataset, split, asked, features, num_clips), ties=ties)
    clips_CD = model.encode_clips([features[clip_id] for clip_id in data.clip_ids])
    ranks: dict[tuple[str, Direction], Ranks] = {}
    for done, lang in enumerate(asked):
        progress(done, len(asked), f"ranking in {lang}")
        ranks |= _ranks_in(lang, data, model, clips_CD)
    progress(len(asked), len(asked), "ranked")
    return Report(
        name=name,
        seeds=(seed,),
        models=(model.fingerprint if isinstance(model, Fingerprinted) else "",),
        versions=_versions(),
        ground=ground,
        ranks=_counted_over(ground, ranks),
    )


def _counted_over(ground: Ground, ranks: Mapping[tuple[str, Direction], Ranks]) -> dict[tuple[str, Direction], Ranks]:
    counted = {key: replace(of_queries, present=ground.present) for key, of_queries in ranks.items()}
    if ground.ties == "optimistic":
        return {key: of_queries.optimistic() for key, of_queries in counted.items()}
    return counted


def _ranks_in(
    lang: str, data: Dataset, model: Encoder, clips_CD: npt.NDArray[np.float32]
) -> dict[tuple[str, Direction], Ranks]:
    captions = data.in_langs([lang]).captions
    sims_QC = similarities(model.encode_text(captions["text"].to_pylist()), clips_CD)
    column = {clip_id: position for position, clip_id in enumerate(data.clip_ids)}
    own_Q = [column[clip_id] for clip_id in captions["clip_id"].to_pylist()]
    query_ids: list[str] = captions["caption_id"].to_pylist()
    sources: list[str] = data.clips["source"].to_pylist()
    names = {"query_ids": query_ids, "clip_ids": data.clip_ids, "sources": sources}
    return {
        (lang, "t2v"): stack_seeds([t2v_ranks(sims_QC, own_Q, **names)]),
        (lang, "v2t"): stack_seeds([v2t_ranks(sims_QC, own_Q, **names)]),
    }


def _versions() -> dict[str, str]:
    loaded = {name: version(name) for name in _VERSIONED if name in sys.modules}
    return {"python": platform.python_version(), **loaded}
