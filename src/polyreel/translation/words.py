"""Words of a caption in any script, and what can be said of them without knowing the language.

Words are compared without case. Scripts that do not part words (Chinese, Japanese, Thai and their neighbours) count
each character as one.
"""

import re
from collections.abc import Sequence

_UNPARTED = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿຀-໿ក-៿က-႟"
_WORD = re.compile(rf"[{_UNPARTED}]|(?:(?![{_UNPARTED}])[^\W\d_])+(?:['’-](?![{_UNPARTED}])[^\W\d_]+)*|\d+")
_LONGEST_PHRASE = 6


def words_of(text: str) -> list[str]:
    """Return a text's words and numbers as they stand, without punctuation."""
    return _WORD.findall(text)


def lowered(words: Sequence[str]) -> list[str]:
    """Return words without case."""
    return [word.casefold() for word in words]


def repeats(words: Sequence[str]) -> tuple[int, str]:
    """Return how often the most repeated phrase stands in a row, and the phrase; (1, "") where none does."""
    most, phrase = 1, ""
    for length in range(1, min(_LONGEST_PHRASE, len(words) // 2) + 1):
        run = 0  # how many words in a row equal the one `length` before them
        for position in range(length, len(words)):
            run = run + 1 if words[position] == words[position - length] else 0
            if run // length + 1 > most:
                most, phrase = run // length + 1, " ".join(words[position - length + 1 : position + 1])
    return most, phrase


def copied_share(english: Sequence[str], words: Sequence[str]) -> float:
    """Return the share of a text's words, numbers aside, that are words of the English sentence; 0 for no words."""
    known = set(english)
    counted = [word for word in words if not word.isdigit()]
    return sum(word in known for word in counted) / len(counted) if counted else 0.0


def untranslated_span(english: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return the longest run of English words that stands in the text unchanged, without its names and numbers.

    A name is taken to be a word with a capital that is not the sentence's first; English in capitals or in lower case
    throughout shows none.
    """
    is_shouted = all(word.isupper() for word in english if not word.isdigit())
    is_name = [position > 0 and word[0].isupper() and not is_shouted for position, word in enumerate(english)]
    source, target = lowered(english), lowered(words)
    longest: list[str] = []
    lengths = [0] * (len(target) + 1)  # of the common run that ends at the previous English word, by place in the text
    for position, word in enumerate(source):
        above = [0, *(lengths[place] + 1 if word == other else 0 for place, other in enumerate(target))]
        for length in {length for length in above if length > len(longest)}:
            span = range(position - length + 1, position + 1)
            counted = [source[place] for place in span if not is_name[place] and not source[place].isdigit()]
            longest = max(longest, counted, key=len)
        lengths = above
    return longest
