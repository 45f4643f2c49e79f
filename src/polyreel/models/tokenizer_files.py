"""Tokenizers as they were published, as transformers would otherwise not open them."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from polyreel.errors import RecipeError
from polyreel.models.settings import TextSettings

TOKENIZER_FILE = "tokenizer.json"


def as_published(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer that lies in its `tokenizer.json`, if transformers has made another kind out of its pieces.

    transformers 5 makes the tokenizer anew by the class that the configuration names, or else by the architecture. A
    multilingual MiniLM is a BERT with XLM-R's pieces and often names no class: it would get WordPiece, to which nearly
    every word of its vocabulary is unknown.

    Args:
        tokenizer: as transformers has made it.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or not _has_file(tokenizer.name_or_path, TOKENIZER_FILE):
        return tokenizer
    published: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(tokenizer.name_or_path)
    if type(published.backend_tokenizer.model) is type(tokenizer.backend_tokenizer.model):
        return tokenizer
    published.model_max_length = tokenizer.model_max_length
    return published


def saved_tokenizer(place: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer as it was saved; by its class, transformers would make it anew and lose what was changed."""
    kind = PreTrainedTokenizerFast if (place / TOKENIZER_FILE).is_file() else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(place)
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, settings: TextSettings, *, num_known: int) -> None:
    """Refuse a tokenizer that has no pieces, has more than the encoder knows, or leaves no room for a text.

    Raises:
        RecipeError: naming the backbone.
    """
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


def _has_file(name: str, file: str) -> bool:
    """Say whether a folder, or what the hub gives or gave under a name, has a file."""
    found = cached_file(
        name, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return found is not None
