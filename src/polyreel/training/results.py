"""What an experiment found: reports by cell and system, as tables, JSON and pages with pictures.

All systems of a cell answered the same queries, so each cell gets one table a metric, the paired differences, and one
page. The files lie in the experiment's folder: `table.md`, `results.json`, and `report.html`, or `report-CELL.html`
where there are several cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.evaluation.browser import Browser
from polyreel.evaluation.comparison import Comparison, compare
from polyreel.evaluation.gallery import Gallery
from polyreel.evaluation.html import write_html
from polyreel.evaluation.metrics import Metric
from polyreel.evaluation.registry import RESULT_SCHEMA_VERSION
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import Table, by_system, of_differences
from polyreel.storage import Json, code_fingerprint, read_json, write_json, write_text

TABLED: tuple[Metric, ...] = ("R@1", "R@5", "R@10")


@dataclass(frozen=True, kw_only=True, eq=False)
class CellResult:
    """What was found in one cell.

    Attributes:
        values: the axis values, by axis; empty for an experiment without axes.
        reports: one of all seeds a system, in the order of the experiment.
        metric: the one to look at first.
        baseline: system the others are held against; None: each against those before it.
        comparison: paired differences; None for a single system.
        runs: run folders by system, for training curves.
        dataset: what was learned from and measured on.
    """

    values: Mapping[str, str]
    reports: tuple[Report, ...]
    metric: Metric
    baseline: str | None
    comparison: Comparison | None
    runs: Mapping[str, Sequence[Path]]
    dataset: Dataset

    @property
    def name(self) -> str:
        """The axis values in words: `text scratch, captions 20+1`."""
        return ", ".join(f"{axis} {value}" for axis, value in self.values.items())

    def summary(self) -> Table:
        """Return the one table to look at first: text to video, a row a language, a column a system."""
        return by_system(self.reports, self.metric)

    def tables(self) -> list[Table]:
        """Return one table a recall, and one of the differences of every pair."""
        pairs = self.comparison.pairs() if self.comparison else []
        differences = [of_differences(self.comparison, pair) for pair in pairs] if self.comparison else []
        return [*(by_system(self.reports, metric) for metric in TABLED), *differences]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExperimentResult:
    """What an experiment found.

    Attributes:
        title: of the experiment.
        folder: where its files lie.
        cells: in the order of the axes.
    """

    title: str
    folder: Path
    cells: tuple[CellResult, ...]

    def markdown(self) -> str:
        """Lay all tables out in one Markdown page."""
        parts = [f"# {self.title}"]
        for cell in self.cells:
            parts += [f"## {cell.name}"] if cell.name else []
            parts += [table.markdown() for table in cell.tables()]
        return "\n\n".join(parts) + "\n"

    def to_json(self) -> dict[str, Json]:
        """Return every figure and difference, with the fingerprints of recipes and code."""
        return {
            "schema_version": RESULT_SCHEMA_VERSION,
            "title": self.title,
            "code": code_fingerprint(),
            "cells": [
                {
                    "values": dict(cell.values),
                    "reports": [
                        {**report.to_json(), "recipes": _recipes(cell, report.name)} for report in cell.reports
                    ],
                    "differences": cell.comparison.to_json()["differences"] if cell.comparison else [],
                }
                for cell in self.cells
            ],
        }

    def save(
        self, galleries: Mapping[str, Gallery] | None = None, browsers: Mapping[str, Browser] | None = None
    ) -> list[Path]:
        """Write tables, JSON and pages to the experiment's folder.

        Args:
            galleries: queries with their answers in pictures, by cell name.
            browsers: every query with its answers, by cell name.

        Returns:
            The pages.
        """
        write_text(self.folder / "table.md", self.markdown())
        write_json(self.folder / "results.json", self.to_json())
        pages = []
        for cell in self.cells:
            page = self.folder / (f"report-{_file_name(cell.name)}.html" if len(self.cells) > 1 else "report.html")
            title = f"{self.title}: {cell.name}" if cell.name else self.title
            write_html(
                page,
                cell.reports,
                title=title,
                metric=cell.metric,
                baseline=cell.baseline,
                runs=cell.runs,
                gallery=(galleries or {}).get(cell.name),
                browser=(browsers or {}).get(cell.name),
            )
            pages.append(page)
        return pages


def summarise(
    values: Mapping[str, str],
    reports: Sequence[Report],
    runs: Mapping[str, Sequence[Path]],
    dataset: Dataset,
    *,
    metric: Metric,
    baseline: str | None,
) -> CellResult:
    """Compare the systems of one cell; see `CellResult`."""
    known = baseline if baseline in [report.name for report in reports] else None
    return CellResult(
        values=values,
        reports=tuple(reports),
        metric=metric,
        baseline=known,
        comparison=compare(reports, baseline=known) if len(reports) > 1 else None,
        runs=runs,
        dataset=dataset,
    )


def _recipes(cell: CellResult, system: str) -> list[Json]:
    """Return the fingerprints of the recipes of a system's runs, seed by seed."""
    return [read_json(run / "run.json")["recipe_fingerprint"] for run in cell.runs[system]]


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "+-" else "-" for letter in name).replace("--", "-")
