"""A model exported to ONNX, asked through onnxruntime: texts and clips in, embeddings out, without torch.

A folder holds `text.onnx` and `video.onnx` (padded input to rows of unit length), `tokenizer.json`, `config.json`. It
has what search and evaluation ask of a model. An export in 32 bits has the fingerprint of its origin: what one indexed,
the other may search.

Shapes: `B` batch, `T` tokens or frames, `N` texts, `C` clips.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors
from pydantic import Field

from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.models.frames import Features, by_length, check_clips, check_store, padded_frames
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.settings import RetrieverSettings
from polyreel.settings import Settings, parse
from polyreel.storage import read_json

CONFIG_FILE, TEXT_FILE, VIDEO_FILE = "config.json", "text.onnx", "video.onnx"
Embeddings = npt.NDArray[np.float32]
_QUIET = 3  # errors alone; the exporter's graphs make it warn of nothing that matters
_OPENING_ERRORS = (
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.Fail,
    onnxruntime_errors.NoSuchFile,
)


class OnnxSettings(Settings):
    """`config.json` of an exported model."""

    model: RetrieverSettings = Field(description="settings of the model it was exported from")
    tokens: TokenSettings = Field(description="how its tokenizer is used")
    is_int8: bool = Field(description="whether its weights were rounded to 8 bits")
    fingerprint: str = Field(description="of the embeddings: the model's own, or one for its rounded weights")
    agreement: dict[str, float] = Field(
        default_factory=dict, description="least cosine with the model it was exported from, by tower"
    )


class OnnxRetriever:
    """Score clips by texts, as the `Retriever` it was exported from.

    Attributes:
        settings: what `config.json` says.
    """

    def __init__(self, folder: Path, settings: OnnxSettings) -> None:
        self.settings = settings
        self._tokenizer = PlainTokenizer.open(folder, settings.tokens)
        self._text = open_session(folder / TEXT_FILE)
        self._video = open_session(folder / VIDEO_FILE)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open an exported model's folder.

        Raises:
            DataError: it holds none, or one that was edited or cut short.
        """
        folder = Path(folder)
        if not is_onnx_folder(folder):
            raise DataError(f"{folder} holds no exported model: no {TEXT_FILE}; make one with `polyreel export --onnx`")
        settings = parse(OnnxSettings, read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE), DataError)
        return cls(folder, settings)

    @property
    def fingerprint(self) -> str:
        """Digest of the weights; that of the model it was exported from, unless they were rounded."""
        return self.settings.fingerprint

    @property
    def space(self) -> str:
        """Fingerprint of the model whose clip embeddings its texts are compared with: its own, or its teacher's."""
        is_same = not self.settings.is_int8 or self.settings.model.video.pooling == "given"
        return (self.settings.model.space if is_same else None) or self.fingerprint

    @property
    def pretrained_on(self) -> str:
        """What its text encoder had read before it was trained here; "" for one from scratch."""
        return self.settings.model.text.pretrained_on or ""

    @property
    def features(self) -> FeatureSettings:
        """What made the features it was trained on."""
        return self.settings.model.features

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it was trained on."""
        return self.settings.model.langs

    def to(self, device: object) -> Self:
        """Stay on the CPU, where an exported model runs.

        Raises:
            ValueError: another device is asked for.
        """
        if str(device) != "cpu":
            raise ValueError(
                f"an exported model runs on the CPU, not on {device}; evaluate the model it was made of there"
            )
        return self

    def check_features(self, store: FeatureStore) -> None:
        """Refuse features this model was not trained for; see `check_store`."""
        check_store(store, self.features)

    def encode_text(self, texts: Sequence[str], *, batch_size: int = 64) -> Embeddings:
        """Encode texts of any length: rows of unit length, `[N, embed_dim]`."""
        tokens = self._tokenizer.tokenize(texts)
        found = np.zeros((len(tokens), self.settings.model.embed_dim), np.float32)
        for rows in by_length(tokens.lengths, batch_size):
            ids_BT, mask_BT = tokens.select(rows).padded(pad_id=self.settings.tokens.pad)
            found[rows] = self._text.run(None, {"tokens": ids_BT, "mask": mask_BT})[0]
        return found

    def encode_clips(self, features: Features, *, batch_size: int = 64) -> Embeddings:
        """Encode clips, given as features `[T, D]` like those it was trained on: rows of unit length, `[C, embed_dim]`.

        Raises:
            DataError: a matrix of another width, without rows, or with NaN.
        """
        check_clips(features, self.features.dim)
        found = np.zeros((len(features), self.settings.model.embed_dim), np.float32)
        for rows in by_length(np.array([len(matrix) for matrix in features]), batch_size):
            frames_BTD, mask_BT = padded_frames([features[row] for row in rows], self.settings.model.video)
            found[rows] = self._video.run(None, {"frames": frames_BTD, "mask": mask_BT})[0]
        return found


def is_onnx_folder(folder: Path) -> bool:
    """Tell whether a folder is an exported model rather than one of torch's weights."""
    return (folder / TEXT_FILE).is_file()


def open_session(file: Path) -> onnxruntime.InferenceSession:
    """Open a graph, to be run on the CPU.

    Raises:
        DataError: the file is missing, or cannot be run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except _OPENING_ERRORS as error:
        raise DataError(f"{file} cannot be run ({error}); export the model again") from None
