"""Every verb once, on real files, in the order in which a person types them."""

import json
from pathlib import Path

import pytest

from polyreel.cli import main

RECIPE = """
embed_dim = 16
[data]
dataset = "{dataset}"
features = "pixels"
langs = ["en"]
[text]
backbone = "subword"
[video]
pooling = "mean"
[batches]
size = 8
[schedule]
steps = 4
"""
EXPERIMENT = """
title = "A little experiment"
seeds = [1, 2]
axes.width = {{ narrow = {{ embed_dim = 8 }}, wide = {{ embed_dim = 12 }} }}
[systems]
teacher = {{ recipe = "{recipe}", seeds = [3], is_reported = false }}
zero-shot = {{ recipe = "{recipe}" }}
[systems.c2kd]
recipe = "{recipe}"
teachers = "teacher"
set = {{ data.langs = ["en", "de"], objective.distillation_weight = 0.9 }}
"""
QUIET = "--quiet"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small world, its features, a teacher and a student who asked it."""
    place = tmp_path_factory.mktemp("verbs")
    world, recipe, teacher = place / "world", place / "recipe.toml", place / "teacher"
    recipe.write_text(RECIPE.format(dataset=world))
    call("world", world, "--clips", 12, "--captions", 2, "--translations", 1, QUIET)
    call("extract", world, "--extractor", "pixels", QUIET)
    call("train", recipe, "-o", teacher, QUIET)
    student = ["--set", 'data.langs=["en", "de"]', "--set", "objective.distillation_weight=0.9"]
    call("train", recipe, "-o", place / "student", *student, "--set", f'teachers.runs=["{teacher}"]', QUIET)
    call("evaluate", teacher, world, "-o", place / "reports" / "teacher", QUIET)
    call("evaluate", place / "student", world, "-o", place / "reports" / "student", QUIET)
    call("index", world / "videos", "--model", place / "student", "-o", place / "index", QUIET)
    return place


def call(*words):
    assert main([str(word) for word in words]) == 0


def test_world_thins_out_translations_in_training_alone(place, capsys):
    call("describe", place / "world", "--json")
    described = json.loads(capsys.readouterr().out)
    counts = {row["lang"]: row["captions"] for row in described["languages"]}
    assert counts["en"] == 12 * 2
    assert counts["de"] == 8 * 1 + 4 * 2


def test_describe_is_for_people_too(place, capsys):
    call("describe", place / "world")
    assert "German" in capsys.readouterr().out


def test_import_tables(tmp_path, capsys):
    (tmp_path / "clips.csv").write_text("clip_id,split\na,train\nb,test\n")
    (tmp_path / "captions.csv").write_text("clip_id,lang,text\na,en,a dog\nb,en,a cat\n")
    (tmp_path / "import.toml").write_text('[[clips]]\nfile = "clips.csv"\n[[captions]]\nfile = "captions.csv"\n')
    call("import", "tables", tmp_path, "-o", tmp_path / "dataset")
    assert "2 clips, 2 captions" in capsys.readouterr().out
    assert main(["import", "tables", str(tmp_path), "-o", str(tmp_path / "dataset")]) == 2
    assert "or say --replace to delete it" in capsys.readouterr().err
    call("import", "tables", tmp_path, "-o", tmp_path / "dataset", "--replace")


def test_train_prints_the_whole_recipe_and_trains_nothing(place, capsys):
    call("train", place / "recipe.toml", "--print", "--set", "seed=7")
    printed = capsys.readouterr().out
    assert "seed = 7" in printed
    assert "distillation_temperature" in printed


def test_a_finished_run_is_left_alone(place, capsys):
    before = (place / "teacher" / "run.json").read_bytes()
    call("train", place / "recipe.toml", "-o", place / "teacher")
    assert "is finished" in capsys.readouterr().err
    assert (place / "teacher" / "run.json").read_bytes() == before


def test_profile_shows_the_parts_of_a_step_to_people_and_programs(place, capsys):
    call("profile", place / "recipe.toml", "--steps", 1, QUIET)
    shown = capsys.readouterr().out
    assert "captions a second" in shown and "the larger bound" in shown and "optimizer" in shown
    call("profile", place / "recipe.toml", "--steps", 1, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["num_captions"] == 8 and found["bound"] in found["floor_seconds"]


def test_bank_finds_what_training_banked(place, capsys):
    banked = sorted((place / "teacher" / "bank").iterdir())
    call("bank", place / "teacher", place / "world")
    assert "banked 16 sentences and 8 clips of 'train'" in capsys.readouterr().out
    assert sorted((place / "teacher" / "bank").iterdir()) == banked


def test_evaluate_prints_a_table_for_each_direction(place, capsys):
    call("evaluate", place / "student", f"{place / 'world'}:val", "--lang", "de", "--name", "ours")
    shown = capsys.readouterr()
    assert "ours: text → video, world val, 2 clips" in shown.out
    assert "ours: video → text" in shown.out
    assert "German" in shown.out and "Czech" not in shown.out
    assert "ranked" in shown.err


def test_evaluate_counts_absent_clips_as_missed(place, capsys):
    call("evaluate", place / "student", f"{place / 'world'}:val", "--out-of", 4, QUIET)
    assert "world val, 2 of 4 clips" in capsys.readouterr().out


def test_evaluate_prints_json(place, capsys):
    call("evaluate", place / "student", place / "world", "--json", QUIET)
    assert json.loads(capsys.readouterr().out)["name"] == "student"


def test_compare_prints_differences_and_writes_a_page(place, capsys):
    reports, page = place / "reports", place / "report.html"
    call("compare", reports / "teacher", reports / "student", "--html", page)
    assert "student less teacher" in capsys.readouterr().out
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_query_bank_is_kept_beside_the_model_and_used(place, capsys):
    call("query-bank", place / "student", place / "world", QUIET)
    assert "student/model: bank of " in capsys.readouterr().out
    call("evaluate", place / "student", f"{place / 'world'}:val", "--hubness", "bank", QUIET)
    assert "student scored by query bank, temperature " in capsys.readouterr().out
    (place / "student" / "model" / "query_bank.safetensors").unlink()
    assert main(["evaluate", str(place / "student"), str(place / "world"), "--hubness", "bank"]) == 2
    assert "make it with `polyreel query-bank RUN DATASET`" in capsys.readouterr().err


def test_a_protocol_is_asked_by_name(place, capsys):
    call("evaluate", place / "student", f"{place / 'world'}:val", "--protocol", "text-to-text", QUIET)
    assert "R@1, text → text, world val, 2 clips, text-to-text" in capsys.readouterr().out
    assert main(["evaluate", str(place / "student"), str(place / "world"), "--protocol", "msrvtt-full"]) == 2
    assert "does not fit MSR-VTT full" in capsys.readouterr().err


def test_trec_writes_files_and_names_them(place, capsys):
    call("trec", place / "reports" / "student", "-o", place / "trec")
    written = capsys.readouterr().out.split()
    assert f"{place / 'trec' / 'en-t2v.qrels'}" in written and all(Path(name).is_file() for name in written)


def test_compare_says_what_holds(place, capsys):
    call("compare", place / "reports" / "teacher", place / "reports" / "student")
    assert "What holds: R@10, text → video, " in capsys.readouterr().out


def test_compare_refuses_a_baseline_that_is_not_there(place, capsys):
    reports = [str(place / "reports" / name) for name in ("teacher", "student")]
    assert main(["compare", *reports, "--baseline", "zero"]) == 2
    assert "no report is called 'zero'" in capsys.readouterr().err


def test_experiment_prints_a_table_and_writes_a_page_for_each_cell(place, capsys):
    file, runs = place / "experiment.toml", place / "runs"
    file.write_text(EXPERIMENT.format(recipe=place / "recipe.toml"))
    call("experiment", file, "-o", runs, QUIET)
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("width ")] == ["width narrow", "width wide"]
    assert "zero-shot" in shown and "c2kd" in shown
    assert "c2kd less zero-shot" in (runs / "table.md").read_text("utf-8")
    for page in (runs / "report-width-narrow.html", runs / "report-width-wide.html"):
        assert f"plots: {page}" in shown
        assert "data:image/jpeg;base64," in page.read_text("utf-8")


def test_index_again_changes_nothing_and_needs_no_model(place, capsys):
    call("index", place / "world" / "videos", "-o", place / "index", QUIET)
    assert "12 clips; videos indexed 0, removed 0, unchanged 12" in capsys.readouterr().out


def test_index_wants_a_model_for_an_extractor(place, capsys):
    assert main(["index", str(place / "world" / "videos"), "-o", str(place / "index"), "--extractor", "pixels"]) == 2
    assert "--extractor: say with which --model it goes" in capsys.readouterr().err


def test_search_prints_hits_for_people_and_programs(place, capsys):
    call("search", place / "index", "ein roter Kreis", "-k", 3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "0:00 – 0:02" in lines[0] and ".mp4" in lines[0]
    call("search", place / "index", "ein roter Kreis", "-k", 3, "--json")
    hits = json.loads(capsys.readouterr().out)
    assert [hit["video"] in line for hit, line in zip(hits, lines, strict=True)] == [True] * 3
