"""Tokenizers cut down to the pieces that some texts need, so that the table behind them shrinks.

A multilingual encoder knows pieces of a hundred languages, and its table of them may be most of its weights; captions
in a few languages use some thousands. The rest is taken out of the tokenizer itself, which stays an ordinary
`tokenizer.json`. The texts it was cut down for are cut into the very pieces as before. Any other text is still read: a
word whose piece is gone is cut into shorter ones, down to single characters, which are all kept.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from polyreel.errors import RecipeError
from polyreel.models.tokens import Tokens
from polyreel.storage import Json, fingerprint

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_WORD_STARTS = "▁Ġ"
_TEXTS_AT_ONCE = 16_384


def fingerprint_of_tokenizer(tokenizer: Tokenizer) -> str:
    """Return a digest of how a tokenizer cuts texts, whatever padding and truncation it was last asked for."""
    state = json.loads(tokenizer.to_str())
    return fingerprint({**state, "padding": None, "truncation": None})


class Reader(Protocol):
    """What cuts texts into tokens, as every text backbone does."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into tokens."""


def trimmed(tokenizer: Tokenizer, needed: Iterable[int]) -> tuple[Tokenizer, npt.NDArray[np.int64]]:
    """Keep the pieces that are needed, single characters and special tokens.

    Args:
        tokenizer: WordPiece, Unigram or BPE.
        needed: numbers of the pieces that must stay.

    Returns:
        The smaller tokenizer, and the old number of each of its pieces, rising.

    Raises:
        RecipeError: it is of another kind.
    """
    state = json.loads(tokenizer.to_str())
    model, pieces = state["model"], tokenizer.get_vocab(with_added_tokens=True)
    if model["type"] not in ("WordPiece", "Unigram", "BPE"):
        raise RecipeError(
            f'text.vocabulary is "trimmed", but the tokenizer is of the kind {model["type"]}; expected WordPiece, '
            'Unigram or BPE; use "whole"'
        )
    wanted = {*needed, *(token["id"] for token in state["added_tokens"])}
    unknown = model.get("unk_token")
    mark = model.get("continuing_subword_prefix") or ""
    kept = {piece for piece, number in pieces.items() if number in wanted or piece == unknown or _is_one(piece, mark)}
    if model.get("unk_id") is not None:
        kept.add(model["vocab"][model["unk_id"]][0])
    if model["type"] == "BPE":
        kept |= _parts_of(kept, model["merges"])
    numbers = sorted(pieces[piece] for piece in kept)
    new = {old: number for number, old in enumerate(numbers)}
    _renumber_model(model, kept, new)
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    state["post_processor"] = _renumbered(state["post_processor"], {piece: new[pieces[piece]] for piece in kept})
    return Tokenizer.from_str(json.dumps(state)), np.array(numbers, np.int64)


def needed_pieces(backbone: Reader, texts: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the numbers of the pieces that texts are cut into, each once.

    Raises:
        ValueError: there are no texts.
    """
    if not texts:
        raise ValueError(
            'text.vocabulary is "trimmed", which keeps the pieces of the training captions, but there are none'
        )
    return pieces_of(backbone, texts)


def pieces_of(backbone: Reader, texts: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the numbers of the pieces that texts are cut into, each once; of no texts, none."""
    found = np.zeros(0, np.int32)
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        found = np.union1d(found, backbone.tokenize(texts[first : first + _TEXTS_AT_ONCE]).ids)
    return found


def _is_one(piece: str, mark: str) -> bool:
    """Say whether a piece is a single character or byte, whatever mark says that it begins or continues a word."""
    bare = piece.removeprefix(mark)
    return len(bare.lstrip(_WORD_STARTS)) <= 1 or _BYTE.fullmatch(bare) is not None


def _parts_of(kept: set[str], merges: list[list[str]]) -> set[str]:
    """Return all pieces on the way to those of a byte-pair encoding that are kept."""
    made_of: dict[str, list[list[str]]] = {}
    for first, second in merges:
        made_of.setdefault(first + second, []).append([first, second])
    found, due = set[str](), list(kept)
    while due:
        piece = due.pop()
        if piece not in found:
            found.add(piece)
            due += [part for parts in made_of.get(piece, []) for part in parts]
    return found


def _renumber_model(model: dict[str, Json], kept: set[str], new: dict[int, int]) -> None:
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        model["vocab"] = {piece: new[number] for piece, number in vocab.items() if piece in kept}
    elif isinstance(vocab, list):
        model["vocab"] = [entry for entry in vocab if entry[0] in kept]
        model["unk_id"] = None if model["unk_id"] is None else new[int(str(model["unk_id"]))]
    if model["type"] == "BPE":
        merges = model["merges"]
        assert isinstance(merges, list)
        model["merges"] = [pair for pair in merges if {*pair, "".join(pair)} <= kept]


def _renumbered(part: Json, number_of: dict[str, int]) -> Json:
    """Return a post-processor with the numbers that its special tokens have now, wherever in it they stand."""
    if isinstance(part, dict):
        if isinstance(part.get("id"), str) and "ids" in part:
            tokens = part["tokens"]
            assert isinstance(tokens, list)
            return {**part, "ids": [number_of[str(token)] for token in tokens]}
        return {key: _renumbered(value, number_of) for key, value in part.items()}
    if isinstance(part, list):
        if len(part) == 2 and isinstance(part[0], str) and isinstance(part[1], int):
            return [part[0], number_of[part[0]]]
        return [_renumbered(value, number_of) for value in part]
    return part
