"""How translation models are told languages: each family has marks of its own in its vocabulary.

NLLB-200 says `deu_Latn`, mBART-50 `de_DE`, M2M-100 `__de__`; the decoder begins with the target's mark. MADLAD-400 says
`<2de>` and Opus-MT models with several targets `>>deu<<` (or `>>de<<`); the source text begins with it. Opus-MT models
of one pair say nothing. The marks are found in the vocabulary itself, so new languages of a family need no table here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from polyreel.errors import DataError
from polyreel.languages import longer_codes

_ALSO_CALLED = {"he": ("iw",), "nb": ("no", "nor"), "no": ("nb", "nob"), "tl": ("fil",), "jv": ("jw",)}
_MARK = re.compile(
    r"__[a-z]{2,3}__|[a-z]{3}_[A-Z][a-z]{3}|[a-z]{2}_[A-Z]{2}|<2[a-z]{2,3}>|>>[a-z]{2,3}(_[A-Z][a-z]{3})?<<"
)
_PREFIXES = ("<2", ">>")


@dataclass(frozen=True)
class LangMarks:
    """The marks of languages in one model's vocabulary."""

    vocabulary: Collection[str]

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks there are, by the code inside them; the first by alphabet where a code has several scripts."""
        return {_code_in(mark): mark for mark in sorted(self._all, reverse=True)}

    def __contains__(self, token: object) -> bool:
        return token in self._all

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(token for token in self.vocabulary if _MARK.fullmatch(token))

    @property
    def are_in_the_text(self) -> bool:
        """Whether the source text begins with the target's mark, instead of the decoder."""
        return any(mark.startswith(_PREFIXES) for mark in self.marks.values())

    def mark_of(self, lang: str, model: str) -> str:
        """Return the mark of a language.

        Args:
            lang: our code.
            model: the model's name, for the message.

        Raises:
            DataError: the model does not know the language.
        """
        for code in (lang, *longer_codes(lang), *_ALSO_CALLED.get(lang, ())):
            if code in self.marks:
                return self.marks[code]
        known = ", ".join(sorted(self.marks))
        raise DataError(f"model {model!r} does not know the language {lang!r}; it knows {known}; choose another model")


def check_pair(model: str, source_lang: str, target_lang: str) -> None:
    """Refuse a pair that the name of a model of one pair contradicts, as in `opus-mt-en-de`.

    Raises:
        DataError: the name ends in the codes of two other languages.
    """
    pair = re.search(r"-([a-z]{2})-([a-z]{2})$", model)
    if pair and pair.groups() != (source_lang, target_lang):
        source, target = pair.groups()
        hint = model[: pair.start()] + f"-{source_lang}-{{lang}}"
        raise DataError(
            f"model {model!r} translates {source!r} to {target!r}; asked is {source_lang!r} to {target_lang!r}; "
            f"to use a model for each language, name it like {hint!r}"
        )


def _code_in(mark: str) -> str:
    return re.sub(r"^(<2|>>|__)|(>|<<|__)$", "", mark).split("_")[0]
