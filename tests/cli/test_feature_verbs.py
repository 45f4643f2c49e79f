"""Verbs about features, on small real files."""

import json
from pathlib import Path

import numpy as np
import pytest

from polyreel import FeatureStore
from polyreel.cli import main


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_video) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    frames = np.broadcast_to(np.arange(60, 70, dtype=np.uint8)[:, None, None, None], (10, 48, 64, 3))
    write_video(folder / "a.mp4", frames, np.arange(10) / 10)
    (folder / "bad.mp4").write_text("no video")
    return folder


def test_extract_says_what_it_would_do_does_it_and_lists_failures(videos, tmp_path, capsys):
    call = [
        "extract",
        str(videos),
        "--extractor",
        "pixels",
        "-o",
        str(tmp_path / "store"),
        "--float16",
        "--workers",
        "1",
    ]
    assert main([*call, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "            new  a.mp4", "            new  bad.mp4", "2 files: 2 new; 2 to extract, 0.00 GB",
    ]  # fmt: skip
    assert main(call) == 1
    errors = capsys.readouterr().err
    assert "extracting pixels features: 1 failed, the rest is done" in errors and "bad.mp4 cannot be decoded" in errors
    assert "2/2 files, 0.00 h of video" in errors and "Traceback" not in errors
    assert main([*call, "--dry-run"]) == 0
    assert "2 files: 1 new, 1 unchanged; 1 to extract" in capsys.readouterr().out


def test_stores_are_merged_described_and_verified(videos, tmp_path, capsys):
    store, merged = tmp_path / "store", tmp_path / "merged"
    main(["extract", str(videos), "--extractor", "pixels", "-o", str(store), "-q"])
    capsys.readouterr()
    assert main(["features", "merge", str(store), "-o", str(merged), "-q"]) == 0
    assert capsys.readouterr().out == f"{merged}: features of 1 clips, width 678\n"
    assert main(["features", "describe", str(merged), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["num_clips"], described["num_rows"], described["number_types"]) == (1, 8, {"float32": 1})
    assert main(["features", "verify", str(merged), "-q"]) == 0
    shard = merged / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-4] + b"\1\1\1\1")
    assert main(["features", "verify", str(merged), "-q"]) == 1
    assert "a.mp4: its rows in shard-00000.npy were altered; extract this clip again" in capsys.readouterr().err


def test_frames_are_chosen_by_name(videos, tmp_path, capsys):
    call = ["extract", str(videos), "--extractor", "pixels", "-o", str(tmp_path / "store"), "-q"]
    assert main([*call, "--frames", "uniform:3"]) == 1  # one file is bad
    assert FeatureStore.open(tmp_path / "store")["a.mp4"].shape == (3, 678)
    capsys.readouterr()
    assert main([*call, "--frames", "often"]) == 2
    assert "frames 'often' are none that can be chosen; expected every:SECONDS" in capsys.readouterr().err
    assert main([*call, "--frames", "key"]) == 2
    assert "frames 'all' instead of 'key'" in capsys.readouterr().err
