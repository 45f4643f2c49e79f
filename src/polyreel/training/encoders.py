"""Teachers that were never trained here: dual encoders as they come, and anyone's own class.

Whatever gives texts and clips embeddings in one space can be asked. It is named in a recipe as `clip:MODEL` (a folder
or hub name of CLIP, SigLIP and kin, also without the prefix) or `python:MODULE:FUNCTION` (a function of yours that
returns an `Encoder`); Python may hand in the object itself.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from polyreel.data.features import FeatureStore
from polyreel.errors import DataError, FingerprintError, PolyreelError, RecipeError
from polyreel.models.devices import CPU
from polyreel.models.dual import DualEncoder
from polyreel.models.fetching import cached_model, fetch_model, plan_download
from polyreel.models.pretrained import open_texts
from polyreel.models.pretrained_files import is_published_model, is_sentence_model
from polyreel.similarity import unit
from polyreel.storage import published_name
from polyreel.video.extractors import open_extractor

KIND, _OWN = "clip:", "python:"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_OF_CLIP = ("clip", "clip-bf16")
_METHODS = ("encode_text", "encode_clips", "fingerprint")


class Encoder(Protocol):
    """What a teacher has; anyone's class fits without inheriting."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights and settings: two with the same give the same embeddings."""

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return embeddings of texts, `[N, D]`."""

    def encode_clips(self, features: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
        """Return embeddings of clips, `[C, D]`, given the features of each, `[T, D_in]`."""


def is_foreign(name: str) -> bool:
    """Tell whether a name is that of a teacher which was never trained here, rather than of a run or its model."""
    if name.startswith((KIND, _OWN)):
        return True
    folder = Path(name)
    if folder.is_dir():
        return not (folder / "model").is_dir() and is_published_model(folder)
    return _HUB_NAME.fullmatch(name) is not None and not folder.parent.is_dir()


def open_foreign(name: str, features: FeatureStore, device: torch.device = CPU) -> Encoder:
    """Open a teacher that was never trained here; a model on the hub is fetched first.

    Args:
        name: as a recipe names it.
        features: what it will read.
        device: where a dual encoder's texts are read.

    Raises:
        RecipeError: there is no such model or function, or what it returns is no `Encoder`.
        DataError: the features have another width than a dual encoder's space.
    """
    if name.startswith(_OWN):
        return _call(name)
    where = name.removeprefix(KIND)
    try:
        folder = Path(where) if Path(where).is_dir() else cached_model(where) or fetch_model(plan_download(where))
        texts = open_texts(folder)
    except DataError as error:
        raise RecipeError(f"teacher {name!r} is neither a finished run nor a dual encoder: {error}") from None
    dim = texts(["a text like any other"]).shape[1]
    if features.dim != dim:
        raise DataError(
            f"features {features.extractor!r} have width {features.dim}, but the space of {name} has {dim}, in "
            f"{features.folder}; expected its embeddings of frames or clips; {_way_out(name)}"
        )
    return DualEncoder(texts.to(str(device)), features.settings)


def features_name(name: str) -> str | None:
    """Return what the features of a dual encoder's image tower are called; None for a run, which knows its own.

    Raises:
        RecipeError: an encoder of yours, which reads whatever you say.
    """
    if name.startswith(_OWN):
        raise RecipeError(f"say which features {name} reads, with --features NAME")
    return published_name(Path(name.removeprefix(KIND))) if is_foreign(name) else None


def check_frames(name: str, features: FeatureStore) -> None:
    """Refuse features that a dual encoder's image tower has not made; an encoder of yours checks by itself.

    Imported features are taken at their word, but for their width; so are those of a text tower without an image tower.

    Raises:
        FingerprintError: they were extracted by something else.
    """
    where, settings = name.removeprefix(KIND), features.settings
    if name.startswith(_OWN) or settings.sampling is None or is_sentence_model(Path(where)):
        return
    kind = (settings.source or "").partition(":")[0]
    if kind not in _OF_CLIP or open_extractor(f"{kind}:{where}").fingerprint != settings.extractor_fingerprint:
        raise FingerprintError(
            f"features {settings.extractor!r} were made by {settings.source}, not by the image tower of {where}, in "
            f"{features.folder}; {_way_out(name)}"
        )


def _way_out(name: str) -> str:
    return f"extract with `--extractor {KIND}{name.removeprefix(KIND)}`, or name other features"


class Checked:
    """A teacher whose answers are looked at, and brought to unit length.

    Raises:
        DataError: they are not one finite row of the teacher's width a text or clip.
    """

    def __init__(self, teacher: Encoder) -> None:
        self._teacher = teacher
        self.fingerprint = teacher.fingerprint
        self._dim: int | None = None

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length embeddings of texts, `[N, D]`."""
        return self._look(self._teacher.encode_text(texts), len(texts))

    def encode_clips(self, features: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
        """Return unit-length embeddings of clips, `[C, D]`."""
        return self._look(self._teacher.encode_clips(features), len(features))

    def _look(self, answer: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.float32]:
        rows_ND = np.asarray(answer)
        if rows_ND.ndim != 2 or len(rows_ND) != count or rows_ND.shape[1] != (self._dim or rows_ND.shape[1]):
            raise DataError(
                f"{type(self._teacher).__name__} gave an array {list(rows_ND.shape)} for {count} texts or clips; "
                f"expected [{count}, {self._dim or 'D'}], one row each"
            )
        if not np.isfinite(rows_ND).all():
            raise DataError(f"{type(self._teacher).__name__} gave NaN or infinity; expected finite numbers")
        self._dim = rows_ND.shape[1]
        return unit(rows_ND)


def _call(name: str) -> Encoder:
    module, _, function = name.removeprefix(_OWN).partition(":")
    try:
        made: Encoder = getattr(import_module(module), function)()
    except PolyreelError:
        raise
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise RecipeError(
            f"teacher {name!r} cannot be made ({error}); expected python:MODULE:FUNCTION, a function without arguments "
            "in a module that is installed or on PYTHONPATH, which returns an encoder"
        ) from error
    if lacking := [method for method in _METHODS if not hasattr(made, method)]:
        raise RecipeError(f"teacher {name!r} has no {lacking[0]}; an encoder has {', '.join(_METHODS)}")
    return made
