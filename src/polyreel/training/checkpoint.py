"""Saved states of a run on disk: the newest few, and the weights that validated best.

`step-00000120.safetensors` is the state after 120 steps, `best-00000100.safetensors` the weights after 100. Each is
written aside and renamed, and carries a checksum of every tensor: a file that was cut short or has changed is found
out, and the state before it taken in its place. Best weights stay as long as a kept state stands on them.
"""

import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import write_aside
from polyreel.training.runs import naming_disk
from polyreel.training.state import Standing

_STATE, _BEST, _SUFFIX = "step-", "best-", ".safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The folder of a run's saved states.

    Attributes:
        folder: where they lie; absent before the first and after the last.
        keep: how many of the newest states are kept.
    """

    folder: Path
    keep: int = 1

    def save(self, standing: Standing, state: Mapping[str, Tensor]) -> None:
        """Write a state, and delete those that are too many now, or lie ahead of it because they could not be read.

        Raises:
            TrainingError: it cannot be written; the states before it are as they were.
        """
        _write(self._file(_STATE, standing.step), state, {"standing": json.dumps(asdict(standing))})
        kept = [number for number in self._numbers(_STATE) if number <= standing.step][-self.keep :]
        for number in set(self._numbers(_STATE)) - set(kept):
            self._file(_STATE, number).unlink()
        needed = {standing.best_step, *(self._peek(number) for number in kept)}
        for number in set(self._numbers(_BEST)) - needed:
            self._file(_BEST, number).unlink()

    def save_best(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights that validated best so far; those before them stay until no state needs them.

        Raises:
            TrainingError: they cannot be written.
        """
        _write(self._file(_BEST, step), weights, {})

    def load(self, progress: Progress = silent) -> tuple[Standing, dict[str, Tensor]] | None:
        """Read the newest state that can be read; None where there is none.

        Args:
            progress: told of every state that cannot be read.
        """
        numbers = self._numbers(_STATE)
        for number in reversed(numbers):
            try:
                state, metadata = _read(self._file(_STATE, number))
                standing = Standing(**json.loads(metadata["standing"]))
                if standing.best_step:
                    self.load_best(standing.best_step)
                return standing, state
            except DataError as error:
                progress(0, 1, f"{error}; going on from the state before it")
        if numbers:
            progress(0, 1, f"no state in {self.folder} can be read; the run begins anew")
        return None

    def load_best(self, step: int) -> dict[str, Tensor]:
        """Read the weights that validated best.

        Raises:
            DataError: the file is missing, cut short, or has changed.
        """
        return _read(self._file(_BEST, step))[0]

    def delete(self) -> None:
        """Delete all states, when the run has come to its end."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _file(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}{step:08}{_SUFFIX}"

    def _numbers(self, kind: str) -> list[int]:
        files = self.folder.glob(f"{kind}*{_SUFFIX}")
        return sorted(int(file.name.removeprefix(kind).removesuffix(_SUFFIX)) for file in files)

    def _peek(self, step: int) -> int:
        """Return which best weights a state stands on; 0 where that cannot be told."""
        try:
            with safe_open(self._file(_STATE, step), framework="numpy") as file:
                return Standing(**json.loads(file.metadata()["standing"])).best_step
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            return 0


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    checksums = {name: _checksum(tensor) for name, tensor in tensors.items()}
    with naming_disk(path), write_aside(path) as aside:
        save_file(dict(tensors), aside, {**metadata, "checksums": json.dumps(checksums)})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = dict(file.metadata() or {})
        checksums = json.loads(metadata["checksums"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error or type(error).__name__})") from None
    changed = [name for name, tensor in tensors.items() if checksums.get(name) != _checksum(tensor)]
    if changed or checksums.keys() != tensors.keys():
        raise DataError(f"{path} cannot be read ({changed[0] if changed else 'a tensor'} is not what was written)")
    return tensors, metadata


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
