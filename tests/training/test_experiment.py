"""Experiments: what is planned, shared, resumed and reported."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyreel.errors import ItemsFailedError, RecipeError
from polyreel.training.experiment import run_experiment
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.planning import plan_experiment

FILE = """
title = "Toy"
seeds = [1, 2]
baseline = "plain"

[set.schedule]
steps = 10

[axes.captions]
few = { data = { captions_per_clip = { it = 1 } } }
all = {}

[systems.teacher]
recipe = "RECIPE"
set = { data = { langs = ["en"] } }
seeds = [7, 8]
is_reported = false

[systems.english]
recipe = "RECIPE"
set = { data = { langs = ["en"] } }

[systems.plain]
recipe = "RECIPE"
at.captions.few = { optimizer = { learning_rate = 0.02 } }

[systems.taught]
recipe = "RECIPE"
teachers = "teacher"
set = { objective = { distillation_weight = 1.0 } }
only = { captions = ["few"] }
"""

SMALL = """
title = "Toy"
seeds = [1]

[set.schedule]
steps = 10

[systems.teacher]
recipe = "RECIPE"
set = { data = { langs = ["en"] } }
seeds = [7, 8]
is_reported = false

[systems.plain]
recipe = "RECIPE"

[systems.taught]
recipe = "RECIPE"
teachers = "teacher"
set = { objective = { distillation_weight = 1.0 } }
"""
WILD = "optimizer = { learning_rate = 1e30 }"


@pytest.fixture
def file(tmp_path, recipe):
    (tmp_path / "recipe.toml").write_text(recipe().to_toml())

    def write(text=FILE):
        path = tmp_path / "experiment.toml"
        path.write_text(text.replace("RECIPE", str(tmp_path / "recipe.toml")))
        return path

    return write


def test_the_plan_shares_what_an_axis_does_not_touch(file, tmp_path):
    plan = plan_experiment(load_experiment(file()), tmp_path)
    few, every = (("captions", "few"),), (("captions", "all"),)
    assert plan.places[few, "english"] == plan.places[every, "english"]
    assert plan.places[few, "plain"] != plan.places[every, "plain"]
    assert (every, "taught") not in plan.places
    assert len(plan.runs) == 2 + 2 + 4 + 2
    taught = plan.runs[plan.places[few, "taught"][0]]
    teachers = [str(plan.runs[one].folder) for one in plan.places[few, "teacher"]]
    assert list(taught.recipe.teachers.runs) == teachers
    assert (taught.depth, taught.recipe.seed) == (1, 1)
    assert plan.runs[plan.places[few, "plain"][0]].recipe.optimizer.learning_rate == 0.02
    assert plan.runs[plan.places[every, "plain"][0]].recipe.optimizer.learning_rate == 0.01


def test_several_systems_may_teach_one(file, tmp_path):
    text = FILE.replace('teachers = "teacher"', 'teachers = ["teacher", "english"]')
    plan = plan_experiment(load_experiment(file(text)), tmp_path)
    few = (("captions", "few"),)
    teachers = [plan.runs[one] for system in ("teacher", "english") for one in plan.places[few, system]]
    taught = plan.runs[plan.places[few, "taught"][0]]
    assert taught.recipe.teachers.runs == tuple(str(teacher.folder) for teacher in teachers)
    assert [teacher.recipe.seed for teacher in teachers] == [7, 8, 1, 2]
    deeper = text.replace("[systems.english]", '[systems.english]\nteachers = "teacher"').replace(
        'set = { data = { langs = ["en"] } }\n\n[systems.plain]',
        "set = { objective = { distillation_weight = 1.0 } }\n\n[systems.plain]",
    )
    plan = plan_experiment(load_experiment(file(deeper)), tmp_path)
    assert [plan.runs[plan.places[few, system][0]].depth for system in ("teacher", "english", "taught")] == [0, 1, 2]


def test_one_value_of_an_axis_can_be_asked_for_alone(file, tmp_path):
    every = load_experiment(file())
    plan = plan_experiment(every.only_at("all"), tmp_path)
    assert {cell for cell, _ in plan.places} == {(("captions", "all"),)}
    assert set(plan.runs) < set(plan_experiment(every, tmp_path).runs)
    with pytest.raises(RecipeError, match="'some' is no value of an axis of 'Toy'; there are few, all"):
        every.only_at("some")


def test_an_experiment_runs_resumes_and_leaves_tables_and_pages(file, tmp_path):
    output, said = tmp_path / "out", []
    result = run_experiment(file(), output, progress=lambda done, total, doing: said.append((done, total, doing)))
    assert said[-1][:2] == (10, 10)
    few = result.cells[0]
    assert [report.name for report in few.reports] == ["english", "plain", "taught"]
    assert few.reports[0].seeds == (1, 2)
    assert few.comparison.pairs() == [("english", "plain"), ("taught", "plain")]
    pages = result.save()
    assert [page.name for page in pages] == ["report-captions-few.html", "report-captions-all.html"]
    assert all("<svg" in page.read_text() for page in pages)
    table = (output / "table.md").read_text()
    assert "## captions few" in table and "taught less plain" in table
    cells = json.loads((output / "results.json").read_text())["cells"]
    assert [len(cell["reports"]) for cell in cells] == [3, 2]
    models = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/model/model.safetensors")}
    assert len(models) == 10
    again = run_experiment(file(), output)
    assert models == {path: path.stat().st_mtime_ns for path in output.glob("runs/*/model/model.safetensors")}
    assert again.to_json() == result.to_json()


def test_two_jobs_give_the_same_result_as_one_whenever_workers_are_replaced(file, tmp_path, monkeypatch):
    monkeypatch.setattr("polyreel.training.experiment.RUNS_A_WORKER", 1)
    one = run_experiment(file(SMALL), tmp_path / "one")
    two = run_experiment(file(SMALL), tmp_path / "two", jobs=2)
    for first, second in zip(one.cells, two.cells, strict=True):
        for report, other in zip(first.reports, second.reports, strict=True):
            assert [row.value for row in report.rows()] == [row.value for row in other.rows()]


def test_a_run_that_fails_stops_nobody_but_its_pupils_and_is_named_beside_them(file, tmp_path):
    text = SMALL.replace('langs = ["en"] } }', f'langs = ["en"] }}, {WILD} }}')
    with pytest.raises(ItemsFailedError, match=r"experiment 'Toy': 3 failed, the rest is done\n") as caught:
        run_experiment(file(text), tmp_path / "out")
    failed = {name.rpartition("-")[0]: reason for name, reason in caught.value.failures.items()}
    assert set(failed) == {"teacher", "taught"}
    assert "the loss is" in failed["teacher"] and "teacher" in failed["taught"]
    assert len(list((tmp_path / "out").glob("runs/plain-*/report-test"))) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('baseline = "plain"', 'baseline = "plane"', "baseline names 'plane'; the systems are teacher, english"),
        ('teachers = "teacher"', 'teachers = "master"', "teachers names 'master'"),
        ('teachers = "teacher"', 'teachers = ["teacher", "master"]', "teachers names 'master'"),
        ('only = { captions = ["few"] }', 'only = { captions = ["one"] }', "'taught' names captions = 'one'"),
        ("is_reported", "reported", "unknown key 'systems.teacher.reported'"),
        ('title = "Toy"', "", "the key 'title' is missing"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(file, old, new, message):
    with pytest.raises(RecipeError) as caught:
        load_experiment(file(FILE.replace(old, new)))
    assert message in str(caught.value)


def test_a_system_cannot_teach_itself(file, tmp_path):
    text = FILE.replace("[systems.teacher]", '[systems.teacher]\nteachers = "taught"')
    with pytest.raises(RecipeError, match=r"'t.*' is its own teacher"):
        plan_experiment(load_experiment(file(text)), tmp_path)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_workers_end_when_the_experiment_is_killed(file, tmp_path):
    text = SMALL.replace("steps = 10", "steps = 100000")
    program = (
        "from polyreel.training.experiment import run_experiment\n"
        f"if __name__ == '__main__': run_experiment({str(file(text))!r}, {str(tmp_path / 'out')!r}, jobs=2)"
    )
    (tmp_path / "program.py").write_text(program)
    experiment = subprocess.Popen([sys.executable, tmp_path / "program.py"])
    wait_until(lambda: len(list((tmp_path / "out").glob("runs/*/metrics.jsonl"))) == 2)
    workers = workers_of(experiment.pid)
    assert len(workers) >= 2
    experiment.kill()
    experiment.wait()
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def wait_until(is_so, seconds=600):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers_of(parent):
    return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
