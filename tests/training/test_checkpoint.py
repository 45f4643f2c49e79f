"""States on disk: the newest few and the best are kept, what was damaged is passed over, no room is said."""

import errno
import os
import subprocess
import sys

import pytest
import torch
from moments import stop_after

from polyreel.errors import DataError, TrainingError
from polyreel.storage import read_json
from polyreel.training import under_way
from polyreel.training.checkpoint import Checkpoints
from polyreel.training.loop import train
from polyreel.training.runs import append_record, naming_disk
from polyreel.training.scale_settings import MachineSettings
from polyreel.training.state import Standing

WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3.0), "seen": torch.tensor([True, False])}


def names(folder):
    return sorted(file.name.partition(".")[0] for file in folder.iterdir())


def test_the_newest_states_are_kept_and_the_best_weights_they_stand_on(tmp_path):
    saves = Checkpoints(tmp_path, keep=2)
    for step, best in ((10, 5), (20, 15), (30, 15), (40, 35)):
        saves.save_best(best, WEIGHTS)
        saves.save(Standing(step=step, best_step=best), WEIGHTS)
    assert names(tmp_path) == ["best-00000015", "best-00000035", "step-00000030", "step-00000040"]
    standing, state = saves.load()
    assert standing == Standing(step=40, best_step=35)
    assert all(torch.equal(state[name], tensor) for name, tensor in WEIGHTS.items())
    saves.delete()
    assert not tmp_path.exists() and saves.load() is None


def cut_short(file):
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, empty])
@pytest.mark.parametrize("file", ["step-00000020.safetensors", "best-00000015.safetensors"])
def test_a_damaged_state_is_said_and_the_one_before_it_taken(tmp_path, damage, file):
    saves, said = Checkpoints(tmp_path, keep=2), []
    for step, best in ((10, 5), (20, 15)):
        saves.save_best(best, WEIGHTS)
        saves.save(Standing(step=step, best_step=best), WEIGHTS)
    damage(tmp_path / file)
    standing, _ = saves.load(lambda done, total, doing: said.append(doing))
    assert standing.step == 10
    assert len(said) == 1 and f"{file} cannot be read" in said[0] and "going on from the state before it" in said[0]
    saves.save(Standing(step=12, best_step=5), WEIGHTS)
    assert names(tmp_path) == ["best-00000005", "step-00000010", "step-00000012"], "what lay ahead is given up"


def test_without_a_state_that_can_be_read_the_run_begins_anew_aloud(tmp_path):
    saves, said = Checkpoints(tmp_path), []
    saves.save(Standing(step=10), WEIGHTS)
    empty(tmp_path / "step-00000010.safetensors")
    assert saves.load(lambda done, total, doing: said.append(doing)) is None
    assert said[-1] == f"no state in {tmp_path} can be read; the run begins anew"


def test_best_weights_that_are_gone_are_named(tmp_path):
    with pytest.raises(DataError, match=r"best-00000007\.safetensors cannot be read"):
        Checkpoints(tmp_path).load_best(7)


@pytest.fixture(scope="module")
def often(recipe):
    return recipe(text={"dropout": 0.2}, machine={"save_every_seconds": 0, "keep_saves": 3})


def test_a_run_goes_on_from_the_state_before_a_damaged_one_to_the_same_bytes(often, tmp_path, monkeypatch):
    monkeypatch.setattr(under_way, "MOST_SAVING_SHARE", 1e9)
    whole = train(often, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(often, tmp_path / "cut", progress=stop_after(17))
    saves = sorted((tmp_path / "cut" / "checkpoints").glob("step-*"))
    assert [file.name for file in saves] == [f"step-{step:08}.safetensors" for step in (15, 16, 17)]
    cut_short(saves[-1])
    said = []
    train(often, tmp_path / "cut", resume=True, progress=lambda done, total, doing: said.append((done, doing)))
    assert any("step-00000017.safetensors cannot be read" in doing for _, doing in said)
    assert min(done for done, _ in said if done > 1) == 17, "the first step done again is the one after 16"
    models = [run / "model" / "model.safetensors" for run in (whole, tmp_path / "cut")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_how_it_is_computed_may_change_on_the_way(often, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(often, tmp_path / "run", progress=stop_after(5))
    smaller = often.model_copy(update={"machine": MachineSettings(chunk=4)})
    train(smaller, tmp_path / "run", resume=True)
    assert read_json(tmp_path / "run" / "run.json")["status"] == "finished"
    assert "chunk = 4" in (tmp_path / "run" / "recipe.toml").read_text()


def test_a_full_disk_stops_the_log_with_the_file_and_the_reason(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        with pytest.raises(TrainingError, match=r"metrics\.jsonl cannot be written \(No space left on device\)"):
            append_record(stream, {"step": 1})
        with pytest.raises(OSError, match="No space"):
            stream.close()


def test_no_access_is_said_with_what_to_do():
    with pytest.raises(TrainingError, match=r"here cannot be written \(Read-only file system\).*go on with --resume"):
        with naming_disk("here"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), "here")


@pytest.mark.slow
@pytest.mark.parametrize("options", ["size=300k", "ro"])
def test_a_disk_that_is_full_or_read_only_leaves_the_states_before_it(recipe, tmp_path, options):
    """A real small file system, in a mount namespace of its own."""
    asked = recipe(machine={"save_every_seconds": 0, "keep_saves": 20}, schedule={"steps": 400})
    (tmp_path / "recipe.toml").write_text(asked.to_toml())
    disk = tmp_path / "disk"
    disk.mkdir()
    verb = f"{sys.executable} -m polyreel.cli train {tmp_path / 'recipe.toml'} -o {disk / 'run'} --quiet"
    script = f"mount -t tmpfs -o {options} none {disk} && {verb}; echo status $?; ls {disk}/run/checkpoints"
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs unshare(1) and the right to mount")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert "status 2" in done.stdout and "Traceback" not in done.stderr
    if options == "ro":
        assert "read-only file system" in done.stderr
    else:
        assert "cannot be written (" in done.stderr and "what was saved before is as it was" in done.stderr
        assert "step-" in done.stdout
