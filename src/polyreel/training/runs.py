"""A run folder: what was asked, what happened, and the model that came of it.

`recipe.toml` is the resolved recipe; `run.json` the seed, versions and fingerprints of all inputs; `metrics.jsonl` one
JSON object a logged step or validation; `checkpoints/` the states to go on from; `model/` the Retriever; `failed/` what
a loss that was no number left; `tensorboard/` curves, where they were asked for. A folder belongs to one recipe and one
set of inputs: the same again is skipped, another is refused by name.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from safetensors import SafetensorError

from polyreel.errors import FingerprintError, RecipeError, TrainingError
from polyreel.settings import parse, read_toml
from polyreel.storage import Json, read_json, write_json, write_text
from polyreel.training.recipes import Recipe


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie."""

    path: Path

    @property
    def model(self) -> Path:
        """The trained Retriever's folder."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """The log, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The states to go on from; absent once the run is finished."""
        return self.path / "checkpoints"

    @property
    def failed(self) -> Path:
        """State and batch of a step whose loss was no number."""
        return self.path / "failed"

    @property
    def tensorboard(self) -> Path:
        """Curves as event files."""
        return self.path / "tensorboard"

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "run.json").is_file() and read_json(self.path / "run.json")["status"] == "finished"

    def start(self, recipe: Recipe, inputs: Mapping[str, Json], *, resume: bool) -> None:
        """Claim the folder for a recipe and its inputs.

        Raises:
            FingerprintError: it belongs to another recipe or other inputs, or holds an unfinished run that nobody
                asked to resume.
        """
        is_new = not (self.path / "run.json").is_file()
        if not is_new:
            self._check_same(recipe, inputs)
            if self.is_finished:
                return
            if not resume:
                raise FingerprintError(f"{self.path} holds an unfinished run; continue it with --resume, or delete it")
        write_text(self.path / "recipe.toml", recipe.to_toml())
        if is_new:
            self._write(recipe, inputs, status="started")

    def finish(
        self,
        recipe: Recipe,
        inputs: Mapping[str, Json],
        *,
        status: str,
        best_step: int,
        num_averaged: int,
        device: str,
    ) -> None:
        """Record how the run ended, "finished" or "interrupted", which weights were kept, and where it was computed."""
        self._write(recipe, inputs, status=status, best_step=best_step, num_averaged=num_averaged, device=device)

    def keep_log_until(self, step: int) -> None:
        """Drop log lines after a step, when the run goes on from there, and one that a killed process left unended.

        The validation of the last epochs' mean comes after the last step, and is done again too.
        """
        if self.metrics.is_file():
            lines = self.metrics.read_text("utf-8").splitlines(keepends=True)
            whole = [(line, json.loads(line)) for line in lines if line.endswith("\n")]
            kept = [line for line, row in whole if row["step"] <= step and "num_averaged" not in row]
            write_text(self.metrics, "".join(kept))

    def changed_versions(self) -> list[str]:
        """Return what computes otherwise than when the run was begun, as in `torch (2.12.0, here 2.13.0)`."""
        begun_with = read_json(self.path / "run.json").get("versions")
        found = begun_with if isinstance(begun_with, Mapping) else {}
        return [
            f"{name} ({found[name]}, here {now})" for name, now in versions().items() if found.get(name, now) != now
        ]

    def _check_same(self, recipe: Recipe, inputs: Mapping[str, Json]) -> None:
        found = read_json(self.path / "run.json")
        expected: dict[str, Json] = {"recipe_fingerprint": recipe.fingerprint, **inputs}
        if found.get("recipe_fingerprint") != recipe.fingerprint and (self.path / "recipe.toml").is_file():
            begun = parse(Recipe, read_toml(self.path / "recipe.toml"), str(self.path / "recipe.toml"))
            raise FingerprintError(
                f"{self.path} holds a run of another recipe, which differs in {', '.join(recipe.differences(begun))}; "
                "name another folder, or delete this one"
            )
        for key, value in expected.items():
            if found.get(key) != value:
                raise FingerprintError(
                    f"{self.path} holds a run whose {key.replace('_', ' ')} differs (found {found.get(key)}, now "
                    f"{value}); name another folder, or delete this one"
                )

    def _write(self, recipe: Recipe, inputs: Mapping[str, Json], **further: Json) -> None:
        record: dict[str, Json] = {"recipe_fingerprint": recipe.fingerprint, **inputs, "seed": recipe.seed, **further}
        write_json(self.path / "run.json", {**record, "versions": versions()})


def best_of(runs: Sequence[str]) -> str:
    """Return the run that validated best, the first of several.

    Raises:
        RecipeError: one of them has no validation in its log.
    """
    return max(runs, key=lambda run: _best_recall(RunFolder(Path(run)).metrics))


def _best_recall(log: Path) -> float:
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.is_file() else []
    recalls = [float(row["val"]["mean_recall_at_10"]) for row in rows if "val" in row]
    if not recalls:
        raise RecipeError(
            f'teachers.chosen is "best", but {log} has no validation; name runs that were validated, or set it to "all"'
        )
    return max(recalls)


def versions() -> dict[str, Json]:
    """Return the versions of what computed, for the record."""
    import torch

    packages = ("polyreel", "torch", "transformers", "numpy", "tokenizers")
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }


def append_record(stream: TextIO, record: Mapping[str, Json]) -> None:
    """Append one line to a log and make it visible to readers.

    Raises:
        TrainingError: there is no room for it.
    """
    with naming_disk(Path(stream.name)):
        stream.write(json.dumps(record) + "\n")
        stream.flush()


@contextmanager
def naming_disk(path: Path) -> Iterator[None]:
    """Say which file could not be written, and that nothing saved before is lost.

    Raises:
        TrainingError: in place of what the system says.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingError(
            f"{path} cannot be written ({reason}); what was saved before is as it was; make room or give access there, "
            "then go on with --resume"
        ) from error
