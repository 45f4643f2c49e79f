import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from polyreel.models.settings import TextSettings
from polyreel.models.subword import build_subword, train_tokenizer
from polyreel.models.tokens import Tokens


def build(texts, **settings):
    torch.manual_seed(0)
    return build_subword(TextSettings(width=16, **settings), texts).eval()


def test_the_tokenizer_is_the_same_every_time_and_on_any_number_of_threads(texts):
    code = (
        "import sys; from polyreel.models.subword import train_tokenizer;"
        "print(train_tokenizer(sys.argv[1:], vocab_size=150).to_str())"
    )
    alone = subprocess.run(
        [sys.executable, "-c", code, *texts],
        env={**os.environ, "RAYON_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert alone.stdout.strip() == train_tokenizer(texts, vocab_size=150).to_str()


def test_case_and_width_of_characters_and_spaces_do_not_matter(texts):
    pieces = build(texts)
    assert pieces.tokenize([" A DOG  Runs"]).ids.tolist() == pieces.tokenize(["a dog ｒｕｎｓ"]).ids.tolist()


def test_every_script_is_cut_into_known_pieces(texts):
    pieces = build(texts)
    unknown = pieces.vocabulary()["[UNK]"]
    for text in ("一只狗", "собака", "läuft"):
        assert unknown not in pieces.tokenize([text]).ids


@pytest.mark.parametrize("text", ["", "   ", "ⵣⵣⵣ"])
def test_a_text_without_known_pieces_has_one_unknown_token_at_least(texts, text):
    tokens = build(texts).tokenize([text, "a dog"])
    assert tokens.lengths[0] >= 1
    assert build(texts).vocabulary()["[UNK]"] in tokens.select([0]).ids


def test_tokens_beyond_the_limit_are_dropped(texts):
    long = build(texts).tokenize([texts[-1]])
    short = build(texts, max_tokens=3).tokenize([texts[-1]])
    assert short.ids.tolist() == long.ids[:3].tolist()


def test_frequent_words_become_one_piece():
    pieces = build(["the dog", "the cat", "the dog and the cat"])
    assert pieces.tokenize(["the dog"]).lengths.tolist() == [2]


def test_the_mean_of_pieces_equals_the_slow_loop(texts):
    pieces = build(texts)
    tokens = pieces.tokenize(texts)
    vectors = pieces.table.learnt.detach()
    rows = [tokens.select([row]).ids for row in range(len(texts))]
    expected = torch.stack([sum(vectors[int(token)] for token in row) / len(row) for row in rows])
    torch.testing.assert_close(pieces(tokens).detach(), expected)


@pytest.mark.parametrize("num_layers", [0, 2])
def test_padding_and_company_change_nothing(texts, num_layers):
    pieces = build(texts, num_layers=num_layers)
    tokens = pieces.tokenize(texts)
    with torch.no_grad():
        together = pieces(tokens)
        alone = torch.cat([pieces(tokens.select([row])) for row in range(len(texts))])
        permuted = pieces(tokens.select([3, 0, 2]))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(permuted, together[[3, 0, 2]], rtol=1e-4, atol=1e-6)


def test_the_transformer_sees_the_order_and_the_mean_does_not(texts):
    forth, back = Tokens.from_lists([[3, 4, 5]]), Tokens.from_lists([[5, 4, 3]])
    mean, transformer = build(texts), build(texts, num_layers=1)
    torch.testing.assert_close(mean(forth), mean(back))
    assert not torch.allclose(transformer(forth), transformer(back), atol=1e-4)


def test_a_vector_starts_with_about_unit_length():
    texts = [f"word{number} and word{number}" for number in range(200)]
    lengths = build_subword(TextSettings(), texts).table.learnt.detach().norm(dim=1)
    assert np.abs(lengths.numpy() - 1).max() < 0.3


def test_without_texts_there_is_nothing_to_learn_pieces_from():
    with pytest.raises(ValueError, match="learns its pieces from captions, but there are no training captions"):
        build_subword(TextSettings(), [])
