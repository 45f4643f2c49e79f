"""Text backbone around any Hugging Face encoder, from a folder or from the hub.

A saved model carries the encoder's configuration and tokenizer in `backbone/`, and all weights in its own file, so it
opens where the original is missing. Its tokenizer adds its own special tokens, and they count in the mean, as in the
reference implementation of C2KD. What transformers would get wrong without a word is put right here, or refused: a
tokenizer of another kind than the published one, one without pieces, and texts longer than there are positions.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES

from polyreel.errors import DataError
from polyreel.models.devices import placed
from polyreel.models.layers import masked_mean
from polyreel.models.packing import Packing, enable_packing
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.settings import TextSettings
from polyreel.models.tokenizer_files import as_published, check_tokenizer, saved_tokenizer
from polyreel.models.tokens import Tokens
from polyreel.models.trimming import trim_encoder
from polyreel.models.vocabulary import fingerprint_of_tokenizer, needed_pieces
from polyreel.progress import quietly
from polyreel.storage import fingerprint

if TYPE_CHECKING:
    from polyreel.models.sentence import SentenceHead

_FOLDER = "backbone"
_HEAD_FOLDER = "head"
_PROMPT_FILE = "prompt.txt"
_POOLER = "pooler"


class HuggingFaceBackbone(nn.Module):
    """An encoder, and how its last hidden states become one vector.

    Args:
        model: the encoder; one without a pooler has `pooler` None or no such attribute.
        tokenizer: the encoder's own.
        settings: pooling and most tokens.
        head: the sentence head of a sentence-transformers model, for `pooling = "own"`.
        prompt: what stands before every text.

    Raises:
        RecipeError: the tokenizer does not go with the encoder, or leaves no room for a text.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: TextSettings,
        head: "SentenceHead | None" = None,
        prompt: str = "",
    ) -> None:
        super().__init__()
        self._max_tokens = min(settings.max_tokens, tokenizer.model_max_length, _most_tokens(model))
        check_tokenizer(tokenizer, settings, num_known=len(next(model.get_input_embeddings().parameters())))
        self.model: nn.Module = model.float()
        self.head = head
        self.dim: int = model.config.hidden_size if head is None else head.dim
        self._config = model.config
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._is_mean = settings.pooling == "mean"
        self.pad_id = tokenizer.pad_token_id or 0
        self._unknown = tokenizer.unk_token_id or self.pad_id
        self._can_pack = enable_packing(model)
        self._first_position = _padding_position(model) + 1

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into tokens, those of the prompt and the special ones included, at least one each."""
        if not texts:
            return Tokens.from_lists([])
        encodings = self._tokenizer(
            [self._prompt + text for text in texts],
            truncation=True,
            max_length=self._max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return Tokens.from_lists([ids or [self._unknown] for ids in encodings["input_ids"]])

    def forward(self, tokens: Tokens) -> Tensor:
        """Turn B texts into vectors `[B, D]`."""
        if self._can_pack:
            return self._sum_up(*self._read_packed(tokens))
        return self.pool(*(placed(array, self._device) for array in tokens.padded(pad_id=self.pad_id)))

    def pool(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Turn padded tokens `[B, T]` into vectors `[B, D]`; where the mask is false there is none."""
        answer = self.model(input_ids=ids_BT, attention_mask=mask_BT.long())
        return self._sum_up(answer.last_hidden_state, mask_BT, getattr(answer, "pooler_output", None))

    def _sum_up(self, states_BTD: Tensor, mask_BT: Tensor, pooled_BD: Tensor | None) -> Tensor:
        if self.head is not None:
            vectors_BD: Tensor = self.head(states_BTD, mask_BT)
            return vectors_BD
        if self._is_mean:
            return masked_mean(states_BTD, mask_BT)
        return states_BTD[:, 0] if pooled_BD is None else pooled_BD

    def _read_packed(self, tokens: Tokens) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return last hidden states `[B, T, D]`, their mask, and what a pooler makes of them: without padding."""
        packing = Packing.of(tokens, self._device)
        positions_1N = packing.positions_1N + self._first_position
        answer = self.model(input_ids=packing.ids_1N, position_ids=positions_1N, packing=packing)
        states_BTD = packing.unpack(answer.last_hidden_state[0])
        pooler = None if self._is_mean else getattr(self.model, _POOLER, None)
        return states_BTD, packing.mask_BT, None if pooler is None else pooler(states_BTD)

    @property
    def table(self) -> nn.Module:
        """What looks up the vectors of tokens."""
        assert isinstance(self.model, PreTrainedModel), "as it was built with"
        table: nn.Module = self.model.get_input_embeddings()
        return table

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def tokens(self) -> PlainTokenizer:
        """The tokenizer as it works without transformers.

        Raises:
            DataError: it exists as Python alone.
        """
        if not isinstance(self._tokenizer, PreTrainedTokenizerFast):
            raise DataError(
                f"the tokenizer of this model is a {type(self._tokenizer).__name__}, which has no tokenizer.json; "
                "take an encoder that has one"
            )
        settings = TokenSettings(
            max_tokens=self._max_tokens, has_special=True, prompt=self._prompt, unknown=self._unknown, pad=self.pad_id
        )
        return PlainTokenizer(Tokenizer.from_str(self._tokenizer.backend_tokenizer.to_str()), settings)

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every token."""
        return self._tokenizer.get_vocab()

    @property
    def tokenizer_fingerprint(self) -> str:
        """Digest of what decides a text's tokens."""
        fast = isinstance(self._tokenizer, PreTrainedTokenizerFast)
        own = fingerprint_of_tokenizer(self._tokenizer.backend_tokenizer) if fast else self._tokenizer.get_vocab()
        return fingerprint(type(self._tokenizer).__name__, own, self._prompt, self._max_tokens)

    def save(self, folder: Path) -> None:
        """Write configuration, tokenizer, prompt and head into `backbone/` of a model's folder, without the weights."""
        place = folder / _FOLDER
        place.mkdir()
        self._config.save_pretrained(place)
        self._tokenizer.save_pretrained(place)
        if self._prompt:
            (place / _PROMPT_FILE).write_text(self._prompt, encoding="utf-8")
        if self.head is not None:
            self.head.save(place / _HEAD_FOLDER)


