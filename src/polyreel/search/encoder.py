"""An extractor and a model joined under one fingerprint: videos and texts in, embeddings that can be compared out.

The model is anything with the two towers' methods. Two kinds are opened from a folder: polyreel's own, which was
trained on an extractor's features, and a dual encoder as it was published, whose image tower is the extractor. torch is
loaded only if it was not exported to ONNX.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.errors import DataError, FingerprintError, saying_which_extra
from polyreel.models.dual import IMAGE_FILE, DualEncoder, OnnxTexts, TextReader, is_exported_pair
from polyreel.models.opening import open_model
from polyreel.models.pretrained_files import is_published_model, is_sentence_model
from polyreel.similarity import BANK_FILE, Embeddings, QueryBank
from polyreel.storage import fingerprint, published_name
from polyreel.video.decode import open_video
from polyreel.video.extract import clip_features, feature_settings
from polyreel.video.extractors import Extractor, open_extractor
from polyreel.video.windows import Span

DEFAULT_MODEL = "google/siglip2-base-patch16-224"
IMAGE_TOWER_OF = {"clip-ViT-B-32-multilingual-v1": "clip:openai/clip-vit-base-patch32"}
"""Image towers of text towers that were made for them, by the text tower's name without its owner."""
WITHOUT_TORCH = (
    "without torch a model runs only as `polyreel export --onnx --int8` left it in a folder (--model FOLDER)"
)


class Model(Protocol):
    """What search asks of a trained model; `Retriever` has it.

    One whose clip embeddings are another model's says so by an attribute `space`, the fingerprint of that one.
    """

    @property
    def fingerprint(self) -> str:
        """Digest of weights and settings."""

    @property
    def features(self) -> FeatureSettings:
        """What made the features it was trained on."""

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it was trained on."""

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
        model_folder: where the model was opened; None for one that lives in memory alone.

    Raises:
        FingerprintError: the model was trained on features that this extractor does not make.
    """

    model: Model
    extractor: Extractor
    model_folder: Path | None = None

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        if difference := feature_settings(self.extractor, self.sampling).difference(self.model.features):
            raise FingerprintError(
                f"this extractor is not the one the model was trained with: {difference}; name that one, or train a "
                "model on this one's features"
            )

    @property
    def sampling(self) -> Sampling:
        """Which frames of a clip are looked at: as many as in training."""
        if self.model.features.sampling is None:
            raise _imported(self.model.features)
        return self.model.features.sampling

    @classmethod
    def open(
        cls, model_folder: Path | str, extractor: str | None = None, *, device: str | None = None
    ) -> "SearchEncoder":
        """Open a model folder and the extractor that goes with it.

        Args:
            model_folder: what training left in `RUN/model`; a dual encoder as it was published, such as SigLIP 2, or a
                text tower made for the image tower of one; or what `polyreel export --onnx` made of any of these.
            extractor: what `open_extractor` takes; None means the model's own, where it was when features were made.
            device: where networks of torch compute, as torch calls it; None: texts on the processor, frames on a GPU,
                if there is one.

        Raises:
            FingerprintError: the model was trained on features that this extractor does not make, or on imported ones.
            DataError: the folder holds no model, or the extractor is not there.
            MissingExtraError: it needs torch, and that is not installed.
        """
        if is_exported_pair(Path(model_folder)) or is_published_model(Path(model_folder)):
            return _open_published(Path(model_folder), extractor, device)
        model = open_model(model_folder)
        if device is not None:
            model.to(device)
        source = extractor or model.features.source
        if source is None:
            raise _imported(model.features)
        try:
            opened = open_extractor(source, device)
        except ValueError as error:
            raise DataError(
                f"{model_folder} was trained on features of {model.features.extractor!r}: {error}; say where that "
                "extractor is"
            ) from None
        return cls(model=model, extractor=opened, model_folder=Path(model_folder))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what embeds clips, extractor and sampling: embeddings can be compared if and only if it is equal.

        Models whose texts have learnt the space of one teacher have the same, which is the teacher's.
        """
        space = getattr(self.model, "space", None) or self.model.fingerprint
        return fingerprint(space, self.model.features.facts())

    @cached_property
    def dim(self) -> int:
        """Width D of an embedding."""
        return int(self.encode_text(["a text like any other"]).shape[1])

    @cached_property
    def query_bank(self) -> QueryBank:
        """The bank of training captions in the model's folder; of everyday queries, for a model that we did not train.

        Raises:
            DataError: the model lives in memory alone, or has no bank.
            FingerprintError: the bank was made by another model.
        """
        if self.model_folder is None:
            raise DataError("the model is in no folder, so there is no query bank beside it; save the model first")
        if isinstance(self.model, DualEncoder) and not (self.model_folder / BANK_FILE).is_file():
            from polyreel.search.strength import background_bank

            return background_bank(self)
        return QueryBank.open(self.model_folder, self.model.fingerprint)

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
        with open_video(video) as opened:
            found = clip_features(opened, spans, self.extractor, self.sampling)
            rows_by_clip = {position: features.rows for position, features in found}
        return self.model.encode_clips([rows_by_clip[position] for position in range(len(spans))])


def _open_published(folder: Path, extractor: str | None, device: str | None) -> SearchEncoder:
    """Open a dual encoder that nobody trained further."""
    if is_exported_pair(folder):
        images = open_extractor(extractor or f"onnx:{folder / IMAGE_FILE}")
        return _joined(OnnxTexts.open(folder), images, folder)
    with saying_which_extra(f"{WITHOUT_TORCH}; {folder}"):
        from polyreel.models.pretrained import open_texts
    images = open_extractor(extractor or image_tower_of(folder), device)
    texts = open_texts(folder)
    return _joined(texts if device is None else texts.to(device), images, folder)


def _joined(texts: TextReader, images: Extractor, folder: Path) -> SearchEncoder:
    model = DualEncoder(texts, feature_settings(images, Sampling()))
    return SearchEncoder(model=model, extractor=images, model_folder=folder)


def image_tower_of(folder: Path) -> str:
    """Return the extractor that goes with a published model: its own image tower, or that a text tower was made for.

    Raises:
        DataError: the folder holds a text tower alone, and whose image tower goes with it is not known.
    """
    if not is_sentence_model(folder):
        return f"clip:{folder.absolute()}"
    partner = IMAGE_TOWER_OF.get(published_name(folder))
    if partner is None:
        raise DataError(
            f"{folder} is a text tower alone; say which image tower it was made for: --extractor clip:MODEL, "
            "MODEL a folder or a name on the hub"
        )
    return partner


def _imported(features: FeatureSettings) -> FingerprintError:
    return FingerprintError(
        f"the model was trained on imported features {features.extractor!r}, and nothing says how to make them of a "
        "video; to search videos, train on features that `polyreel extract` made"
    )
