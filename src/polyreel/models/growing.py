"""A vocabulary of our own that grows: byte-pair merges for further texts, learnt on top of those there are.

The old merges stay first, so texts are cut as before until they are through; new ones then join what is left, most
frequent first. A new piece begins as the mean of the old pieces it is made of: a mean of pieces changes little by it,
and what the model knew is where learning starts.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise

import torch
from tokenizers import Tokenizer
from torch import Tensor

from polyreel.models.pieces import PieceTable
from polyreel.models.subword import SubwordBackbone

_FEWEST_TIMES_SEEN = 2
Word = tuple[str, ...]


def grow_backbone(backbone: SubwordBackbone, texts: Iterable[str], *, most: int) -> SubwordBackbone:
    """Return a backbone that has pieces for further texts too; the old one stays as it is.

    Args:
        backbone: of a model with pieces of its own.
        texts: in the languages to be added.
        most: new pieces at most, characters that were unknown included.
    """
    old = backbone.tokens.tokenizer
    grown, new_pieces = grow(old, texts, most=most)
    before = backbone.table(torch.arange(old.get_vocab_size())).detach()
    made = [_first_vector(old, piece, before, backbone.tokens.settings.unknown) for piece in new_pieces]
    table = PieceTable(torch.stack([*before, *made]))
    return SubwordBackbone(
        grown, table, max_tokens=backbone.tokens.settings.max_tokens, transformer=backbone.transformer
    )


def grow(tokenizer: Tokenizer, texts: Iterable[str], *, most: int) -> tuple[Tokenizer, list[str]]:
    """Learn further byte-pair merges on top of a tokenizer's own.

    Args:
        tokenizer: one that `train_tokenizer` made, or that was grown from it.
        texts: what the further merges are for.
        most: new pieces at most.

    Returns:
        The grown tokenizer, whose first pieces are the old ones, and the new pieces in order.
    """
    written = json.loads(tokenizer.to_str())
    words = _count_words(tokenizer, texts)
    characters = Counter({character: 0 for word in words for character in word})
    for word, times in words.items():
        characters.update({character: times for character in word})
    known = written["model"]["vocab"]
    strangers = [one for one, times in characters.most_common() if one not in known and times >= _FEWEST_TIMES_SEEN]
    for character in strangers[:most]:
        known[character] = len(known)
    spelled = Tokenizer.from_str(json.dumps(written)).model
    cut = Counter({tuple(token.value for token in spelled.tokenize(word)): times for word, times in words.items()})
    merges = _further_merges(cut, most - len(strangers[:most]), written["model"]["unk_token"])
    new = strangers[:most]
    for pair in merges:
        written["model"]["merges"].append(list(pair))
        if (piece := "".join(pair)) not in known:
            known[piece] = len(known)
            new.append(piece)
    return Tokenizer.from_str(json.dumps(written)), new


def _count_words(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    words: Counter[str] = Counter()
    for text in texts:
        tidy = tokenizer.normalizer.normalize_str(text)
        words.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tidy))
    return words


def _further_merges(cut: Counter[Word], most: int, unknown: str) -> list[tuple[str, str]]:
    """Merge the most frequent neighbours again and again; of equally frequent ones, the first in the alphabet."""
    words = [(list(word), times) for word, times in cut.items() if unknown not in word]
    times_of: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, (word, times) in enumerate(words):
        for pair in pairwise(word):
            times_of[pair] += times
            places[pair].add(number)
    heap = [(-times, pair) for pair, times in times_of.items()]
    heapify(heap)
    merges: list[tuple[str, str]] = []
    while heap and len(merges) < most:
        times, pair = heappop(heap)
        if times_of[pair] != -times:  # it has been counted anew since
            continue
        if -times < _FEWEST_TIMES_SEEN:
            break
        merges.append(pair)
        for changed in _merge_everywhere(words, pair, times_of, places):
            heappush(heap, (-times_of[changed], changed))
    return merges


def _merge_everywhere(
    words: list[tuple[list[str], int]],
    pair: tuple[str, str],
    times_of: Counter[tuple[str, str]],
    places: defaultdict[tuple[str, str], set[int]],
) -> set[tuple[str, str]]:
    """Join a pair in all words that have it; return the pairs that are now more or less frequent."""
    changed = set()
    for number in places.pop(pair):
        word, times = words[number]
        for neighbours in pairwise(word):
            times_of[neighbours] -= times
            changed.add(neighbours)
        word[:] = _merged(word, pair)
        for neighbours in pairwise(word):
            times_of[neighbours] += times
            places[neighbours].add(number)
            changed.add(neighbours)
    return changed


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for piece in word:
        if found and (found[-1], piece) == pair:
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _first_vector(old: Tokenizer, piece: str, vectors_PD: Tensor, unknown: int) -> Tensor:
    ids = [token.id for token in old.model.tokenize(piece)] or [unknown]
    return vectors_PD[torch.tensor(ids)].mean(dim=0)
