"""Text backbone around any Hugging Face encoder, from a folder or from the hub.

A saved model carries the encoder's configuration and tokenizer in `backbone/`, and all weights in its own file, so it
opens where the original is missing. Its tokenizer adds its own special tokens, and they count in the mean, as in the
reference implementation of C2KD. What transformers would get wrong without a word is put right here, or refused: a
tokenizer of another kind than the published one, one without pieces, and texts longer than there are positions.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from transformers.utils import logging
from transformers.utils.hub import cached_file

from polyreel.errors import DataError, RecipeError
from polyreel.models.layers import masked_mean
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.settings import TextSettings
from polyreel.models.tokens import Tokens

if TYPE_CHECKING:
    from polyreel.models.sentence import SentenceHead

_FOLDER = "backbone"
_HEAD_FOLDER = "head"
_PROMPT_FILE = "prompt.txt"
_TOKENIZER_FILE = "tokenizer.json"
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
        _check_tokenizer(tokenizer, settings, num_known=len(next(model.get_input_embeddings().parameters())))
        self.model: nn.Module = model.float()
        self.head = head
        self.dim: int = model.config.hidden_size if head is None else head.dim
        self._config = model.config
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._is_mean = settings.pooling == "mean"
        self.pad_id = tokenizer.pad_token_id or 0
        self._unknown = tokenizer.unk_token_id or self.pad_id

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
        """Turn B texts into vectors `[B, D]`, padded to the longest of them."""
        device = next(self.model.parameters()).device
        ids_BT, mask_BT = (torch.from_numpy(array).to(device) for array in tokens.padded(pad_id=self.pad_id))
        return self.pool(ids_BT, mask_BT)

    def pool(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Turn padded tokens `[B, T]` into vectors `[B, D]`; where the mask is false there is none."""
        answer = self.model(input_ids=ids_BT, attention_mask=mask_BT.long())
        states_BTD: Tensor = answer.last_hidden_state
        if self.head is not None:
            vectors_BD: Tensor = self.head(states_BTD, mask_BT)
            return vectors_BD
        if self._is_mean:
            return masked_mean(states_BTD, mask_BT)
        pooled_BD: Tensor | None = getattr(answer, "pooler_output", None)
        return states_BTD[:, 0] if pooled_BD is None else pooled_BD

    @property
    def tokens(self) -> PlainTokenizer:
        """The tokenizer as it works without transformers.

        Raises:
            DataError: it exists as Python alone.
        """
        if not isinstance(self._tokenizer, PreTrainedTokenizerFast):
            raise DataError(
                f"the tokenizer of this model is a {type(self._tokenizer).__name__}, which has no {_TOKENIZER_FILE}; "
                "take an encoder that has one"
            )
        settings = TokenSettings(
            max_tokens=self._max_tokens, has_special=True, prompt=self._prompt, unknown=self._unknown, pad=self.pad_id
        )
        return PlainTokenizer(Tokenizer.from_str(self._tokenizer.backend_tokenizer.to_str()), settings)

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every token."""
        return self._tokenizer.get_vocab()

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


def load_encoder(name: str, settings: TextSettings) -> HuggingFaceBackbone:
    """Load an encoder with its weights.

    Args:
        name: a folder or a hub name.
        settings: pooling and most tokens. With `pooling = "own"` the encoder's pooler is used if the weights have one.

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
    prompt = (place / _PROMPT_FILE).read_text("utf-8") if (place / _PROMPT_FILE).is_file() else ""
    return HuggingFaceBackbone(model, _saved_tokenizer(place), settings, head, prompt)


def as_published(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer that lies in its `tokenizer.json`, if transformers has made another kind out of its pieces.

    transformers 5 makes the tokenizer anew by the class that the configuration names, or else by the architecture. A
    multilingual MiniLM is a BERT with XLM-R's pieces and often names no class: it would get WordPiece, to which nearly
    every word of its vocabulary is unknown.

    Args:
        tokenizer: as transformers has made it.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or not _has_file(tokenizer.name_or_path, _TOKENIZER_FILE):
        return tokenizer
    published: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(tokenizer.name_or_path)
    if type(published.backend_tokenizer.model) is type(tokenizer.backend_tokenizer.model):
        return tokenizer
    published.model_max_length = tokenizer.model_max_length
    return published


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


def _has_file(name: str, file: str) -> bool:
    """Say whether a folder, or what the hub gives or gave under a name, has a file."""
    found = cached_file(
        name, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return found is not None


def _saved_tokenizer(place: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer as it was saved; by its class, transformers would make it anew and lose what was changed."""
    kind = PreTrainedTokenizerFast if (place / _TOKENIZER_FILE).is_file() else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(place)
    return tokenizer


def _most_tokens(model: PreTrainedModel) -> int:
    """Return how many tokens have a position; those of RoBERTa and its kin begin after that of padding."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if isinstance(positions, nn.Embedding) and positions.padding_idx is not None:
        return positions.num_embeddings - positions.padding_idx - 1
    most: int = getattr(model.config, "max_position_embeddings", 0)
    return most if most > 0 else sys.maxsize


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, settings: TextSettings, *, num_known: int) -> None:
    vocabulary = tokenizer.get_vocab()
    if vocabulary.keys() <= set(tokenizer.all_special_tokens):
        raise RecipeError(
            f"text.backbone {settings.backbone!r} has no tokenizer: none of its files gives {type(tokenizer).__name__} "
            "any pieces; expected tokenizer.json or that class's own files; download all files of the model"
        )
    if max(vocabulary.values()) >= num_known:
        raise RecipeError(
            f"text.backbone {settings.backbone!r} has a tokenizer of {max(vocabulary.values()) + 1} tokens, but the "
            f"encoder knows {num_known}; they do not belong together; download all files of one model"
        )
    num_special = tokenizer.num_special_tokens_to_add()
    if settings.max_tokens <= num_special:
        raise RecipeError(
            f"text.max_tokens is {settings.max_tokens}, and the tokenizer of {settings.backbone!r} adds {num_special} "
            f"special tokens to every text; expected at least {num_special + 1}"
        )
