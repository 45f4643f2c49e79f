"""YouCook2 in the publisher's layout, five made-up steps."""

import json

import pytest

from polyreel.data.importers.youcook2 import ANNOTATIONS, import_youcook2
from polyreel.errors import DataError


def video(subset, *steps):
    annotations = [
        {"segment": list(segment), "id": number, "sentence": sentence}
        for number, (segment, sentence) in enumerate(steps)
    ]
    return {"duration": 300.5, "subset": subset, "recipe_type": "113", "annotations": annotations,
            "video_url": "https://www.youtube.com/watch?v=x"}  # fmt: skip


DATABASE = {
    "Ab-3_x": video("training", ((10, 20), "chop the onion "), ((21, 40.5), "fry the onion")),
    "Cd4": video("training", ((5, 9), "boil water")),
    "Ef5": video("validation", ((90, 102), "spread butter on bread"), ((103, 110), "fold the bread")),
}


def imported(write, tmp_path, document):
    return import_youcook2(write({ANNOTATIONS: json.dumps(document)}), tmp_path / "youcook2")


def test_a_step_is_a_clip_and_validation_is_the_test(write, tmp_path):
    dataset = imported(write, tmp_path, {"database": DATABASE})
    clips = [(one.clip_id, one.video, one.start_seconds, one.end_seconds, one.split) for one in dataset.iter_clips()]
    assert clips == [
        ("Ab-3_x_0", "Ab-3_x", 10, 20, "train"),
        ("Ab-3_x_1", "Ab-3_x", 21, 40.5, "train"),
        ("Cd4_0", "Cd4", 5, 9, "train"),
        ("Ef5_0", "Ef5", 90, 102, "test"),
        ("Ef5_1", "Ef5", 103, 110, "test"),
    ]
    assert next(dataset.iter_captions()).text == "chop the onion"
    assert dataset.langs == ("en",)
    assert dataset.recorded_warnings == ()


def with_step(**fields):
    step = {"segment": [1, 2], "id": 0, "sentence": "stir"} | fields
    return {"database": {"V": video("training") | {"annotations": [step]}}}


FAULTS = {
    "no database": ({"version": 1}, f"{ANNOTATIONS} has no field 'database'; it has 'version'"),
    "database": ({"database": []}, f"{ANNOTATIONS}, database holds a list; expected a JSON object"),
    "subset": ({"database": {"V": video("testing")}}, "video 'V' has the subset 'testing'; expected training or valid"),
    "no annotations": (
        {"database": {"V": {"subset": "training"}}},
        f"{ANNOTATIONS}, video 'V' has no field 'annotations'; it has 'subset'",
    ),
    "segment": (
        with_step(segment=[1]),
        r"video 'V', annotations\[0\] has segment \[1\]; expected \[start, end\] in sec",
    ),
    "time": (with_step(segment=[1, "2"]), r"annotations\[0\] has segment\[1\] '2'; expected a number"),
    "span": (with_step(segment=[5, 2]), r"video 'V', annotations\[0\] runs from 5.0 to 2.0; times are seconds"),
    "sentence": (with_step(sentence=None), r"annotations\[0\] has sentence None; expected text"),
    "truth": (with_step(id=True), r"annotations\[0\] has id True; expected a number"),
}


@pytest.mark.parametrize(("document", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_name_their_place(write, tmp_path, document, message):
    with pytest.raises(DataError, match=message):
        imported(write, tmp_path, document)
