"""The mean of the last epochs' weights: against the plain sum, kept where it is better, and over a stop."""

import json

import pytest
import torch

from polyreel.models.retriever import Retriever
from polyreel.storage import read_json
from polyreel.training.averaging import WeightAverage
from polyreel.training.loop import train

AVERAGED = {"steps": 20, "learning_rate": "constant", "validate_every_steps": 5, "average_epochs": 2}


def tensors(run):
    return Retriever.load(run / "model").state_dict()


def test_the_mean_is_that_of_all_that_was_added():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 3, generator=generator)
    average = WeightAverage()
    for number, row in enumerate(rows):
        average.add({"row": row, "count": torch.tensor(number)})
    torch.testing.assert_close(average.weights["row"], rows.mean(dim=0))
    assert average.count == 5 and int(average.weights["count"]) == 4
    again = WeightAverage()
    again.restore({**average.state(), "model/row": rows}, average.count)
    assert again.count == 5 and torch.equal(again.weights["row"], average.weights["row"])
    assert again.weights.keys() == average.weights.keys()


def test_the_last_weights_give_way_to_the_mean_of_the_last_epochs(recipe, tmp_path):
    last = {**AVERAGED, "keep": "last"}
    ends = [
        train(recipe(schedule={**last, "average_epochs": 0, "steps": steps}), tmp_path / f"{steps}")
        for steps in (15, 20)
    ]
    run = train(recipe(schedule=last), tmp_path / "run")
    before, after, found = tensors(ends[0]), tensors(ends[1]), tensors(run)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, torch.lerp(before[name], after[name], 0.5))
    assert read_json(run / "run.json")["num_averaged"] == 2


def test_the_mean_is_validated_and_kept_where_it_beats_the_best(recipe, tmp_path):
    run = train(recipe(schedule=AVERAGED), tmp_path / "run")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    recalls = [row["val"]["mean_recall_at_10"] for row in rows if "val" in row]
    of_mean = [row for row in rows if row.get("num_averaged") == 2]
    assert len(of_mean) == 1 and of_mean[0] is rows[-1]
    is_better = recalls[-1] > max(recalls[:-1])
    assert read_json(run / "run.json")["num_averaged"] == (2 if is_better else 0)


def test_a_stop_changes_nothing(recipe, tmp_path):
    def interrupt(done, total, doing):
        if total == 20 and done == 17:
            raise KeyboardInterrupt

    asked = recipe(schedule={**AVERAGED, "keep": "last"})
    whole = train(asked, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    train(asked, tmp_path / "cut", resume=True)
    ours, theirs = tensors(tmp_path / "cut"), tensors(whole)
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
