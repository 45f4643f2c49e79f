"""An encoder's table and tokenizer cut down together."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from polyreel.errors import RecipeError
from polyreel.models.tokenizer_files import TOKENIZER_FILE, saved_tokenizer
from polyreel.models.vocabulary import trimmed

_SPECIAL = ("pad", "unk", "bos", "eos", "cls", "sep", "mask")


def trim_encoder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, needed: Iterable[int]
) -> PreTrainedTokenizerBase:
    """Give an encoder a table of the pieces that are needed, in place; return the tokenizer that goes with it.

    Args:
        model: its table loses rows.
        tokenizer: the encoder's own; it stays as it is.
        needed: numbers of the pieces that must stay.

    Raises:
        RecipeError: the tokenizer has no `tokenizer.json`, or is of a kind that cannot be cut down.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise RecipeError(
            f'text.vocabulary is "trimmed", but {type(tokenizer).__name__} has no {TOKENIZER_FILE}; use "whole"'
        )
    padding = tokenizer.pad_token_id or 0
    # positions of RoBERTa and its kin are counted from the number of padding, which must stay what it is
    kept = {*needed, *range(padding + 1)}
    smaller, numbers = trimmed(tokenizer.backend_tokenizer, kept)
    with TemporaryDirectory() as place:
        tokenizer.save_pretrained(place)
        smaller.save(str(Path(place) / TOKENIZER_FILE))
        found = saved_tokenizer(Path(place))
    table = model.get_input_embeddings()
    assert isinstance(table, nn.Embedding), "an encoder of pieces has a table of them"
    rows = table.weight.detach()[torch.from_numpy(numbers)]
    model.set_input_embeddings(nn.Embedding(len(rows), table.embedding_dim, table.padding_idx, _weight=rows))
    model.config.vocab_size = len(numbers)
    for name in _SPECIAL:
        if getattr(model.config, f"{name}_token_id", None) is not None:
            setattr(model.config, f"{name}_token_id", getattr(found, f"{name}_token_id"))
    return found
