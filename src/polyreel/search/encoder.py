"""An extractor and a model joined under one fingerprint: videos and texts in, embeddings that can be compared out.

The model is anything with the two towers' methods; polyreel's own is opened from its folder, and only then is torch
loaded.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polyreel.errors import FingerprintError
from polyreel.similarity import Embeddings
from polyreel.storage import fingerprint
from polyreel.video.extract import clip_features
from polyreel.video.extractors import Extractor, open_extractor
from polyreel.video.windows import Sampling, Span


class Model(Protocol):
    """What search asks of a trained model; `Retriever` has it."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights and settings."""

    @property
    def extractor(self) -> str:
        """Name of the extractor whose features it was trained on."""

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        """Return unit-length embeddings of texts, `[N, D]`."""

    def encode_clips(self, features: Sequence[npt.NDArray[np.float32]]) -> Embeddings:
        """Return unit-length embeddings of clips, `[N, D]`, given the features of each, `[T, D_in]`."""


@dataclass(frozen=True, kw_only=True)
class SearchEncoder:
    """Embeds texts, and clips of video files, into one space.

    Attributes:
        model: the trained towers.
        extractor: what turns frames into the features the model was trained on.
        sampling: which frames of a clip are looked at.
        model_folder: where the model was opened; None for one that lives in memory alone.

    Raises:
        FingerprintError: the model was trained on another extractor's features.
    """

    model: Model
    extractor: Extractor
    sampling: Sampling = field(default_factory=Sampling)
    model_folder: Path | None = None

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        if self.model.extractor != self.extractor.name:
            raise FingerprintError(
                f"the model was trained on features of {self.model.extractor!r}, not of {self.extractor.name!r}; "
                "name the extractor it was trained with"
            )

    @classmethod
    def open(cls, model_folder: Path | str, extractor: str | None = None) -> "SearchEncoder":
        """Open a model folder and the extractor that goes with it.

        Args:
            model_folder: what training left in `RUN/model`.
            extractor: what `open_extractor` takes; None means the model's own extractor by its name, which is enough
                where that needs no file.

        Raises:
            FingerprintError: the model was trained on another extractor's features.
            ValueError: there is no such extractor, or the model's own must be named with its file.
        """
        from polyreel.models.retriever import Retriever

        model = Retriever.load(Path(model_folder))
        try:
            opened = open_extractor(extractor or model.extractor)
        except ValueError as error:
            raise ValueError(f"{model_folder} was trained on features of {model.extractor!r}: {error}") from None
        return cls(model=model, extractor=opened, model_folder=Path(model_folder))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of model, extractor and sampling: embeddings can be compared if and only if it is the same."""
        return fingerprint(self.model.fingerprint, self.extractor.fingerprint, asdict(self.sampling))

    @cached_property
    def dim(self) -> int:
        """Width D of an embedding."""
        return int(self.encode_text(["a text like any other"]).shape[1])

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        """Return unit-length embeddings of texts, `[N, D]`."""
        return self.model.encode_text(texts)

    def encode_video(self, video: Path, spans: Sequence[Span]) -> Embeddings:
        """Return unit-length embeddings of clips of one video, `[N, D]`; the video is decoded once.

        Args:
            video: the file.
            spans: the clips, one or more, within the video.

        Raises:
            VideoError: the video cannot be decoded.
        """
        rows_by_clip = {
            position: features.rows for position, features in clip_features(video, spans, self.extractor, self.sampling)
        }
        return self.model.encode_clips([rows_by_clip[position] for position in range(len(spans))])
