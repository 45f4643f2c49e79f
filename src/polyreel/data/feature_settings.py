"""What made features: enough to make them again, and to tell them from others.

A store keeps it in its header and a model in its configuration, so wherever the two meet they are compared fact by
fact, and a mismatch is refused by the name of what differs.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from polyreel.settings import Settings
from polyreel.storage import Json, fingerprint

_NO_LIMIT = 10**9

FrameKind = Literal["all", "references", "key"]


class Sampling(Settings):
    """Which frames of a clip are looked at: N of them, its length times the rate, within the limits.

    Frames of all kinds are taken at exact moments. "references" passes over frames that no other is decoded from, and
    takes those before them. "key" takes key frames alone, one in `1 / frames_per_second` seconds at most; a clip with
    less than `min_frames` of them is looked at by time, and so is a long stretch without one.
    """

    frames_per_second: float = Field(default=1.0, gt=0.0, allow_inf_nan=False, description="frames a second")
    min_frames: int = Field(default=8, ge=1, description="at least so many in a short clip, whose motion would be lost")
    max_frames: int = Field(default=512, ge=1, description="at most so many in a long clip, for the memory they take")
    frames: FrameKind = Field(default="all", description="which may be taken; fewer are faster")
    max_key_gap_seconds: float = Field(
        default=10.0, gt=0.0, description="a longer stretch without key frames is looked at by time all the same"
    )

    @classmethod
    def every(cls, seconds: float, *, frames: FrameKind = "all") -> Self:
        """Look at one frame in so many seconds, of any clip."""
        return cls(frames_per_second=1 / seconds, min_frames=1, max_frames=_NO_LIMIT, frames=frames)

    @classmethod
    def uniform(cls, num_frames: int) -> Self:
        """Look at so many frames of every clip, spread evenly."""
        return cls(min_frames=num_frames, max_frames=num_frames)

    @classmethod
    def key_frames(cls, *, at_most_every: float = 1.0, max_gap_seconds: float = 10.0) -> Self:
        """Look at key frames, one in so many seconds at most; where they are too sparse, at others."""
        return cls(
            frames_per_second=1 / at_most_every,
            min_frames=1,
            max_frames=_NO_LIMIT,
            frames="key",
            max_key_gap_seconds=max_gap_seconds,
        )

    @classmethod
    def named(cls, name: str) -> Self:
        """Choose by a name: "every:2" (seconds), "references:2", "uniform:12" (frames a clip), "key", "key:2".

        Raises:
            ValueError: no policy has this name, or its number cannot be.
        """
        kind, _, number = name.partition(":")
        try:
            if kind in ("every", "references") and float(number) > 0:
                return cls.every(float(number), frames="references" if kind == "references" else "all")
            if kind == "uniform" and int(number) > 0:
                return cls.uniform(int(number))
            if kind == "key" and (name == kind or float(number) > 0):
                return cls.key_frames(at_most_every=float(number or 1))
        except ValueError:
            pass
        raise ValueError(
            f"frames {name!r} are none that can be chosen; expected every:SECONDS, references:SECONDS, "
            "uniform:NUMBER, key or key:SECONDS"
        )

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
