"""What made features: enough to make them again, and to tell them from others.

A store keeps it in its header and a model in its configuration, so wherever the two meet they are compared fact by
fact, and a mismatch is refused by the name of what differs.
"""

from typing import Self

from pydantic import Field, model_validator

from polyreel.settings import Settings
from polyreel.storage import Json, fingerprint


class Sampling(Settings):
    """Which frames of a clip are looked at: N of them, its length times the rate, within the limits."""

    frames_per_second: float = Field(default=1.0, gt=0.0, allow_inf_nan=False, description="frames a second")
    min_frames: int = Field(default=8, ge=1, description="at least so many in a short clip, whose motion would be lost")
    max_frames: int = Field(default=512, ge=1, description="at most so many in a long clip, for the memory they take")

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames is {self.min_frames} and max_frames {self.max_frames}; expected min <= max")
        return self


class FeatureSettings(Settings):
    """What made features.

    Imported features have neither source nor sampling. Their extractor's name promises that all features of this name
    and width were made alike, and their fingerprint holds no more than the two.
    """

    extractor: str = Field(min_length=1, description="name of what made rows of frames")
    extractor_fingerprint: str = Field(description="digest of its weights and settings")
    dim: int = Field(ge=1, description="width D of a row")
    source: str | None = Field(default=None, description="what `open_extractor` takes to open it again")
    sampling: Sampling | None = Field(default=None, description="which frames of a clip it saw")

    @classmethod
    def imported(cls, extractor: str, dim: int) -> Self:
        """Describe features that came as numbers, of which no more is known than a name and a width."""
        mark = fingerprint("imported features", extractor, dim)
        return cls(extractor=extractor, extractor_fingerprint=mark, dim=dim)

    def facts(self) -> dict[str, Json]:
        """Return by name what decides the numbers: everything but where the extractor lies."""
        sampling = self.sampling.model_dump() if self.sampling else dict.fromkeys(Sampling.model_fields, "unknown")
        return {**self.model_dump(include={"extractor", "extractor_fingerprint", "dim"}), **sampling}

    def difference(self, other: "FeatureSettings") -> str:
        """Say by name in which facts these differ from others; nothing where one model may read both."""
        others = other.facts()
        pairs = [(name, fact, others[name]) for name, fact in self.facts().items()]
        return ", ".join(f"{name} {ours!r} instead of {theirs!r}" for name, ours, theirs in pairs if ours != theirs)
