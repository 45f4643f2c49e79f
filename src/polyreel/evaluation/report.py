"""Report: what was measured of one system on one split, and `evaluate`, which measures it.

A report keeps the rank of every query, not only figures, so that systems can be compared query by query later. Its
folder holds `report.json` (the figures and where they come from), `ranks.parquet` (one row a query), `answers.parquet`
(the first ten of every query, with scores) and `queries.parquet` (what was asked).
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.evaluation.across import Across, across_languages, mean_confusion
from polyreel.evaluation.answers import Answers, Key, answers_from_table, answers_to_table, queries_of, stack_answers
from polyreel.evaluation.asking import Encoder as Encoder
from polyreel.evaluation.asking import Fingerprinted as Fingerprinted
from polyreel.evaluation.asking import Scoring, ask
from polyreel.evaluation.estimates import Estimate, Figure, estimate_all
from polyreel.evaluation.ground import Ground, survey
from polyreel.evaluation.metrics import Direction, Ranks, Ties, stack_seeds
from polyreel.evaluation.protocols import find_protocol
from polyreel.evaluation.rank_table import ranks_from_table, ranks_to_table
from polyreel.evaluation.report_files import ANSWERS, QUERIES, RANKS, read_report, write_report
from polyreel.evaluation.uncertainty import LEVEL, NUM_RESAMPLES, resample_sources
from polyreel.progress import Progress, silent
from polyreel.storage import Json

_VERSIONED = ("polyreel", "numpy", "torch", "transformers")


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """The ranks of one system, trained with one or several seeds, on one split.

    Attributes:
        name: what tables call the system.
        seeds: one a model.
        models: fingerprint of each seed's model; "" for one that has none.
        versions: of the software that measured.
        ground: what it was measured on.
        ranks: counts `[S, Q]` by language and direction; texts to texts stand under `it>en`, "t2t".
        scoring: how similarities became scores: "cosine", or what corrected it.
        pretrained_on: what the model's text encoder had read before it was trained; "" for one from scratch.
        answers: the best candidates of every query, as `ranks`; empty in reports of before there were any.
        queries: what was asked, a row a caption; None in reports of before it was kept.
        confusion: by language of a text, in which language its nearest other text is written (shares, mean over seeds).
    """

    name: str
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    versions: Mapping[str, str]
    ground: Ground
    ranks: Mapping[Key, Ranks]
    scoring: str = "cosine"
    pretrained_on: str = ""
    answers: Mapping[Key, Answers] = field(default_factory=dict)
    queries: pa.Table | None = None
    confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

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
        return estimate_all(self.ranks, resample_sources(self.sources), self.seeds)

    def rows(self, *, num_resamples: int = NUM_RESAMPLES) -> list[Estimate]:
        """Return every figure: by language, direction and metric, then means over languages, then the rank variance."""
        if num_resamples == NUM_RESAMPLES:
            return list(self._estimates)
        return estimate_all(self.ranks, resample_sources(self.sources, num_resamples=num_resamples), self.seeds)

    @cached_property
    def across(self) -> Across:
        """What its languages have to do with one another, text to video."""
        return across_languages(self._estimates, self.ranks, self.answers, resample_sources(self.sources))

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
            answers={
                key: stack_answers([report.answers[key] for report in reports])
                for key in first.answers
                if all(report.answers for report in reports)
            },
            confusion=mean_confusion([(len(report.seeds), report.confusion) for report in reports]),
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
            "scoring": self.scoring,
            "pretrained_on": self.pretrained_on,
            "across_languages": self.across.to_json() if len(self.langs) > 1 else None,
            "confusion": {lang: {k: round(v, 4) for k, v in shares.items()} for lang, shares in self.confusion.items()},
            "figures": [row.to_json() for row in self._estimates],
        }

    def save(self, folder: Path | str) -> None:
        """Write the report as a folder, aside and renamed."""
        ids = {key: self.ranks[key].query_ids for key in self.answers}
        tables = {
            RANKS: ranks_to_table(self.ranks, self.seeds),
            ANSWERS: answers_to_table(self.answers, ids, self.seeds) if self.answers else None,
            QUERIES: self.queries,
        }
        write_report(Path(folder), self.to_json(), tables)

    @classmethod
    def open(cls, folder: Path | str) -> "Report":
        """Open a report folder.

        Raises:
            DataError: the folder is no report, or not one that this polyreel can read.
        """
        header, tables = read_report(Path(folder))
        return cls(
            name=header.name,
            seeds=header.seeds,
            models=header.models,
            versions=header.versions,
            ground=header.ground,
            ranks=_counted_over(header.ground, ranks_from_table(tables[RANKS], header.seeds)),
            scoring=header.scoring,
            pretrained_on=header.pretrained_on,
            answers=answers_from_table(tables[ANSWERS], header.seeds) if ANSWERS in tables else {},
            queries=tables.get(QUERIES),
            confusion=header.confusion,
        )


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
    protocol: str | None = None,
    scoring: Scoring | None = None,
    progress: Progress = silent,
) -> Report:
    """Rank a split's clips for every caption, and the captions of each language for every clip.

    Args:
        model: what encodes texts and clips.
        dataset: where the split is taken from.
        features: the clips' features.
        split: which clips.
        langs: languages to ask in; all by default. One without captions in the split is absent from the report.
        name: what tables call it; one scored by dual softmax gets the label that it reads all test queries.
        seed: the seed the model was trained with.
        num_clips: clips of the split as published; absent ones count as missed in R@k (the reference's "968 of 1000"),
            while MedR and MnR are of those there. None: what is not there does not count.
        ties: "chance": candidates that score the same stand in random order; "optimistic": the right one first, as in
            the reference.
        protocol: a name out of `PROTOCOLS`: the dataset must be what it says, and it decides how is counted.
        scoring: how similarities become scores; the cosine by default.
        progress: told after every language.

    Raises:
        DataError: no captions to ask, a clip without features, an embedding that is NaN or infinite, more clips than
            `num_clips`, or a dataset that the protocol does not fit.
        FingerprintError: the model was made for another extractor's features.
    """
    scoring = scoring or Scoring()
    agreed = None if protocol is None else find_protocol(protocol)
    if agreed is not None:
        num_clips = agreed.check(dataset, split, num_clips)
        scoring = replace(scoring, captions=agreed.captions)
    data = dataset.split(split)
    asked = _asked(data, split, langs)
    if isinstance(model, Fingerprinted):
        model.check_features(features)
    ground = survey(dataset, split, asked, features, num_clips)
    ground = replace(ground, ties=ties, captions=scoring.captions, protocol=protocol or "")
    found = ask(model, data, features, asked, scoring, agreed is not None and agreed.is_text_to_text, progress)
    return Report(
        name=f"{name} ({scoring.label})" if scoring.label else name,
        seeds=(seed,),
        models=(model.fingerprint if isinstance(model, Fingerprinted) else "",),
        versions=_versions(),
        ground=ground,
        ranks=_counted_over(ground, found.ranks),
        scoring=scoring.name,
        pretrained_on=str(getattr(model, "pretrained_on", "")),
        answers=found.answers,
        queries=queries_of(data, asked),
        confusion=found.confusion,
    )


def _asked(data: Dataset, split: str, langs: Sequence[str] | None) -> list[str]:
    asked = [lang for lang in data.langs if langs is None or lang in langs]
    if not asked:
        raise DataError(
            f"split {split!r} of {data.name!r} has no captions in {', '.join(langs or ['any language'])}; "
            f"it has captions in: {', '.join(data.langs) or 'none'}"
        )
    return asked


def _counted_over(ground: Ground, ranks: Mapping[Key, Ranks]) -> dict[Key, Ranks]:
    counted = {
        key: of_queries if key[1] == "t2t" else replace(of_queries, present=ground.present)
        for key, of_queries in ranks.items()
    }
    if ground.ties == "optimistic":
        return {key: of_queries.optimistic() for key, of_queries in counted.items()}
    return counted


def _versions() -> dict[str, str]:
    loaded = {name: version(name) for name in _VERSIONED if name in sys.modules}
    return {"python": platform.python_version(), **loaded}
