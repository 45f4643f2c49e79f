"""Flags that several verbs share, so that they read and mean the same everywhere."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from polyreel.storage import Json, read_json

if TYPE_CHECKING:
    from polyreel import Retriever
    from polyreel.models.onnx_retriever import OnnxRetriever

DatasetFolder = Annotated[Path, Argument(metavar="DATASET", help="A dataset folder.", show_default=False)]
Split = Annotated[
    str, Argument(metavar="DATASET[:SPLIT]", help="A dataset folder, and which of its splits.", show_default=False)
]
Threads = Annotated[
    int,
    Option("--threads", metavar="N", min=1, envvar="OMP_NUM_THREADS", help="Processor threads; one is often fastest."),
]
Device = Annotated[Literal["auto", "cpu", "cuda"], Option("--device", help="Where to compute; auto: a GPU if any.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no progress.")]
Replace = Annotated[bool, Option("--replace", help="Delete a dataset that is already there.")]
AsJson = Annotated[bool, Option("--json", help="Print JSON for programs.")]


def use_threads(threads: int) -> None:
    """Let libraries use so many threads; call it before they are loaded, because most look only then."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def print_json(value: Json) -> None:
    """Print a value as JSON for other programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def split_of(words: str, default: str = "") -> tuple[Path, str]:
    """Read DATASET[:SPLIT] or FILE[:SPLIT]: a path and the name of a split; a path may have a colon of its own."""
    path, colon, split = words.rpartition(":")
    return (Path(path), split) if colon and not Path(words).exists() else (Path(words), default)


def model_folder(run: Path) -> Path:
    """Return where a run keeps its model; a folder that is no run is taken for a model itself."""
    return run / "model" if (run / "model").is_dir() else run


def open_model(run: Path) -> "Retriever | OnnxRetriever":
    """Open the model of a run, of a model folder, exported or not, or of a name on the Hugging Face hub."""
    from polyreel.models.opening import open_model as open_it

    return open_it(model_folder(run))


def seed_of(run: Path) -> int:
    """Return the seed a run was trained with; 0 for a model that came without its run."""
    return int(str(read_json(run / "run.json")["seed"])) if (run / "run.json").is_file() else 0
