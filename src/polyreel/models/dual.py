"""A dual encoder as it comes: texts and pictures in one space, nothing trained by us; a clip is the mean of its frames.

What it needs of a text tower is one function, whether torch runs it (`pretrained.py`) or onnxruntime (`OnnxTexts`), so
an exported model is asked without torch. The image tower is an extractor like any other; its rows are the model's own
embeddings of frames.

Shapes: `B` batch, `T` tokens or frames, `D` dims, `N` texts, `C` clips.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError
from polyreel.models.frames import Features, check_clips
from polyreel.models.onnx_retriever import CONFIG_FILE, TEXT_FILE, open_session
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.tokens import Tokens
from polyreel.settings import Settings, parse
from polyreel.similarity import Embeddings, unit
from polyreel.storage import read_json

IMAGE_FILE = "image.onnx"
BATCH_SIZE = 64


class TextReader(Protocol):
    """A text tower: texts in, rows out."""

    @property
    def fingerprint(self) -> str:
        """Digest of its weights, and of what cuts texts into tokens."""

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is known to read."""

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return rows `[N, D]`, of any length, of one text or more."""


class DualEncoder:
    """Score clips by texts with a text tower and the rows of the image tower beside it.

    A clip is the mean of its frames, each of unit length before, brought to unit length again.

    Args:
        texts: the text tower.
        features: what makes the image tower's rows.

    Raises:
        DataError: the two have different widths, so they are no pair.
    """

    def __init__(self, texts: TextReader, features: FeatureSettings) -> None:
        self._texts = texts
        self.features = features
        width = self.encode_text(["a text like any other"]).shape[1]
        if width != features.dim:
            raise DataError(
                f"the text tower gives {width} numbers and the image tower {features.extractor!r} gives "
                f"{features.dim}; they are no pair; name the image tower it was made for: --extractor clip:MODEL"
            )

    @property
    def fingerprint(self) -> str:
        """Digest of the text tower; that of the image tower stands in `features`."""
        return self._texts.fingerprint

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is known to read; it may read more."""
        return self._texts.langs

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        """Encode texts: rows of unit length, `[N, D]`."""
        return unit(self._texts(texts)) if len(texts) else np.zeros((0, self.features.dim), np.float32)

    def encode_clips(self, features: Features) -> Embeddings:
        """Encode clips, given as rows `[T, D]` of the image tower: rows of unit length, `[C, D]`.

        Raises:
            DataError: a matrix of another width, without rows, or with NaN.
        """
        check_clips(features, self.features.dim)
        means = [unit(np.asarray(rows_TD, np.float32)).mean(axis=0) for rows_TD in features]
        return unit(np.stack(means)) if means else np.zeros((0, self.features.dim), np.float32)


class DualSettings(Settings):
    """`config.json` of an exported dual encoder."""

    tokens: TokenSettings = Field(description="how its tokenizer is used")
    langs: tuple[str, ...] = Field(description="languages it is known to read")
    is_int8: bool = Field(description="whether its weights were rounded to 8 bits")
    fingerprint: str = Field(description="of the text tower's rows: its own, or one for its rounded weights")
    agreement: dict[str, float] = Field(
        default_factory=dict, description="least cosine with the model it was exported from, by tower"
    )


class OnnxTexts:
    """The text tower of an exported dual encoder, run by onnxruntime.

    Attributes:
        settings: what `config.json` says.
    """

    def __init__(self, folder: Path, settings: DualSettings) -> None:
        self.settings = settings
        self._tokenizer = PlainTokenizer.open(folder, settings.tokens)
        self._session = open_session(folder / TEXT_FILE)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open an exported pair's folder.

        Raises:
            DataError: it was edited or cut short.
        """
        config = folder / CONFIG_FILE
        return cls(folder, parse(DualSettings, read_json(config), str(config), DataError))

    @property
    def fingerprint(self) -> str:
        """That of the text tower it was exported from, unless the weights were rounded."""
        return self.settings.fingerprint

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is known to read."""
        return self.settings.langs

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return rows `[N, D]`."""
        tokens = self._tokenizer.tokenize(texts)
        rows = [self._session.run(None, self._fed(*padded(part, self.settings.tokens)))[0] for part in batches(tokens)]
        return np.concatenate(rows)

    def _fed(self, ids_BT: npt.NDArray[np.int64], mask_BT: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.generic]]:
        """Name what the graph reads; that of a tower without a mask has no such input."""
        read = {node.name for node in self._session.get_inputs()}
        return {name: array for name, array in (("tokens", ids_BT), ("mask", mask_BT)) if name in read}


def padded(tokens: Tokens, settings: TokenSettings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return tokens `[B, T]` and a mask, T the length the model was trained with, where it knows but one.

    SigLIP and its kin pool the last of 64 positions, padding or not, so they must be given all 64.
    """
    ids_BT, mask_BT = tokens.padded(pad_id=settings.pad)
    lacking = (settings.padded_to or 0) - ids_BT.shape[1]
    if lacking > 0:
        ids_BT = np.pad(ids_BT, ((0, 0), (0, lacking)), constant_values=settings.pad)
        mask_BT = np.pad(mask_BT, ((0, 0), (0, lacking)))
    if settings.pads_left:
        shifts_B = mask_BT.sum(axis=1)
        columns_BT = (np.arange(ids_BT.shape[1]) + shifts_B[:, None]) % ids_BT.shape[1]
        ids_BT = np.take_along_axis(ids_BT, columns_BT, axis=1)
        mask_BT = np.take_along_axis(mask_BT, columns_BT, axis=1)
    return ids_BT, mask_BT


def batches(tokens: Tokens) -> list[Tokens]:
    """Cut texts into portions, in their order."""
    starts = range(0, len(tokens), BATCH_SIZE)
    return [tokens.select(np.arange(start, min(start + BATCH_SIZE, len(tokens)))) for start in starts]


def is_exported_pair(folder: Path) -> bool:
    """Tell whether a folder is a dual encoder exported to ONNX."""
    return (folder / TEXT_FILE).is_file() and (folder / IMAGE_FILE).is_file()
