import signal
import subprocess
import sys

import av
import numpy as np
import pytest

from polyreel import __version__
from polyreel.cli import main
from polyreel.errors import DataError


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"polyreel {__version__}\n"


def test_no_words_show_the_help(capsys):
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? (see `polyreel --help`)"),
        (["describe"], "Missing argument 'DATASET'. (see `polyreel describe --help`)"),
        (["import"], "Missing command. (see `polyreel import --help`)"),
        (
            ["describe", "x", "--jsno"],
            "No such option: --jsno (Possible options: --json) (see `polyreel describe --help`)",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_status_2(words, message, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.err == f"polyreel: {message}\n"
    assert shown.out == ""


def test_a_missing_dataset_is_one_line_and_exit_status_2(tmp_path, capsys):
    assert main(["describe", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"polyreel: {tmp_path} is no dataset: it has no dataset.json; make one")


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(DataError, match="is no dataset"):
        main(["describe", str(tmp_path), "--debug"])


def test_train_wants_to_know_where(capsys):
    assert main(["train", "msrvtt1k/zero-shot"]) == 2
    assert "say where the run goes with -o RUN" in capsys.readouterr().err


def write_video(path, num_frames=8):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=4)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 30 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_failed_items_are_listed_and_the_rest_is_done(tmp_path, capsys):
    videos, store = tmp_path / "videos", tmp_path / "store"
    videos.mkdir()
    write_video(videos / "good.mp4")
    (videos / "bad.mp4").write_text("no video at all")
    assert main(["extract", str(videos), "--extractor", "pixels", "-o", str(store), "--quiet"]) == 1
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("polyreel: ") and "1 failed, the rest is done" in first
    assert len(others) == 1 and others[0].startswith("  bad.mp4: ")
    (videos / "bad.mp4").unlink()
    assert main(["extract", str(videos), "--extractor", "pixels", "-o", str(store)]) == 0
    assert "features of 1 clips" in capsys.readouterr().out


def test_ctrl_c_ends_with_one_line_and_status_130(tmp_path):
    words = [sys.executable, "-c", "import sys; from polyreel.cli import main; sys.exit(main(sys.argv[1:]))"]
    world = ["world", str(tmp_path / "world"), "--clips", "5000"]
    with subprocess.Popen([*words, *world], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "1/5000" in process.stderr.readline()  # it is at work
        process.send_signal(signal.SIGINT)
        *_, last = process.stderr.read().splitlines()
    assert last == "polyreel: stopped; what was finished is kept"
    assert process.returncode == 130
