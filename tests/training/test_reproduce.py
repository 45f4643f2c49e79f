"""polyreel reproduce: what it says is missing, what it would do, and what it does."""

import re
import shutil
from pathlib import Path

import pytest

from polyreel import Dataset
from polyreel.cli import main
from polyreel.data.features import FeatureWriter
from polyreel.errors import DataError, RecipeError
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.reproduce import preview, reproduce

ROOT = Path(__file__).parents[2]
DATASETS = ("msrvtt", "vatex", "youcook2", "rudder")
every_dataset = pytest.mark.parametrize("name", DATASETS)


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def vatex(bench, empty):
    """VATEX alone, to be damaged; the encoders are where they were."""
    shutil.copytree(bench / "data" / "vatex", empty / "data" / "vatex")
    for folder in ("sentence-transformers", "xlm-roberta-base", "bert-base-multilingual-uncased"):
        (empty / folder).symlink_to(bench / folder)
    return Dataset.open("data/vatex")


@every_dataset
def test_a_stand_in_lacks_nothing(bench, name):
    assert preview(name).lacks == ()


@every_dataset
def test_all_that_is_missing_is_listed_with_what_brings_it(empty, capsys, name):
    assert main(["reproduce", name]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"polyreel: {name} cannot be reproduced yet, nothing was trained; missing:"
    assert said[1:3] == [f"  data/{name}, the dataset", "    make it with: polyreel fetch c2kd -o downloads/c2kd"]
    assert said[3].startswith("    make it with: polyreel import reference downloads/c2kd/data/")
    assert said[4] == "  encoder xlm-roberta-base; get it with: hf download xlm-roberta-base"
    assert said[7] == "  encoder sentence-transformers/LaBSE; get it with: hf download sentence-transformers/LaBSE"
    assert len(said) == 8 and not (empty / "runs").exists()


@every_dataset
def test_the_page_names_the_same_commands(name):
    page = " ".join((ROOT / "docs" / "reproduce.md").read_text("utf-8").replace("\\\n", " ").split())
    for command in load_experiment(f"{name}/reproduce").preparation:
        assert " ".join(command.split()) in page


def test_captions_features_and_splits_are_looked_for(vatex):
    assert preview("vatex").lacks == ()
    vatex.in_langs(["en"]).save(vatex.folder)
    assert preview("vatex").lacks[:2] == (
        "  captions in zh of split 'train' of data/vatex",
        "  captions in zh of split 'test' of data/vatex",
    )
    vatex.split("train").save(vatex.folder)
    assert preview("vatex").lacks[0] == "  split 'test' of data/vatex, which has train"
    vatex.save(vatex.folder)
    store, folder = vatex.features("clip-vit-b-32"), vatex.features_folder("clip-vit-b-32")
    kept = {clip_id: store[clip_id] for clip_id in vatex.clip_ids[2:]}
    shutil.rmtree(folder)
    assert preview("vatex").lacks[0] == "  features 'clip-vit-b-32' of data/vatex, which has none"
    with FeatureWriter(folder, store.settings) as writer:
        for clip_id, rows in kept.items():
            writer.add(clip_id, rows)
    lacks = preview("vatex").lacks
    first = vatex.clip_ids[0]
    assert lacks[0] == f"  features 'clip-vit-b-32' of 2 clips of split 'train' of data/vatex, such as {first}"
    with pytest.raises(DataError, match="vatex cannot be reproduced yet, nothing was trained; missing:\n  features"):
        reproduce("vatex")


def test_an_encoder_in_the_cache_of_the_hub_is_at_hand(vatex, empty):
    (empty / "xlm-roberta-base").unlink()
    lack = "  encoder xlm-roberta-base; get it with: hf download xlm-roberta-base"
    assert preview("vatex").lacks == (lack,)
    cached = empty / "cache" / "models--xlm-roberta-base"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots" / "abc").mkdir(parents=True)
    (cached / "snapshots" / "abc" / "config.json").touch()
    assert preview("vatex").lacks == (lack,)
    (cached / "snapshots" / "abc" / "model.safetensors").touch()
    assert preview("vatex").lacks == ()


def test_a_dry_run_lists_runs_teachers_first(bench, capsys):
    assert main(["reproduce", "youcook2", "--only", "reference", "--dry-run", "-o", "somewhere"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"arithmetic reference, teacher-xlmr, seed 11: 10 epochs, somewhere/runs/teacher-xlmr-\w+", lines[0]
    )
    assert [line.split(", ")[1] for line in lines[3:-1:3]] == ["zero-shot", "translate-train", "c2kd"]
    assert lines[-1] == "12 runs" and not (bench / "somewhere").exists()


def test_a_dry_run_says_what_is_missing(empty, capsys):
    assert main(["reproduce", "rudder", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[24:27] == ["24 runs", "missing:", "  data/rudder, the dataset"]


@pytest.mark.parametrize(
    ("name", "only", "message"),
    [
        ("lsmdc", None, "nothing is known to reproduce under the name 'lsmdc'; known are msrvtt, rudder, vatex, youc"),
        ("vatex", "dirty", "'dirty' is no value of an axis of 'C2KD on VATEX'; there are clean, reference"),
    ],
)
def test_unknown_names_are_refused(name, only, message):
    with pytest.raises(RecipeError, match=message):
        reproduce(name, only=only)


@pytest.mark.slow
def test_an_experiment_is_reproduced_and_goes_on_where_it_was(bench, tmp_path, capsys):
    """All epochs, on a data set so small that each is one step."""
    words = ["reproduce", "rudder", "--only", "clean", "-o", str(tmp_path), "--quiet"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "arithmetic clean" in printed and "translate-train" in printed and "Kannada" in printed
    assert "c2kd less translate-train" in (tmp_path / "table.md").read_text()
    models = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/model/model.safetensors")}
    assert len(models) == 12
    assert main(words) == 0
    assert capsys.readouterr().out == printed
    assert models == {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/model/model.safetensors")}
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out.count(": finished, ") == 12
