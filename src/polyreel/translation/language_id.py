"""Which language a text is in, by py3langid, restricted to the languages it may be in.

Restricted is the point: over all its languages the identifier was right for 0.80 of short texts, over the fifteen that
could occur for 0.97.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier


def language_probabilities(
    texts: Sequence[str], langs: Sequence[str], candidates: Sequence[str]
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Give the probability that each text is in the language it is said to be in.

    Args:
        texts: N texts.
        langs: what each is said to be in.
        candidates: what it may be in; those the identifier does not know are left out.

    Returns:
        Probabilities `[N]`, NaN for a language the identifier does not know; and the most probable language of each.
    """
    known = tuple(sorted({*candidates, *langs} & _known()))
    probabilities_N = np.full(len(texts), np.nan)
    likeliest = [""] * len(texts)
    if len(known) < 2:
        return probabilities_N, likeliest
    identifier = _identifier(known)
    for position, (text, lang) in enumerate(zip(texts, langs, strict=True)):
        ranking = identifier.rank(text)
        likeliest[position] = ranking[0][0]
        if lang in known:
            probabilities_N[position] = dict(ranking)[lang]
    return probabilities_N, likeliest


@cache
def _known() -> frozenset[str]:
    return frozenset(_load().labels)


@cache
def _identifier(langs: tuple[str, ...]) -> "LanguageIdentifier":
    identifier = _load()
    identifier.set_languages(list(langs))
    return identifier


def _load() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
