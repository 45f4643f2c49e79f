"""Text backbone around any Hugging Face encoder, from a folder or from the hub.

A saved model carries the encoder's configuration and tokenizer in `backbone/`, and all weights in its own file, so it
opens where the original is missing. Its tokenizer adds its own special tokens, and they count in the mean, as in the
reference implementation of C2KD.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES
from transformers.utils import logging

from polyreel.models.layers import masked_mean
from polyreel.models.settings import TextSettings
from polyreel.models.tokens import Tokens

if TYPE_CHECKING:
    from polyreel.models.sentence import SentenceHead

_FOLDER = "backbone"
_HEAD_FOLDER = "head"
_POOLER = "pooler"


class HuggingFaceBackbone(nn.Module):
    """An encoder, and how its last hidden states become one vector.

    Args:
        model: the encoder; one without a pooler has `pooler` None or no such attribute.
        tokenizer: the encoder's own.
        settings: pooling and most tokens.
        head: the sentence head of a sentence-transformers model, for `pooling = "own"`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: TextSettings,
        head: "SentenceHead | None" = None,
    ) -> None:
        super().__init__()
        self.model: nn.Module = model.float()
        self.head = head
        self.dim: int = model.config.hidden_size if head is None else head.dim
        self._config = model.config
        self._tokenizer = tokenizer
        self._is_mean = settings.pooling == "mean"
        limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", settings.max_tokens))
        self._max_tokens = min(settings.max_tokens, *limits)
        self._pad = tokenizer.pad_token_id or 0
        self._unknown = tokenizer.unk_token_id or self._pad

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into tokens, special ones included, at least one each."""
        if not texts:
            return Tokens.from_lists([])
        encodings = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)
        return Tokens.from_lists([ids or [self._unknown] for ids in encodings["input_ids"]])

    def forward(self, tokens: Tokens) -> Tensor:
        """Turn B texts into vectors `[B, D]`, padded to the longest of them."""
        device = next(self.model.parameters()).device
        ids_BT, mask_BT = (torch.from_numpy(array).to(device) for array in tokens.padded(pad_id=self._pad))
        answer = self.model(input_ids=ids_BT, attention_mask=mask_BT.long())
        states_BTD: Tensor = answer.last_hidden_state
        if self.head is not None:
            vectors_BD: Tensor = self.head(states_BTD, mask_BT)
            return vectors_BD
        if self._is_mean:
            return masked_mean(states_BTD, mask_BT)
        pooled_BD: Tensor | None = getattr(answer, "pooler_output", None)
        return states_BTD[:, 0] if pooled_BD is None else pooled_BD

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every token."""
        return self._tokenizer.get_vocab()

    def save(self, folder: Path) -> None:
        """Write configuration, tokenizer and head into `backbone/` of a model's folder; the weights lie elsewhere."""
        place = folder / _FOLDER
        place.mkdir()
        self._config.save_pretrained(place)
        self._tokenizer.save_pretrained(place)
        if self.head is not None:
            self.head.save(place / _HEAD_FOLDER)


def load_encoder(name: str, settings: TextSettings) -> HuggingFaceBackbone:
    """Load an encoder with its weights.

    Args:
        name: a folder or a hub name.
        settings: pooling and most tokens. With `pooling = "own"` the encoder's pooler is used if the weights have one.

    Raises:
        OSError: the folder is no encoder, or the hub does not have it or cannot be reached.
    """
    with quietly():
        config = AutoConfig.from_pretrained(name)
        model, found = _auto_class(config).from_pretrained(name, config=config, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(name)
    has_pooler = not any(weight.startswith(_POOLER) for weight in found["missing_keys"])
    if settings.pooling == "mean" or not has_pooler:
        drop_pooler(model)
    return HuggingFaceBackbone(model, tokenizer, settings)


def open_encoder(settings: TextSettings, folder: Path, weights: Collection[str]) -> HuggingFaceBackbone:
    """Make the backbone of a saved model, its weights not yet filled.

    Args:
        settings: pooling and most tokens.
        folder: the model's folder.
        weights: names of the backbone's weights in it, which tell whether it has a pooler.
    """
    place = folder / _FOLDER
    config = AutoConfig.from_pretrained(place)
    model = _auto_class(config).from_config(config)  # type: ignore[no-untyped-call]
    if not any(weight.startswith(f"model.{_POOLER}") for weight in weights):
        drop_pooler(model)
    head = None
    if (place / _HEAD_FOLDER).is_dir():
        from polyreel.models.sentence import open_head

        head = open_head(place / _HEAD_FOLDER, config.hidden_size)
    return HuggingFaceBackbone(model, AutoTokenizer.from_pretrained(place), settings, head)


def drop_pooler(model: PreTrainedModel) -> None:
    """Take away an encoder's pooler, so that no weights are kept and trained that nothing reads."""
    if hasattr(model, _POOLER):
        model.register_module(_POOLER, None)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from drawing progress bars while it loads."""
    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _auto_class(config: PretrainedConfig) -> type[AutoModel] | type[AutoModelForTextEncoding]:
    """Return the class that makes an encoder without its decoder, where a model has both."""
    is_listed = config.model_type in MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES
    return AutoModelForTextEncoding if is_listed else AutoModel
