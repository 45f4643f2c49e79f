"""What can go wrong, as one small tree of exceptions.

A wrong argument raises `ValueError` or `TypeError`. The classes here are for what a caller may want to catch::

    PolyreelError
    ├── DataError             a table, caption or feature that cannot be used as it is
    ├── RecipeError           a recipe or experiment file that cannot be run
    ├── FingerprintError      two artefacts that were not made for one another
    ├── TrainingError         a run that cannot go on: no number for a loss, no memory, no disk
    ├── VideoError            a file that cannot be decoded
    ├── MissingExtraError     a part of polyreel whose dependencies are not installed
    └── ItemsFailedError      a batch job that finished, with some items failed

Every message says what was found, what is allowed, where, and what to do. The command line shows it as one line.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "sentence_transformers": "train",
    "ctranslate2": "mt",
    "datasets": "hub",
    "mteb": "mteb",
    "onnx": "export",
    "onnxscript": "export",
    "openai": "endpoint",
    "peft": "lora",
    "ray": "ray",
    "sacrebleu": "mt",
    "sacremoses": "mt",
    "scenedetect": "shots",
    "sentencepiece": "mt",
    "tensorboard": "track",
}


class PolyreelError(Exception):
    """Base of everything polyreel raises for its users."""


class DataError(PolyreelError, ValueError):
    """A table, a caption or a feature cannot be used as it is."""


class RecipeError(PolyreelError, ValueError):
    """A recipe or an experiment file cannot be run as it is written."""


class FingerprintError(PolyreelError):
    """Two artefacts do not belong together: one was not made from the other."""


class TrainingError(PolyreelError):
    """A run cannot go on; what was saved of it can."""


class VideoError(PolyreelError):
    """A video file cannot be opened or decoded."""


class MissingExtraError(PolyreelError, ImportError):
    """An optional dependency is missing."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}; install it with: pip install 'polyreel[{extra}]'")


class ItemsFailedError(PolyreelError):
    """A batch job finished, but some items failed.

    Attributes:
        failures: the reason for each failed item, by the item's name.
    """

    def __init__(self, what: str, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        lines = "".join(f"\n  {item}: {reason}" for item, reason in self.failures.items())
        super().__init__(f"{what}: {len(self.failures)} failed, the rest is done{lines}")


@contextmanager
def saying_which_extra(what: str) -> Iterator[None]:
    """Name the extra to install where a module of one is missing; any other missing module is passed on.

    Args:
        what: what needs it, for the message.

    Raises:
        MissingExtraError: torch or another module of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get(str(error.name).split(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(what, extra) from None
