"""What makes a translated caption suspect: one ramp a check, from settings or a TOML file.

Every check measures one number of a caption. A ramp turns it into a mark between 0 and 1: 0 up to (or from) the first
value, 1 from (or down to) the second, straight in between. The defaults were chosen on the validation part of Multi30k
(`benchmarks/translation_quality.py`), save that of round trips, for which no translator was at hand.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from polyreel.errors import DataError
from polyreel.settings import Settings, parse, read_toml

Check = Literal[
    "language", "length", "repetition", "copied", "untranslated", "numbers", "negation", "likeness", "round_trip"
]
CHECKS: tuple[Check, ...] = get_args(Check)


def _check_ramp(ramp: tuple[float, float]) -> tuple[float, float]:
    if not (np.isfinite(ramp).all() and ramp[0] != ramp[1]):
        raise ValueError(
            f"the ramp is {list(ramp)}; expected two different numbers: where the mark is 0, where it is 1"
        )
    return ramp


Ramp = Annotated[tuple[float, float], AfterValidator(_check_ramp)]


class QualitySettings(Settings):
    """Where each check's mark is 0 and where it is 1, and what is asked at all."""

    language: Ramp = Field(default=(0.1, 0.75), description="probability of the stated language among those configured")
    length: Ramp = Field(default=(3.0, 1.75), description="deviations from the language's usual length ratio")
    repetition: Ramp = Field(default=(4.0, 2.0), description="times a phrase stands in a row, if not so in English")
    copied: Ramp = Field(default=(0.8, 0.4), description="share of the words that are the English ones")
    untranslated: Ramp = Field(default=(4.0, 2.0), description="words in a row as they stand in English, less names")
    numbers: Ramp = Field(default=(0.0, 1.0), description="1: kept; 0.5: one is lost or added; 0: one became another")
    negation: Ramp = Field(default=(0.0, 1.0), description="1: kept; 0.5: added; 0: dropped")
    likeness: Ramp = Field(default=(0.15, 0.65), description="to the English: 0 as a stranger's, 1 as usual in the set")
    round_trip: Ramp = Field(default=(10.0, 40.0), description="chrF of the text put back into English")
    without: tuple[Check, ...] = Field(default=(), description="checks left out")
    langs: tuple[str, ...] = Field(
        default=(), description="languages a text may be in; none: English and those of the captions"
    )
    encoder: str | None = Field(
        default=None, description="multilingual sentence-transformers folder or hub name; None: likeness is not asked"
    )
    least_pairs: int = Field(
        default=50, ge=2, description="captions of a language below which length and likeness are not judged"
    )
    length_deviation: tuple[float, float] = Field(
        default=(0.05, 0.2), description="least and most deviation of log length ratios that a language is granted"
    )
    least_separation: float = Field(
        default=0.1, ge=0, description="cosine by which an encoder must tell a language's pairs from strangers"
    )
    reason_at_most: float = Field(default=0.5, ge=0, lt=1, description="highest mark that is a reason")
    drop_below: float = Field(default=0.5, ge=0, le=1, description="score below which `drop` drops")
    least_weight: float = Field(default=0.01, gt=0, le=1, description="that `weight` gives, whatever the score")

    def ramp(self, check: Check) -> tuple[float, float]:
        """Return where a check's mark is 0 and where it is 1."""
        ramp: tuple[float, float] = getattr(self, check)
        return ramp

    def mark(self, check: Check, measured_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn what a check measured, `[N]`, into marks between 0 and 1; NaN, which was not judged, stays NaN."""
        zero, one = self.ramp(check)
        marks_N: npt.NDArray[np.float64] = np.clip((measured_N - zero) / (one - zero), 0.0, 1.0) + 0.0  # never -0
        return marks_N

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read settings from a TOML file.

        Raises:
            DataError: no such file, an unknown key or a wrong value.
        """
        return parse(cls, read_toml(Path(path), DataError), str(path), DataError)
