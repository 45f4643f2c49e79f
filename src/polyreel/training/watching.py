"""What can be seen of a run under way: losses by term and language, speed, memory, the gradient's norm.

Whoever trains may hand in a `Watch`, which is called every few steps and after every validation: the command line
draws a live page with it, and `tracking.py` writes TensorBoard files.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

BYTES_A_GIGABYTE = 1e9


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run after a step.

    Attributes:
        step: steps done.
        num_steps: steps there will be, unless patience ends earlier.
        loss: what was minimised in this step.
        parts: its unweighted terms by `term/lang`.
        learning_rate: of everything but the text backbone.
        gradient_norm: Euclidean, before it was clipped.
        captions_per_second: since it was seen before, validations and saving left out; of all processes.
        memory_bytes: most that was ever in use: of the GPU where there is one, otherwise resident.
        recall: R@10 in percent by language, where this step was validated.
        best_step: after which step the best validation came; 0 before the first.
        best_recall: its mean R@10 in percent.
    """

    step: int
    num_steps: int
    loss: float
    parts: Mapping[str, float]
    learning_rate: float
    gradient_norm: float
    captions_per_second: float
    memory_bytes: int
    recall: Mapping[str, float] | None
    best_step: int
    best_recall: float

    @property
    def by_term(self) -> dict[str, dict[str, float]]:
        """Losses by term, and by language within it."""
        terms: dict[str, dict[str, float]] = {}
        for name, value in self.parts.items():
            term, _, lang = name.partition("/")
            terms.setdefault(term, {})[lang] = value
        return terms

    def in_words(self) -> str:
        """Say all of it in one line."""
        words = [
            f"{term} {sum(by_lang.values()):.2f}"
            + (f" ({', '.join(f'{lang} {value:.2f}' for lang, value in by_lang.items())})" if len(by_lang) > 1 else "")
            for term, by_lang in self.by_term.items()
        ]
        if self.best_step:
            words.append(f"best R@10 {self.best_recall:.1f}")
        return ", ".join([*words, *self.measures().values()])

    def measures(self) -> dict[str, str]:
        """Say how it goes, by what is measured, each with its name or unit."""
        return {
            "gradient": f"gradient {self.gradient_norm:.3g}",
            "speed": f"{self.captions_per_second:,.0f} captions/s",
            "memory": f"{self.memory_bytes / BYTES_A_GIGABYTE:.1f} GB",
        }


class Watch(Protocol):
    """Called with what is seen of a run."""

    def __call__(self, seen: Seen) -> None:
        """Look at a run after a step."""


def unwatched(seen: Seen) -> None:
    """Look at nothing."""


class Speedometer:
    """Captions a second, over the steps since it was last read."""

    def __init__(self) -> None:
        self._captions, self._seconds, self._last = 0, 0.0, 0.0
        self._started = time.monotonic()

    def start(self) -> None:
        """Begin a step."""
        self._started = time.monotonic()

    def stop(self, captions: int) -> None:
        """End a step on so many captions."""
        self._captions += captions
        self._seconds += time.monotonic() - self._started

    def read(self) -> float:
        """Return the speed, and begin anew."""
        if self._seconds > 0:
            self._last = self._captions / self._seconds
        self._captions, self._seconds = 0, 0.0
        return self._last


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory in use so far: the GPU's, or the resident of this process; 0 where that is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    from resource import RUSAGE_SELF, getrusage

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * unit_bytes
