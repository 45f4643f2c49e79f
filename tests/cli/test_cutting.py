"""The verbs about moments, and following a folder, on real files."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from polyreel.cli import main
from polyreel.cli.cutting import bars

QUIET = "--quiet"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, write_video) -> Path:
    """A folder with an index of two videos, one of which is there twice, by a model that has learned nothing."""
    from polyreel import Retriever, SearchEncoder, update_library
    from polyreel.data.feature_settings import Sampling
    from polyreel.models.settings import TextSettings, VideoSettings
    from polyreel.search.library import open_library
    from polyreel.video.extract import feature_settings
    from polyreel.video.extractors.pixels import PixelExtractor

    place = tmp_path_factory.mktemp("moments")
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (6, 1, 1, 3), np.uint8) * np.ones((1, 32, 32, 1), np.uint8)
    for name, some in (("film.mp4", pictures[:3]), ("again.mkv", pictures[:3]), ("more/other.mp4", pictures[3:])):
        times = [4.0 * i + step for i in range(3) for step in (0, 3.96)]
        write_video(place / "videos" / name, np.repeat(some, 2, axis=0), times)
    (place / "videos" / "film.srt").write_text("1\n00:00:05,000 --> 00:00:06,000\nthere goes the train\n")
    features = feature_settings(PixelExtractor(), Sampling())
    settings = TextSettings(width=8, vocab_size=60), VideoSettings(pooling="mean"), features
    for name, dim in (("model", 8), ("other model", 12)):
        Retriever.build(*settings, embed_dim=dim, langs=["en"], training_texts=["a red video"]).save(place / name)
    encoder = SearchEncoder.open(place / "model")
    update_library(open_library(place / "index", place / "videos", encoder), place / "videos", encoder)
    return place


def call(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def test_search_in_one_video_draws_a_curve(place, capsys):
    call("search", place / "index", "a red video", "--in", "more/other.mp4")
    first, *rest = capsys.readouterr().out.splitlines()
    assert re.search(r"other\.mp4  0:00 [▁-█]{3} 0:12$", first)
    assert rest
    call("search", place / "index", "a red video", "--in", place / "videos" / "film.mp4", "--json")
    curve = json.loads(capsys.readouterr().out)
    assert [hit["start_seconds"] for hit in curve["curve"]] == [0, 4, 8]


def test_search_in_a_video_that_is_not_there_says_so(place, capsys):
    assert main(["search", str(place / "index"), "red", "--in", "gone.mp4"]) == 2
    assert "there is no video 'gone.mp4' in the index; name one by its path in" in capsys.readouterr().err


def test_search_says_what_is_said(place, capsys):
    call("search", place / "index", "there goes the train", "-k", 3)
    lines = capsys.readouterr().out.splitlines()
    assert sum("“there goes the train”" in line for line in lines) == 1
    call("search", place / "index", "there goes the train", "--by", "said", "--json")
    (hit,) = json.loads(capsys.readouterr().out)
    assert (hit["matched"], hit["said"], hit["start_seconds"]) == (["said"], ["there goes the train"], 5.0)


def test_search_finds_what_looks_like_a_file(place, capsys):
    call("search", place / "index", "--like", place / "videos" / "more" / "other.mp4", "-k", 1, "--json")
    (hit,) = json.loads(capsys.readouterr().out)
    assert hit["video"].endswith("other.mp4")
    assert (hit["strength"], hit["band"], hit["matched"]) == (None, None, ["seen"])
    call("search", place / "index", "a red video", "--like", place / "videos" / "more" / "other.mp4", "-k", 2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    call("search", place / "index", "--like", place / "videos" / "film.mp4", "--in", "film.mp4")
    assert re.search(r"film\.mp4  0:00 [▁-█]{3} 0:12", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say in words what to look for, or name a picture or a video with --like"),
        (["--like", "gone.jpg"], "gone.jpg does not exist or is no file"),
        (["train", "--like", "x.jpg", "--by", "said"], "a picture says nothing; leave out --by said"),
    ],
)
def test_search_says_what_it_lacks(place, capsys, words, said):
    assert main(["search", str(place / "index"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_bars_show_the_highest_of_each_stretch():
    assert bars([0.0, 0.5, 1.0]) == "▁▅█"
    assert bars([0.5]) == "▁"
    long = bars([0.0] * 100 + [1.0] + [0.0] * 300)
    assert len(long) == 80 and long.count("█") == 1


@pytest.mark.parametrize("output", ["cuts", "hits.csv", "hits.edl", "hits.otio"])
def test_cut_writes_files_and_lists(place, capsys, tmp_path, output):
    call("cut", place / "index", "a red video", "-k", 2, "-o", tmp_path / output, QUIET)
    assert capsys.readouterr().out == f"{tmp_path / output}: 2 moments\n"
    assert (tmp_path / output).exists()


def test_cut_refuses_other_kinds(place, capsys, tmp_path):
    assert main(["cut", str(place / "index"), "red", "-o", str(tmp_path / "hits.doc")]) == 2
    assert "ends in .doc; expected one of .csv, .edl, .otio" in capsys.readouterr().err


def test_duplicates_are_reported_and_stay(place, capsys):
    call("duplicates", place / "index")
    shown = capsys.readouterr().out
    assert "again.mkv and film.mp4: 0:12 together (100% of the shorter), side by side" in shown
    assert "look alike: 2 videos in 1 group; nothing was changed" in shown
    assert (place / "videos" / "again.mkv").exists()
    call("duplicates", place / "index", "--json")
    assert [pair["other"] for pair in json.loads(capsys.readouterr().out)] == ["film.mp4"]


def test_missing_folders_are_kept_until_pruned(place, capsys):
    (place / "videos" / "more").rename(place / "away")
    call("index", place / "videos", "-o", place / "index", QUIET)
    shown = capsys.readouterr()
    assert "1 videos are not there, and neither is their folder: more/other.mp4" in shown.err
    assert "they stay in the index; --prune drops them" in shown.err
    assert "9 clips; videos indexed 0, removed 0, unchanged 2" in shown.out
    call("index", place / "videos", "-o", place / "index", "--prune", QUIET)
    assert "6 clips; videos indexed 0, removed 1, unchanged 2" in capsys.readouterr().out
    (place / "away").rename(place / "videos" / "more")
    call("index", place / "videos", "-o", place / "index", QUIET)


def test_another_model_takes_over(place, capsys):
    call("index", place / "videos", "-o", place / "index", "--model", place / "other model", QUIET)
    assert "9 clips; videos indexed 3, removed 0, unchanged 0" in capsys.readouterr().out
    call("index", place / "videos", "-o", place / "index", "--model", place / "model", QUIET)
    call("index", place / "videos", "-o", place / "index", "--model", place / "other model", QUIET)
    assert "9 clips; videos indexed 0, removed 0, unchanged 3" in capsys.readouterr().out


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a verb as a process until the block ends."""
    command = [sys.executable, "-m", "polyreel.cli", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def num_hits(address: str) -> int:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return len(json.load(answer)["hits"])


def test_an_address_that_is_taken_is_said_in_one_line(place, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", str(place / "index"), "--port", str(port)]) == 2
    said = f"cannot listen at 127.0.0.1, port {port}: address already in use; choose others with --host, --port"
    assert capsys.readouterr().err == f"polyreel: {said}\n"


@pytest.mark.slow
def test_a_server_beside_a_followed_folder_shows_new_clips(place, write_video, tmp_path):
    """What address it prints is answered at once. How soon clips are seen: benchmarks/library_update.py."""
    new = write_video(tmp_path / "new.mp4", np.zeros((2, 32, 32, 3), np.uint8), [0, 2])
    with running("index", place / "videos", "-o", place / "index", "--watch", QUIET) as watching:
        next(line for line in watching.stdout if "following" in line)
        with running("serve", place / "index", "--port", 0, QUIET) as serving:
            address = next(line for line in serving.stdout if line.startswith("open http")).split()[1]
            assert not address.endswith(":0")
            assert num_hits(f"{address}/search?q=a+video&k=20") == 9
            new.rename(place / "videos" / "new.mp4")
            end = time.monotonic() + 120
            while not num_hits(f"{address}/search?q=a+video&k=20&path=new.mp4"):
                assert time.monotonic() < end
                time.sleep(0.2)
    (place / "videos" / "new.mp4").unlink()
