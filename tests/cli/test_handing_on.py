"""Verbs that show why and hand on: browse, table, export, publish."""

import json

import pytest

from polyreel.cli import main

RECIPE = """
embed_dim = 16
[data]
dataset = "{dataset}"
features = "pixels"
langs = ["en", "de"]
[text]
backbone = "subword"
[video]
pooling = "mean"
[batches]
size = 8
[schedule]
steps = 4
"""


def call(*words):
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small world, a teacher, and a student it taught."""
    place = tmp_path_factory.mktemp("handing")
    recipe = place / "recipe.toml"
    recipe.write_text(RECIPE.format(dataset=place / "world"))
    call("world", place / "world", "--clips", 12, "--captions", 2, "--quiet")
    call("extract", place / "world", "--extractor", "pixels", "--quiet")
    call("train", recipe, "-o", place / "teacher", "--quiet")
    taught = ["--set", "objective.distillation_weight=0.9", "--set", f'teachers.runs=["{place / "teacher"}"]']
    call("train", recipe, "-o", place / "student", *taught, "--quiet")
    call("evaluate", place / "student", place / "world", "-o", place / "report", "--lang", "de", "--quiet")
    return place


def test_browse_holds_a_student_against_its_teacher(place, capsys):
    call(
        "browse", f"mine={place / 'student'}", place / "world:test", "-o", place / "why.html", "--lang", "de", "--quiet"
    )
    assert "queries, " in capsys.readouterr().out
    page = (place / "why.html").read_text("utf-8")
    assert (
        "mine&#x27;s teacher reads the English sentence" in page or "mine's teacher reads the English sentence" in page
    )
    assert page.count('"/9j/') >= 1, "pictures of the clips are in the page"
    call("browse", place / "student", place / "world", "-o", place / "bare.html", "--without-material", "--quiet")
    assert '"/9j/' not in (place / "bare.html").read_text("utf-8")


def test_runs_of_one_name_are_refused(place, capsys):
    assert main(["browse", str(place / "student"), str(place / "student"), str(place / "world")]) == 2
    assert "two runs are called 'student'; name them apart, as in a=" in capsys.readouterr().err


def test_table_prints_and_writes(tmp_path, capsys):
    (tmp_path / "speed.json").write_text('{"seconds": 2.5}')
    call("table", tmp_path / "speed.json", "--format", "latex", "-o", tmp_path / "speed.tex")
    assert r"seconds & 2.5 \\" in (tmp_path / "speed.tex").read_text()
    call("table", tmp_path / "speed.json")
    assert "speed, measured" in capsys.readouterr().out


def test_publish_shows_what_it_would_upload(place, capsys):
    call("publish", place / "student", "me/it", "--report", place / "report", "--only-to", place / "upload")
    card = (place / "upload" / "README.md").read_text("utf-8")
    assert "| German (de) |" in card and "model-index" in card
    assert main(["publish", str(place / "teacher"), "me/it", "--report", str(place / "report")]) == 2
    assert "evaluate this model, and give its own report" in capsys.readouterr().err


def test_export_asks_what_to(place, capsys):
    assert main(["export", str(place / "student")]) == 2
    assert "say what to export to: --onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_an_export_is_searched_and_measured_like_its_origin(place, capsys):
    pytest.importorskip("onnxscript", reason="needs the extra export")
    call("export", place / "student", "--onnx", "-o", place / "served")
    call("evaluate", place / "served", place / "world", "--lang", "de", "--json", "--quiet")
    found = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    kept = json.loads((place / "report" / "report.json").read_text())
    assert [row["value"] for row in found["figures"]] == [row["value"] for row in kept["figures"]]
    call("index", place / "world" / "videos", "--model", place / "served", "-o", place / "index", "--quiet")
    call("search", place / "index", "ein roter Kreis", "-k", 1)
