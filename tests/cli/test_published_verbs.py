"""The verbs for public data, on files of one clip or two."""

import json

import numpy as np
import pytest

from polyreel import Dataset
from polyreel.cli import main

QUIET = "--quiet"
VATEX = [{"videoID": "ab_000010_000020", "enCap": ["a dog"] * 10, "chCap": ["一只狗"] * 10}]
YOUCOOK2 = {
    "database": {"V": {"subset": "training", "annotations": [{"id": 0, "segment": [1, 2], "sentence": "stir"}]}}
}
VIDEOS = [{"video_id": f"video{number}", "url": "https://youtu.be/watch?v=a", "start time": number, "end time": 9,
           "split": split} for number, split in enumerate(["train", "test"])]  # fmt: skip
SENTENCES = [{"video_id": f"video{number}", "sen_id": number, "caption": "a dog"} for number in range(2)]
ITALIAN = [{**SENTENCES[0], "caption": "un cane"}]


def call(*words):
    assert main([str(word) for word in words]) == 0


def test_import_msrvtt(tmp_path, capsys):
    (tmp_path / "MSRVTT_data.json").write_text(json.dumps({"videos": VIDEOS, "sentences": SENTENCES}))
    (tmp_path / "it.json").write_text(json.dumps({"sentences": ITALIAN}))
    (tmp_path / "list.csv").write_text("video_id\nvideo0\n")
    np.save(tmp_path / "f.npy", np.ones((2, 3), np.float32))
    (tmp_path / "ids.txt").write_text("video1\nvideo0\n")
    output = tmp_path / "out"
    features = f"s3d={tmp_path / 'f.npy'}:{tmp_path / 'ids.txt'}"
    call("import", "msrvtt", tmp_path, "-o", output, "--features", features, QUIET)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("warning: 1 source video(s) have clips in more than one split")
    assert shown[1:] == [f"{output}: 2 clips, 2 captions"]
    lists = ["--train-list", tmp_path / "list.csv", "--translation", f"it={tmp_path / 'it.json'}", "--replace"]
    call("import", "msrvtt", tmp_path, "-o", output, "--features", features, *lists, QUIET)
    assert capsys.readouterr().out == f"{output}: 1 clips, 2 captions\n"
    assert Dataset.open(output).features("s3d").clip_ids == ["video0"]


@pytest.mark.parametrize(
    ("verb", "name", "document", "counts"),
    [
        ("vatex", "vatex_training_v1.0.json", VATEX, "1 clips, 20 captions"),
        ("youcook2", "youcookii_annotations_trainval.json", YOUCOOK2, "1 clips, 1 captions"),
    ],
)
def test_import_vatex_and_youcook2(tmp_path, capsys, verb, name, document, counts):
    (tmp_path / name).write_text(json.dumps(document))
    call("import", verb, tmp_path, "-o", tmp_path / "out", QUIET)
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: {counts}\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--translation", "de"], "'de' is not of the form LANG=FILE"),
        (["--features", "s3d="], "'s3d=' is not of the form NAME=FILE[:IDS]"),
        (["--features", "s3d=a", "--features", "s3d=b"], "'s3d' is said twice: a, b; say it once"),
    ],
)
def test_flags_of_a_wrong_form_are_refused(tmp_path, capsys, flags, message):
    assert main(["import", "msrvtt", str(tmp_path), "-o", str(tmp_path / "out"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_fetch_says_what_is_known(capsys):
    assert main(["fetch", "c3kd"]) == 2
    assert capsys.readouterr().err == ("polyreel: nothing is known to fetch under the name 'c3kd'; known are c2kd\n")


def test_fetch_goes_on_from_what_is_unpacked(tmp_path, capsys):
    for name in ("data", "weights"):
        (tmp_path / name).mkdir()
    call("fetch", "c2kd", "-o", tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: data, weights\n"
