"""What the grammars share: choosing among wordings, two-part verbs, finishing a sentence, rows of case forms."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

Gender = Literal["m", "f", "n"]
Case = Literal["nom", "gen", "dat", "acc", "ins"]

_Option = TypeVar("_Option")
_CASES: tuple[Case, ...] = get_args(Case)


class Verb(NamedTuple):
    """A finite verb, and what of the predicate follows the place: "moves" … "to the left"."""

    finite: str
    end: str = ""


def pick(options: Sequence[_Option], wording: int) -> _Option:
    """Return one of several ways to say the same; independent of `is_fronted`."""
    return options[wording // 2 % len(options)]


def is_fronted(wording: int) -> bool:
    """Tell whether the place comes first: "In the desert, a star spins", not "A star spins in the desert"."""
    return wording % 2 == 1


def sentence(*words: str) -> str:
    """Join words by spaces, leaving out empty ones; begin with a capital, end with a full stop."""
    text = " ".join(word for word in words if word)
    return f"{text[:1].upper()}{text[1:]}."


def in_case(forms: str, case: Case) -> str:
    """Return one form of a row "nominative genitive dative accusative instrumental"."""
    return forms.split()[_CASES.index(case)]
