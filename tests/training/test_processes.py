"""Two processes are one: the same losses, the same states, by DDP and by FSDP2."""

import json
import subprocess
import sys

import numpy as np
import pytest

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.loop import train
from polyreel.training.processes import Processes, check_processes

DEEP = {
    "text": {"num_layers": 2},
    "video": {"pooling": "transformer", "width": 16, "num_layers": 1},
    "optimizer": {"max_gradient_norm": 5.0},
}


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: (row["loss"], row["gradient_norm"]) for row in rows if "loss" in row}


def train_in_two(asked, folder, *flags):
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text(asked.to_toml())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    verb = ["-m", "polyreel.cli", "train", str(folder / "recipe.toml"), "-o", str(folder / "run"), *flags]
    done = subprocess.run([*torchrun, *verb], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "run", done


def assert_alike(run, other):
    ours, theirs = losses(run), losses(other)
    assert ours.keys() == theirs.keys() and len(ours) > 2
    for step, (loss, norm) in theirs.items():
        assert ours[step][0] == pytest.approx(loss, rel=1e-5), step
        assert ours[step][1] == pytest.approx(norm, rel=1e-4), "a norm of many gradients gathers their rounding"


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    return train(recipe(**DEEP), tmp_path_factory.mktemp("alone") / "run")


@pytest.mark.slow
@pytest.mark.parametrize("machine", [{}, {"chunk": 5}, {"sharding": "fsdp"}, {"sharding": "fsdp", "chunk": 5}])
def test_two_processes_have_the_losses_of_one(recipe, alone, tmp_path, machine):
    run, done = train_in_two(recipe(**DEEP, machine=machine), tmp_path)
    assert_alike(run, alone)
    assert done.stdout.count("trained; next") == 1, "the first process alone speaks"
    ours, theirs = (Retriever.load(one / "model").encode_text(["a red dog", "un gatto blu"]) for one in (run, alone))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_two_processes_have_the_losses_of_one_beyond_the_batch(all_beyond, tmp_path, sharding):
    """Sentence pairs, and clips of the whole bank, which every process embeds for itself."""
    alone = train(all_beyond(**DEEP), tmp_path / "alone")
    run, _ = train_in_two(all_beyond(**DEEP, machine={"sharding": sharding}), tmp_path / "two")
    assert_alike(run, alone)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_a_run_goes_on_with_another_number_of_processes(recipe, alone, tmp_path, sharding):
    def interrupt(done, total, doing):
        if (done, total) == (17, 30):
            raise KeyboardInterrupt

    (tmp_path / "cut").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(recipe(**DEEP), tmp_path / "cut" / "run", progress=interrupt)
    run, _ = train_in_two(recipe(**DEEP, machine={"sharding": sharding}), tmp_path / "cut", "--resume")
    assert_alike(run, alone)


def test_shares_are_even_and_complete():
    shares = [Processes(rank, 3).share(10) for rank in range(3)]
    assert [list(range(10))[share] for share in shares] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]


def test_more_processes_than_clips_are_refused(recipe):
    with pytest.raises(RecipeError, match=r"a batch has 4 clips and there are 8 processes.*raise batches\.size"):
        check_processes(recipe(batches={"size": 4}), Processes(0, 8))


def test_settings_for_one_process_are_refused_by_name(recipe):
    lazy, compiled = recipe(optimizer={"embeddings": "lazy"}), recipe(machine={"compiles": True})
    for asked, name in ((lazy, r'optimizer\.embeddings = "lazy"'), (compiled, r"machine\.compiles = true")):
        check_processes(asked, Processes())
        with pytest.raises(RecipeError, match=f"there are 2 processes, and {name} is for one; start one"):
            check_processes(asked, Processes(0, 2))
