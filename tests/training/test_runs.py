"""A run folder belongs to one recipe and one set of inputs, says what has changed, and keeps an honest log."""

import json

import pytest

from polyreel.errors import FingerprintError, RecipeError
from polyreel.storage import read_json, write_json
from polyreel.training.runs import RunFolder, best_of

INPUTS = {"dataset_fingerprint": "d1", "features_fingerprint": "f1", "teacher_fingerprints": ["t1", "t2"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset_fingerprint": "d2"}, r"whose dataset fingerprint differs \(found d1, now d2\)"),
        ({"features_fingerprint": "f2"}, r"whose features fingerprint differs \(found f1, now f2\)"),
        ({"teacher_fingerprints": ["t2", "t1"]}, r"whose teacher fingerprints differs \(found \['t1', 't2'\], now"),
        ({"pairs_fingerprint": "p1"}, r"whose pairs fingerprint differs \(found None, now p1\); name another folder"),
    ],
)
@pytest.mark.parametrize("status", ["started", "interrupted", "finished"])
def test_other_data_than_the_run_began_with_is_refused_by_name(recipe, tmp_path, status, changed, message):
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe(), INPUTS, resume=False)
    folder.finish(recipe(), INPUTS, status=status, best_step=0, num_averaged=0, device="cpu")
    folder.start(recipe(), INPUTS, resume=True)
    with pytest.raises(FingerprintError, match=message):
        folder.start(recipe(), INPUTS | changed, resume=True)


def test_what_computes_otherwise_than_before_is_named(recipe, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe(), INPUTS, resume=False)
    assert folder.changed_versions() == []
    record = read_json(folder.path / "run.json")
    now = record["versions"]["torch"]
    write_json(folder.path / "run.json", {**record, "versions": {**record["versions"], "torch": "1.0"}})
    assert folder.changed_versions() == [f"torch (1.0, here {now})"]


def test_the_log_ends_with_the_step_a_run_goes_on_from(tmp_path):
    """Also where a killed process left half a line, or had validated the mean of the last epochs already."""
    folder = RunFolder(tmp_path)
    folder.keep_log_until(3)
    rows = [{"step": 1, "loss": 2.0}, {"step": 3, "val": {}}, {"step": 3, "val": {}, "num_averaged": 2}, {"step": 4}]
    folder.metrics.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"step": 2, "lo')
    folder.keep_log_until(3)
    assert [json.loads(line) for line in folder.metrics.read_text().splitlines()] == rows[:2]


def write_log(run, *recalls):
    run.mkdir()
    rows = [{"step": step, "val": {"mean_recall_at_10": recall}} for step, recall in enumerate(recalls, 1)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in [{"step": 1, "loss": 99.0}, *rows]))
    return str(run)


def test_the_best_run_is_the_one_whose_log_has_the_highest_validation_the_first_of_equals(tmp_path):
    logs = {"fell": (30.0, 10.0), "rose": (20.0, 40.0), "late": (40.0,), "bare": ()}
    fell, rose, late, bare = (write_log(tmp_path / name, *recalls) for name, recalls in logs.items())
    assert best_of([fell, rose, late]) == rose and best_of([late, rose]) == late and best_of([fell]) == fell
    for without in (bare, str(tmp_path / "nobody")):
        with pytest.raises(RecipeError, match=r'chosen is "best", but .*metrics\.jsonl has no validation; name runs'):
            best_of([fell, without])
