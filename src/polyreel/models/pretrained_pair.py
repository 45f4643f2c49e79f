"""Dual encoders as they come: CLIP, SigLIP, MetaCLIP and kin, whose texts and pictures share one space.

Here is the text tower. The image tower is the extractor `clip:MODEL`, so features are embeddings of frames already, and
a clip's embedding is the mean of its frames' directions (Luo et al. 2021, CLIP4Clip, "mean pooling"). Nothing learns.

Shapes: `N` texts, `C` clips, `T` frames, `D` dims.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError
from polyreel.models.frames import Features, check_clips
from polyreel.progress import quietly
from polyreel.similarity import unit
from polyreel.storage import read_json

Embeddings = npt.NDArray[np.float32]
KIND = "clip:"
_BATCH_SIZE = 64
_IMAGE_PARTS = ("vision_model", "visual_projection")
_ALWAYS_PADDED = "siglip"  # its texts were padded to the full length in training, and not masked


class PretrainedEncoder:
    """A dual encoder that was trained elsewhere, asked for what its texts mean.

    Attributes:
        name: folder or hub name.
        features: what made the rows it reads.
        langs: languages it is known to read; it may read more.
        fingerprint: digest of the text tower and its tokenizer; that of the image tower stands with the features.
        dim: width D of the space.
    """

    langs = ("en",)

    def __init__(
        self, name: str, network: nn.Module, tokenizer: PreTrainedTokenizerBase, features: FeatureSettings
    ) -> None:
        self.name, self.features = name, features
        self._network, self._tokenizer = network.eval(), tokenizer
        text = getattr(network.config, "text_config", network.config)
        self._most_tokens = min(tokenizer.model_max_length, getattr(text, "max_position_embeddings", 77))
        self._is_padded = str(getattr(network.config, "model_type", "")).startswith(_ALWAYS_PADDED)
        self.fingerprint = self._digest()
        self.dim: int = self.encode_text(["a text like any other"]).shape[1]

    @classmethod
    def open(cls, name: str, features: FeatureSettings) -> Self:
        """Load the text tower of a model.

        Args:
            name: a folder, or a name on the Hugging Face hub; "clip:" may stand before it.
            features: what made the rows it will read.

        Raises:
            DataError: there is no such model, or it has no text tower and tokenizer of this kind.
        """
        name = name.removeprefix(KIND)
        with quietly():
            try:
                network, tokenizer = AutoModel.from_pretrained(name), AutoTokenizer.from_pretrained(name)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{name} cannot be loaded ({str(error).splitlines()[0]}); expected a folder or a hub name of a "
                    "CLIP, SigLIP or MetaCLIP model with its tokenizer"
                ) from None
        if not hasattr(network, "get_text_features"):
            raise DataError(f"{name} is a {type(network).__name__}, which has no text tower beside an image tower")
        for part in _IMAGE_PARTS:
            if hasattr(network, part):
                network.register_module(part, None)  # its memory is free again
        return cls(name, network, tokenizer, features)

    def to(self, device: torch.device) -> Self:
        """Compute elsewhere."""
        self._network.to(device)
        return self

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        """Encode texts: rows of unit length, `[N, D]`."""
        parts = [self._embed(texts[first : first + _BATCH_SIZE]) for first in range(0, len(texts), _BATCH_SIZE)]
        return unit(np.concatenate(parts)) if parts else np.zeros((0, self.dim), np.float32)

    def encode_clips(self, features: Features) -> Embeddings:
        """Encode clips, given as embeddings `[T, D]` of their frames: rows of unit length, `[C, D]`.

        Raises:
            DataError: a matrix of another width, without rows, or with NaN.
        """
        check_clips(features, self.dim)
        return unit(np.stack([unit(rows.astype(np.float32)).mean(axis=0) for rows in features]))

    def _embed(self, texts: Sequence[str]) -> Embeddings:
        tokens = self._tokenizer(
            list(texts),
            padding="max_length" if self._is_padded else True,
            truncation=True,
            max_length=self._most_tokens,
            return_attention_mask=not self._is_padded,
            return_token_type_ids=False,
            return_tensors="pt",
        ).to(next(self._network.parameters()).device)
        with torch.inference_mode():
            answer = cast(Callable[..., object], self._network.get_text_features)(**tokens)
        rows_ND = answer if isinstance(answer, Tensor) else cast(Tensor, getattr(answer, "pooler_output", None))
        return cast(Embeddings, rows_ND.float().cpu().numpy())

    def _digest(self) -> str:
        digest = blake2b(digest_size=12)
        facts = [type(self._network).__name__, self._most_tokens, sorted(self._tokenizer.get_vocab().items())]
        digest.update(repr(facts).encode())
        for name, weight in sorted(self._network.state_dict().items()):
            if not name.startswith("logit_"):
                digest.update(name.encode())
                digest.update(weight.float().contiguous().numpy().data)
        return digest.hexdigest()


def is_pretrained_folder(folder: Path) -> bool:
    """Tell whether a folder holds a model as transformers keeps it, rather than one of ours."""
    return (folder / "config.json").is_file() and "model_type" in read_json(folder / "config.json")
