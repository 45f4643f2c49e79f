"""Written aside and renamed; fingerprints that tell contents apart."""

import signal
import subprocess
import sys

import pytest

from polyreel.errors import DataError
from polyreel.storage import fingerprint, fingerprint_files, read_json, write_aside, write_json, write_text


def test_a_file_appears_only_when_its_block_ends(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with write_aside(target) as aside:
        aside.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="stop"), write_aside(target) as aside:
        aside.write_text("half")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def write_folder(target, *names, **how):
    with write_aside(target, **how) as aside:
        aside.mkdir()
        for name in names:
            (aside / name).write_text(name)


@pytest.mark.parametrize("system", ["linux", "another"])
def test_a_folder_replaces_a_folder(tmp_path, monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)  # folders are swapped at once on the one, one after another elsewhere
    target = tmp_path / "folder"
    write_folder(target, "first")
    write_folder(target, "first", "second")
    write_folder(target, "third", is_expendable=True)
    assert [path.name for path in target.iterdir()] == ["third"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_not_ours_is_never_deleted(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    file.write_text("mine")
    with pytest.raises(DataError, match=r"folder holds 'thesis.txt', which would be lost; it stays"):
        write_folder(folder, "report.json")
    with pytest.raises(DataError, match=r"folder is a folder, and a file is to be written; it stays"):
        write_text(folder, "page")
    with pytest.raises(DataError, match=r"file is a file, and a folder is to be written; it stays"):
        write_folder(file, "report.json")
    assert (folder / "thesis.txt").read_text() == file.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == [file, folder]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(FileNotFoundError), write_aside(target):
        pass
    assert (target / "old").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def killed_while_writing(target):
    code = (
        "import os, signal, sys; from pathlib import Path; from polyreel.storage import write_aside\n"
        "with write_aside(Path(sys.argv[1])) as aside:\n"
        "    aside.write_text('{')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    return subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode


def test_a_killed_process_leaves_the_old_state_and_the_next_tidies_up(tmp_path):
    target = tmp_path / "new" / "state.json"
    assert killed_while_writing(target) == -signal.SIGKILL
    assert not target.exists()
    write_json(tmp_path / "new" / "other.json", {})
    assert [path.name for path in target.parent.iterdir()] == ["other.json"]
    write_json(target, {"step": 1})
    assert killed_while_writing(target) == -signal.SIGKILL
    assert read_json(target) == {"step": 1}


def test_a_writer_at_work_is_left_alone(tmp_path):
    with write_aside(tmp_path / "one") as aside:
        aside.write_text("one")
        code = "import sys; from pathlib import Path; from polyreel.storage import write_text; "
        subprocess.run(
            [sys.executable, "-c", f"{code} write_text(Path(sys.argv[1]), '')", tmp_path / "two"], check=True
        )
        assert aside.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_json_keeps_order_and_script(tmp_path):
    write_json(tmp_path / "x.json", {"b": "čeština", "a": [1, None]})
    assert (tmp_path / "x.json").read_text("utf-8") == '{\n  "b": "čeština",\n  "a": [\n    1,\n    null\n  ]\n}\n'


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "x.json is not JSON"), ("[1]", "x.json holds a list; expected one JSON object"), (None, "does not exist")],
)
def test_what_is_no_json_object_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "x.json")


def test_fingerprints_tell_parts_from_their_concatenation():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(b"ab") != fingerprint("ab")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint()) == 24


def test_a_fingerprint_is_the_same_on_every_machine():
    assert fingerprint("polyreel", 1, b"x") == "bf73b889f53bf9541c122658"


def test_fingerprints_of_files_see_names_and_bytes_only(tmp_path):
    paths = [tmp_path / "b.txt", tmp_path / "a.txt"]
    for path in paths:
        path.write_text(path.name)
    first = fingerprint_files(paths)
    assert fingerprint_files(reversed(paths)) == first
    paths[0].write_text("other")
    assert fingerprint_files(paths) != first
    paths[0].write_text("b.txt")
    assert fingerprint_files([paths[1], paths[0].rename(tmp_path / "c.txt")]) != first
