import json
from pathlib import Path

import pytest

from polyreel.errors import DataError
from polyreel.evaluation.layouts import latex_table
from polyreel.evaluation.registry import ComparisonResult, read_result, result_page, tables_of
from polyreel.evaluation.tables import Table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def comparison(systems, tmp_path):
    reports = [{**report.to_json(), "recipes": ["a" * 24, "b" * 24]} for report in systems]
    value = {
        "schema_version": 1,
        "title": "Toy",
        "code": "c" * 24,
        "cells": [{"values": {"text": "x"}, "reports": reports}],
    }
    (tmp_path / "toy.json").write_text(json.dumps(value))
    return tmp_path / "toy.json"


def test_a_comparison_is_read_back_as_it_was_measured(comparison, systems):
    (table,) = tables_of(comparison)
    assert table.header == ("language", "weak", "strong") and table.title.startswith("Toy (text x): R@10, text → video")
    for row, lang in zip(table.rows, ("en", "de", "sw", "mean"), strict=True):
        figures = [report.row(lang, "R@10") for report in systems]
        assert row[1:] == tuple(f"{f.value:.1f} [{f.interval[0]:.1f}, {f.interval[1]:.1f}]" for f in figures)
    assert "recipes: weak aaaaaaaa bbbbbbbb, strong aaaaaaaa bbbbbbbb; code: cccccc" in table.note


def test_what_older_files_lack_is_said(comparison):
    value = json.loads(comparison.read_text())
    del value["schema_version"], value["code"]
    for report in value["cells"][0]["reports"]:
        del report["recipes"]
    comparison.write_text(json.dumps(value))
    assert "recipes: not recorded; code: not recorded" in tables_of(comparison)[0].note


def test_a_measurement_is_laid_out_name_by_name(tmp_path):
    (tmp_path / "speed.json").write_text('{"a": {"seconds": [3, 1, 2]}, "machine": "x", "rows": [{"n": 1234.5}]}')
    (table,) = tables_of(tmp_path / "speed.json")
    assert table.rows == (("a, seconds", "2 (1 – 3, 3 times)"), ("machine", "x"), ("rows 1, n", "1,234"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cells": []}, r"toy.json has cells, and a wrong 'cells'; expected what `polyreel experiment` writes"),
        ({"schema_version": 2}, r"a wrong 'schema_version'"),
    ],
)
def test_another_form_is_refused(comparison, change, said):
    comparison.write_text(json.dumps({**json.loads(comparison.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        read_result(comparison)


def test_latex_is_escaped():
    table = Table(title="50 % & more_", header=("a", "b"), rows=(("x → y", "−1"),), note="#1")
    text = latex_table(table)
    assert r"50 \% \& more\_" in text and r"x $\to$ y & $-$1 \\" in text and r"\#1" in text


@pytest.mark.parametrize("form", ["md", "latex", "html", "text"])
def test_every_form_holds_every_figure(comparison, form, systems):
    page = result_page([comparison, comparison], form)
    assert page.count(f"{systems[0].row('de', 'R@10').value:.1f} [") == 1


def test_all_committed_results_can_be_read():
    files = sorted((ROOT / "results").glob("*.json"))
    assert files and any(isinstance(read_result(file), ComparisonResult) for file in files)


def test_the_page_in_the_docs_is_current():
    page = result_page(sorted((ROOT / "results").glob("*.json")))
    assert (ROOT / "docs" / "result-tables.md").read_text("utf-8") == page, "run `make docs`"