def load_encoder(name: str, settings: TextSettings, training_texts: Sequence[str]) -> HuggingFaceBackbone:
    """Load an encoder with its weights.

    Args:
        name: a folder or a hub name.
        settings: pooling, most tokens, vocabulary. With `pooling = "own"` the encoder's pooler is used if the weights
            have one.
        training_texts: whose pieces a trimmed vocabulary keeps.

    Raises:
        OSError: the folder is no encoder, or the hub does not have it or cannot be reached.
        RecipeError: it has no tokenizer that goes with it.
    """
    with quietly():
        config = AutoConfig.from_pretrained(name)
        model, found = _auto_class(config).from_pretrained(name, config=config, output_loading_info=True)
        tokenizer = as_published(AutoTokenizer.from_pretrained(name))
    has_pooler = not any(weight.startswith(_POOLER) for weight in found["missing_keys"])
    if settings.pooling == "mean" or not has_pooler:
        drop_pooler(model)
    return build_encoder(model, tokenizer, settings, training_texts)


def build_encoder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TextSettings,
    training_texts: Sequence[str],
    *,
    head: "SentenceHead | None" = None,
    prompt: str = "",
) -> HuggingFaceBackbone:
    """Make the backbone of an encoder that was loaded, its vocabulary trimmed where the settings ask for it.

    Args:
        model: the encoder; its table is replaced by a smaller one.
        tokenizer: the encoder's own.
        settings: pooling, most tokens, vocabulary.
        training_texts: whose pieces a trimmed vocabulary keeps.
        head: the sentence head, for `pooling = "own"`.
        prompt: what stands before every text.

    Raises:
        RecipeError: the tokenizer does not go with the encoder, or cannot be trimmed.
    """
    backbone = HuggingFaceBackbone(model, tokenizer, settings, head, prompt)
    if settings.vocabulary == "whole":
        return backbone
    smaller = trim_encoder(model, tokenizer, needed_pieces(backbone, training_texts))
    return HuggingFaceBackbone(model, smaller, settings, head, prompt)


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
    prompt = (place / _PROMPT_FILE).read_text("utf-8") if (place / _PROMPT_FILE).is_file() else ""
    return HuggingFaceBackbone(model, saved_tokenizer(place), settings, head, prompt)


def drop_pooler(model: PreTrainedModel) -> None:
    """Take away an encoder's pooler, so that no weights are kept and trained that nothing reads."""
    if hasattr(model, _POOLER):
        model.register_module(_POOLER, None)


def _auto_class(config: PretrainedConfig) -> type[AutoModel] | type[AutoModelForTextEncoding]:
    """Return the class that makes an encoder without its decoder, where a model has both."""
    is_listed = config.model_type in MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES
    return AutoModelForTextEncoding if is_listed else AutoModel


def _most_tokens(model: PreTrainedModel) -> int:
    """Return how many tokens have a position; those of RoBERTa and its kin begin after that of padding."""
    most: int = getattr(model.config, "max_position_embeddings", 0)
    return most - 1 - _padding_position(model) if most > 0 else sys.maxsize


def _padding_position(model: PreTrainedModel) -> int:
    """Return the last position before that of a text's first token: -1, where padding has none of its own."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = positions.padding_idx if isinstance(positions, nn.Embedding) else None
    return -1 if padding is None else padding
