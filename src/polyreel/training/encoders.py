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

from polyreel.data.features import FeatureStore
from polyreel.errors import DataError, FingerprintError, PolyreelError, RecipeError
from polyreel.models.pretrained_pair import KIND, PretrainedEncoder, is_pretrained_folder
from polyreel.similarity import unit
from polyreel.video.extractors import open_extractor

_OWN = "python:"
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

    def encode_clips(self, features: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return embeddings of clips, `[C, D]`, given the features of each, `[T, D_in]`."""


def is_foreign(name: str) -> bool:
    """Tell whether a name is that of a teacher which was never trained here, rather than of a run or its model."""
    if name.startswith((KIND, _OWN)):
        return True
    folder = Path(name)
    if folder.is_dir():
        return not (folder / "model").is_dir() and is_pretrained_folder(folder)
    return _HUB_NAME.fullmatch(name) is not None and not folder.parent.is_dir()


def open_foreign(name: str, features: FeatureStore) -> Encoder:
    """Open a teacher that was never trained here.

    Args:
        name: as a recipe names it.
        features: what it will read.

    Raises:
        RecipeError: there is no such model or function, or what it returns is no `Encoder`.
    """
    if name.startswith(_OWN):
        return _call(name)
    try:
        return PretrainedEncoder.open(name, features.settings)
    except DataError as error:
        is_sure = name.startswith(KIND) or Path(name).is_dir()
        what = "" if is_sure else f"{name} is no finished run, and as a dual encoder "
        raise RecipeError(f"{what}{error}") from None


def features_name(name: str) -> str | None:
    """Return what the features of a dual encoder's image tower are called; None for a run, which knows its own.

    Raises:
        RecipeError: an encoder of yours, which reads whatever you say.
    """
    if name.startswith(_OWN):
        raise RecipeError(f"say which features {name} reads, with --features NAME")
    return Path(name.removeprefix(KIND)).name if is_foreign(name) else None


def check_frames(teacher: Encoder, features: FeatureStore) -> None:
    """Refuse features that are not embeddings of frames in a dual encoder's space; others check by themselves.

    Imported features are taken at their word, but for their width.

    Raises:
        DataError: they have another width.
        FingerprintError: they were extracted by something else.
    """
    if not isinstance(teacher, PretrainedEncoder):
        return
    settings, where = features.settings, f"in {features.folder}"
    way_out = f"extract with `--extractor {KIND}{teacher.name}`, or name other features"
    if settings.dim != teacher.dim:
        raise DataError(
            f"features {settings.extractor!r} have width {settings.dim}, but the space of {teacher.name} has "
            f"{teacher.dim}, {where}; expected its embeddings of frames or clips; {way_out}"
        )
    if settings.sampling is None:
        return
    kind = (settings.source or "").partition(":")[0]
    if kind not in _OF_CLIP or open_extractor(f"{kind}:{teacher.name}").fingerprint != settings.extractor_fingerprint:
        raise FingerprintError(
            f"features {settings.extractor!r} were made by {settings.source}, not by the image tower of "
            f"{teacher.name}, {where}; {way_out}"
        )


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

    def encode_clips(self, features: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
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
