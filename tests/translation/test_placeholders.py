"""Numbers and names that come through a translator which would have changed them."""

import re
from dataclasses import dataclass, field

import pytest

from polyreel.translation.placeholders import Keeping
from polyreel.translation.translator import Sentence, Translated


@dataclass
class Reversing:
    """Says the words of a sentence backwards, and forgets the words it is told to."""

    forgets: str = "nothing"
    name: str = "reversing"
    revision: str = ""
    settings: dict = field(default_factory=lambda: {"beams": 1})
    shares_texts: bool = True
    asked: list = field(default_factory=list)

    def check(self, source_lang, target_lang):
        pass

    def __call__(self, sentences, source_lang, target_lang):
        self.asked.append([sentence.text for sentence in sentences])
        words = [[word for word in sentence.text.split() if word != self.forgets] for sentence in sentences]
        return Translated(texts=tuple(" ".join(reversed(row)) for row in words), tokens_read=len(words))


def said(translator, *texts):
    return translator([Sentence(caption_id=text, text=text) for text in texts], "en", "de").texts


def test_numbers_are_hidden_and_put_back():
    inner = Reversing()
    assert said(Keeping(inner, ["numbers"]), "12 men at 10:30", "a dog") == ("10:30 at men 12", "dog a")
    assert inner.asked == [["[0] men at [1]", "a dog"]]


def test_names_are_capitals_within_a_sentence():
    inner = Reversing()
    said(Keeping(inner, ["names", "numbers"]), "A man meets Ann Lee in Paris, 3 times", "Dogs and I run")
    assert inner.asked == [["A man meets [0] in [1], [2] times", "Dogs and I run"]]


@pytest.mark.parametrize("text", ["[ 0 ] Hunde", "[0] Hunde"])
def test_spaces_within_a_placeholder_do_no_harm(text):
    class Spacing(Reversing):
        def __call__(self, sentences, source_lang, target_lang):
            return Translated(texts=(text,))

    assert said(Keeping(Spacing(), ["numbers"]), "3 dogs") == ("3 Hunde",)


def test_a_lost_placeholder_costs_a_second_try_without():
    inner = Reversing(forgets="[0]")
    assert said(Keeping(inner, ["numbers"]), "3 dogs", "a cat") == ("dogs 3", "cat a")
    assert inner.asked == [["[0] dogs", "a cat"], ["3 dogs"]]


def test_it_is_part_of_the_settings():
    ours = Keeping(Reversing(), ["numbers", "names"])
    assert ours.settings == {"beams": 1, "keep": ["names", "numbers"]}
    assert re.match("reversing", ours.name)
