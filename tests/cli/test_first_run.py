"""The first time somebody indexes a folder: what is said, what is refused, and the journey from videos to the page."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from PIL import ImageColor

from polyreel.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import dual_folders


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    """A tiny SigLIP 2, and a folder with two little videos."""
    place = tmp_path_factory.mktemp("first")
    dual_folders.siglip2(place / "siglip2")
    for name, colours in (("red.mp4", ["red"]), ("more/both.mp4", ["green", "blue"])):
        frames = [np.full((32, 48, 3), ImageColor.getrgb(colour), np.uint8) for colour in colours]
        times = [4.0 * i + step for i in range(len(frames)) for step in (0, 3.96)]
        write_video(place / "videos" / name, np.repeat(frames, 2, axis=0), times)
    return place


def call(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_first_run_says_device_length_and_time_and_the_second_is_silent(place, tmp_path, capsys):
    index = tmp_path / "index"
    assert call("index", place / "videos", "--model", place / "siglip2", "-o", index) == 0
    shown = capsys.readouterr()
    assert "3 clips; videos indexed 2, removed 0, unchanged 0" in shown.out
    assert "device " in shown.err and "2 videos, about 12 seconds of film: about " in shown.err
    assert "judged by 2 of them" in shown.err
    assert call("index", place / "videos", "-o", index) == 0
    shown = capsys.readouterr()
    assert "unchanged 2" in shown.out and "of film" not in shown.err
    assert call("search", index, "a dog runs", "-k", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.split()[2] in ("strong", "fair", "weak") for line in lines)
    assert call("search", index, "a dog runs", "-k", 3, "--json") == 0
    hits = json.loads(capsys.readouterr().out)
    assert all(0 <= hit["strength"] <= 1 and hit["band"] in ("strong", "fair", "weak") for hit in hits)


@pytest.mark.parametrize("name", ["me/model", None])
def test_without_network_one_line_names_the_way_out(place, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    model = [] if name is None else ["--model", name]
    assert call("index", place / "videos", "-o", tmp_path / "index", "--quiet", *model) == 2
    error = capsys.readouterr().err
    assert f"{name or 'google/siglip2-base-patch16-224'} is not on this machine, and the hub cannot be asked" in error
    assert "name a model's folder (--model FOLDER), such as one that `polyreel export --onnx` made" in error
    assert error.count("\n") == 1 and not (tmp_path / "index").exists()


def test_a_folder_without_videos_downloads_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "videos").mkdir()
    assert call("index", tmp_path / "videos") == 2
    assert "hub" not in capsys.readouterr().err


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder
HIDDEN = ("torch", "transformers")
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in HIDDEN else found(name, package)
from polyreel.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("model", [None, "siglip2"])
def test_without_torch_one_line_names_the_extra_and_the_exported_pair(place, tmp_path, model):
    named = [] if model is None else ["--model", str(place / model)]
    words = [sys.executable, "-c", WITHOUT_TORCH, "index", str(place / "videos"), "-o", str(tmp_path / "index"), "-q"]
    ran = subprocess.run([*words, *named], capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1
    assert "needs the extra 'train'; install it with: pip install 'polyreel[train]'" in ran.stderr
    assert "`polyreel export --onnx --int8`" in ran.stderr and "--model FOLDER" in ran.stderr


def test_doctor_explains_and_changes_nothing(place, tmp_path, capsys):
    assert call("doctor", "--cache", tmp_path / "cache") == 0
    shown = capsys.readouterr().out
    assert "ok  decoder" in shown and "device auto" in shown
    assert f"google/siglip2-base-patch16-224 is not in {tmp_path / 'cache'}" in shown
    assert call("doctor", "--cache", tmp_path / "cache", "--json") == 0
    findings = {one["subject"]: one for one in json.loads(capsys.readouterr().out)}
    assert {"versions", "libraries", "processor", "device auto", "decoder", "extra train", "default model"} <= {
        *findings
    }
    assert findings["decoder"]["is_fine"] and not findings["default model"]["is_fine"]
    assert findings["default model"]["advice"].startswith("the first `polyreel index` downloads it")
    assert not (tmp_path / "cache").exists()


def journey(model: Path, videos: Path, index: Path, query: str) -> dict:
    """Index, search and serve as a user does, and return what the server answers."""
    start = [sys.executable, "-m", "polyreel.cli"]
    subprocess.run([*start, "index", str(videos), "--model", str(model), "-o", str(index), "-q"], check=True)
    found = subprocess.run(
        [*start, "search", str(index), query, "--json"], check=True, capture_output=True, text=True
    ).stdout
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*start, "serve", str(index), "--port", str(port), "-q"], stdout=subprocess.DEVNULL)
    try:
        answer = _asked(f"http://127.0.0.1:{port}/moments?k=5&q={query.replace(' ', '+')}")
    finally:
        server.terminate()
        server.wait()
    assert answer["moments"][0]["peak"]["score"] == pytest.approx(json.loads(found)[0]["score"], abs=1e-5)
    return answer


def _asked(address: str) -> dict:
    end = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            assert time.monotonic() < end, "the server never answered"
            time.sleep(0.5)


@pytest.mark.slow
def test_the_journey_from_videos_to_the_page_with_nothing_trained(place, tmp_path):
    answer = journey(place / "siglip2", place / "videos", tmp_path / "index", "a dog runs")
    assert {moment["video"] for moment in answer["moments"]} == {"red.mp4", "more/both.mp4"}
    assert all(moment["peak"]["band"] in ("strong", "fair", "weak") for moment in answer["moments"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "video"), [("a plain red picture", "red.mp4"), ("etwas ganz Grünes", "more/both.mp4")]
)
def test_the_journey_with_real_weights_of_siglip_2(place, tmp_path, query, video):
    folder = os.environ.get("POLYREEL_SIGLIP2")
    if not folder:
        pytest.skip("needs a folder with google/siglip2-base-patch16-224, named by POLYREEL_SIGLIP2")
    answer = journey(Path(folder), place / "videos", tmp_path / "index", query)
    assert answer["moments"][0]["video"] == video
