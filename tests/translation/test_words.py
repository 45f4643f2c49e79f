"""Words of any script; phrases in a row; words left in English."""

import pytest

from polyreel.translation.words import copied_share, lowered, repeats, untranslated_span, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's T-shirt, 2 dogs!", ["A", "man's", "T-shirt", "2", "dogs"]),
        ("Muž nese tašku.", ["Muž", "nese", "tašku"]),
        ("一个人在跑步。", ["一", "个", "人", "在", "跑", "步"]),
        ("  …  ", []),
        ("一個man跑", ["一", "個", "man", "跑"]),
    ],
)
def test_words_are_found_in_any_script(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "times", "phrase"),
    [
        ("ein hund ein hund ein hund", 3, "ein hund"),
        ("sehr sehr gut", 2, "sehr"),
        ("a b c d", 1, ""),
        ("x y y y y z", 4, "y"),
        ("", 1, ""),
    ],
)
def test_repeats_are_counted_in_a_row(text, times, phrase):
    assert repeats(text.split()) == (times, phrase)


def test_copied_share_leaves_numbers_out():
    assert copied_share(["a", "man", "2"], ["ein", "man", "2"]) == 0.5
    assert copied_share(["a"], ["2"]) == 0.0


def spans_by_hand(english, words):
    """Try every run of English words at every place."""
    best = []
    for first in range(len(english)):
        for end in range(first + 1, len(english) + 1):
            run = english[first:end]
            places = range(len(words) - len(run) + 1)
            if len(run) > len(best) and any(words[place : place + len(run)] == run for place in places):
                best = run
    return best


@pytest.mark.parametrize(
    ("english", "text"),
    [
        ("a man is riding a red bike", "ein mann is riding a fahrrad"),
        ("a b a b c", "b a b c a b"),
        ("one two three", "eins zwei drei"),
        ("the dog", "the dog"),
    ],
)
def test_the_longest_untranslated_span_is_found(english, text):
    assert untranslated_span(words_of(english), lowered(words_of(text))) == spans_by_hand(english.split(), text.split())


def test_names_and_numbers_may_stay_as_they_are():
    english = words_of("People at the New York City Marathon in 2012")
    assert untranslated_span(english, lowered(words_of("Leute beim New York City Marathon 2012"))) == []
    shouted = words_of("TWO MEN RUN")
    assert untranslated_span(shouted, lowered(words_of("two men run"))) == ["two", "men", "run"]
