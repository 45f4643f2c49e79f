"""A vocabulary that grows: old texts stay readable, new ones get pieces, and these begin where the old ones were."""

import json
from collections import Counter
from itertools import pairwise

import torch

from polyreel.models.growing import grow, grow_backbone
from polyreel.models.settings import TextSettings
from polyreel.models.subword import build_subword, train_tokenizer

OLD = ["a red dog runs", "a red cat runs", "the dog sees the cat"] * 3
NEW = ["ein roter Hund läuft", "eine rote Katze läuft", "der Hund sieht die Katze"] * 3


def test_new_words_become_pieces_on_top_of_the_old_ones():
    old = train_tokenizer(OLD, vocab_size=60)
    grown, pieces = grow(old, NEW, most=80)
    vocabulary = grown.get_vocab()
    assert all(vocabulary[piece] == number for piece, number in old.get_vocab().items())
    assert [vocabulary[piece] for piece in pieces] == list(range(old.get_vocab_size(), grown.get_vocab_size()))
    assert "ä" in pieces and "[UNK]" not in grown.encode("der Hund läuft").tokens
    assert grown.encode("ein Hund").tokens == ["▁ein", "▁hund"]
    assert len(pieces) <= 80 and len(grow(old, NEW, most=5)[1]) == 5
    assert json.loads(grow(old, NEW, most=80)[0].to_str()) == json.loads(grown.to_str())


def test_merges_are_those_of_the_slow_way_counting_all_words_anew():
    old = train_tokenizer(OLD, vocab_size=60)
    grown, pieces = grow(old, NEW, most=30)
    words = Counter(word for text in NEW for word in text.lower().split())
    with_characters = json.loads(old.to_str())
    for piece in pieces:
        if len(piece) == 1:
            with_characters["model"]["vocab"][piece] = len(with_characters["model"]["vocab"])
    spelled = type(old).from_str(json.dumps(with_characters)).model
    cut = {word: [token.value for token in spelled.tokenize(f"▁{word}")] for word in words}
    expected = []
    for _ in range(len(pieces) - sum(len(piece) == 1 for piece in pieces)):
        counted = Counter()
        for word, parts in cut.items():
            for pair in pairwise(parts):
                counted[pair] += words[word]
        best = min(counted, key=lambda pair: (-counted[pair], pair))
        expected.append(list(best))
        for parts in cut.values():
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = ["".join(best)]
                place += 1
    merges = json.loads(grown.to_str())["model"]["merges"]
    assert merges[len(json.loads(old.to_str())["model"]["merges"]) :] == expected


def test_vectors_of_old_pieces_stay_and_new_ones_begin_as_the_mean_of_their_parts(tmp_path):
    torch.manual_seed(0)
    old = build_subword(TextSettings(vocab_size=60, width=8), OLD)
    grown = grow_backbone(old, NEW, most=80)
    before, after = old.table.learnt, grown.table.learnt
    assert torch.equal(after[: len(before)], before)
    parts = old.tokens.tokenizer.model.tokenize("▁ein")
    mean = before[torch.tensor([token.id for token in parts])].mean(0)
    assert torch.allclose(after[grown.vocabulary()["▁ein"]], mean) and len(parts) > 1
    assert len(old.table.learnt) == 60 or len(old.table.learnt) == old.tokens.tokenizer.get_vocab_size()
    assert grown(grown.tokenize(["ein roter Hund"])).shape == (1, 8)
