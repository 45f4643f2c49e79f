"""How strong a match is: a score, seen against what queries that mean nothing special get in the same index.

A cosine says little by itself: models, languages and libraries differ in what a good one is. So queries about everyday
things, which ship with polyreel in `background.tsv`, are asked of the same index in the same language, and each leaves
the score of its best clip. A hit's strength is the share of them that it beats. A query that has nothing to do with the
library is one more of their kind, so its best hit beats half of them on average, whatever the model and however large
the index; what is really there beats nearly all. Some of them will be about things that are in the library, which makes
the measure strict, never lenient.

The bank of their embeddings is kept in the model's folder. Training captions would be the wrong background: they are
about just what such a library shows, and nothing could be strong beside them (`benchmarks/strength.py` measures both).

Shapes: `B` background queries, `N` hits.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError, FingerprintError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.similarity import QueryBank, share_below

Band = Literal["strong", "fair", "weak"]
STRONG_FROM, FAIR_FROM = 0.9, 0.6
BACKGROUND_FILE = "background.safetensors"
TEMPERATURE = 0.05  # where the same bank takes hubs off; nothing is there to choose it by
_QUERIES_FILE = Path(__file__).parent / "background.tsv"
_GROWTH = 1.1  # the background is asked again when the index has grown or shrunk by a tenth


@cache
def background_queries() -> dict[str, tuple[str, ...]]:
    """Return the background's queries by language; those of one place are translations of each other."""
    langs, *rows = (line.split("\t") for line in _QUERIES_FILE.read_text(encoding="utf-8").splitlines())
    return dict(zip(langs, zip(*rows, strict=True), strict=True))


def background_bank(encoder: SearchEncoder) -> QueryBank:
    """Return the background as a model reads it: from its folder, or read now and left there where that is allowed."""
    folder, fingerprint = encoder.model_folder, encoder.model.fingerprint
    if folder is not None:
        try:
            return QueryBank.open(folder, fingerprint, BACKGROUND_FILE)
        except (DataError, FingerprintError):
            pass  # none yet, or another model's
    by_lang = {lang: encoder.encode_text(texts) for lang, texts in background_queries().items()}
    bank = QueryBank(model=fingerprint, by_lang=by_lang, temperature=TEMPERATURE)
    if folder is not None:
        try:
            bank.save(folder, BACKGROUND_FILE)
        except OSError:
            pass  # a model's folder may be for reading alone
    return bank


class Strengths:
    """Judges the scores of one index.

    Args:
        index: whose hits are judged; its model has to be there.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._bank: QueryBank | None = None
        self._best_B: dict[str | None, tuple[int, npt.NDArray[np.float64]]] = {}

    def of(self, scores: Sequence[float], lang: str | None) -> list[float]:
        """Return strengths of hits' scores, 0 to 1.

        Args:
            scores: cosine similarities of a query with clips of the index.
            lang: language of the query; where it is not known, or has no background, all languages' queries are taken.
        """
        lang = lang if lang in background_queries() else None
        return [] if not scores else share_below(np.array(scores), self._best_of_background(lang)).tolist()

    def _best_of_background(self, lang: str | None) -> npt.NDArray[np.float64]:
        num_clips = len(self._index)
        known = self._best_B.get(lang)
        if known is None or not known[0] / _GROWTH <= num_clips <= known[0] * _GROWTH:
            self._bank = self._bank or background_bank(self._index.encoder)
            best = [self._index.nearest(query_D, 1)[0].score for query_D in self._bank.rows(lang)]
            known = self._best_B[lang] = num_clips, np.array(best)
        return known[1]


def band_of(strength: float) -> Band:
    """Return in a word how strong a match is: strong from 0.9, fair from 0.6, weak below."""
    return "strong" if strength >= STRONG_FROM else "fair" if strength >= FAIR_FROM else "weak"
