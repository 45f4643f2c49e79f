"""A run folder: what was asked, what happened, and the model that came of it.

`recipe.toml` is the resolved recipe; `run.json` the seed, versions and fingerprints of all inputs; `metrics.jsonl` one
JSON object a logged step or validation; `checkpoint.safetensors` the state to go on from; `model/` the Retriever. A
folder belongs to one recipe and one set of inputs: the same again is skipped, another is refused by name.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from polyreel.errors import FingerprintError
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
    def checkpoint(self) -> Path:
        """The state to go on from; absent once the run is finished."""
        return self.path / "checkpoint.safetensors"

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
        if (self.path / "run.json").is_file():
            self._check_same(recipe, inputs)
            if not resume and not self.is_finished:
                raise FingerprintError(f"{self.path} holds an unfinished run; continue it with --resume, or delete it")
        else:
            write_text(self.path / "recipe.toml", recipe.to_toml())
            self._write(recipe, inputs, status="started")

    def finish(self, recipe: Recipe, inputs: Mapping[str, Json], *, status: str, best_step: int, device: str) -> None:
        """Record how the run ended, "finished" or "interrupted", and where it was computed."""
        self._write(recipe, inputs, status=status, best_step=best_step, device=device)
        if status == "finished":
            self.checkpoint.unlink(missing_ok=True)

    def keep_log_until(self, step: int) -> None:
        """Drop log lines after a step, when the run goes on from there, and one that a killed process left unended."""
        if self.metrics.is_file():
            lines = self.metrics.read_text("utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            write_text(self.metrics, "".join(whole))

    def _check_same(self, recipe: Recipe, inputs: Mapping[str, Json]) -> None:
        found = read_json(self.path / "run.json")
        expected: dict[str, Json] = {"recipe_fingerprint": recipe.fingerprint, **inputs}
        for key, value in expected.items():
            if found.get(key) != value:
                raise FingerprintError(
                    f"{self.path} holds a run whose {key.replace('_', ' ')} differs (found {found.get(key)}, now "
                    f"{value}); name another folder, or delete this one"
                )

    def _write(self, recipe: Recipe, inputs: Mapping[str, Json], **further: Json) -> None:
        record: dict[str, Json] = {"recipe_fingerprint": recipe.fingerprint, **inputs, "seed": recipe.seed, **further}
        write_json(self.path / "run.json", {**record, "versions": versions()})


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
    """Append one line to a log and make it visible to readers."""
    stream.write(json.dumps(record) + "\n")
    stream.flush()
