"""How strong a match is: a score, seen against what queries that mean nothing special get in the same index.

A cosine says little by itself: models, languages and libraries differ in what a good one is. So queries about everyday
things, which ship with polyreel in `background.tsv`, are asked of the same index in the same language, and each leaves
the score of its best clip. A hit's strength is the share of them that it beats. A query that has nothing to do with the
library is one more of their kind, so its best hit beats half of them on average, whatever the model and however large
the index; what is really there beats nearly all. Some of them will be about things that are in the library, which makes
the measure strict, never lenient.

The bank of their embeddings is kept in the model's folder. Training captions would be the wrong background: they are
about just what such a library shows, and nothing could be strong beside them (`benchmarks/strength.py` measures both).

What it got is kept beside the index's rows, so that neither a server nor a terminal asks it all again.

Shapes: `B` background queries, `N` hits.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from pydantic import Field

from polyreel.errors import DataError, FingerprintError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.settings import Settings, read_header
from polyreel.similarity import Embeddings, QueryBank, share_below
from polyreel.storage import fingerprint, write_json

Encode = Callable[[Sequence[str]], Embeddings]
Band = Literal["strong", "fair", "weak"]
STRONG_FROM, FAIR_FROM = 0.9, 0.6
BACKGROUND_FILE, KEPT_FILE = "background.safetensors", "strength.json"
TEMPERATURE = 0.05  # where the same bank takes hubs off; nothing is there to choose it by
_QUERIES_FILE = Path(__file__).parent / "background.tsv"
_SCHEMA_VERSION = 1
_GROWTH = 1.1  # the background is asked again when the index has grown or shrunk by a tenth


@cache
def background_queries() -> dict[str, tuple[str, ...]]:
    """Return the background's queries by language; those of one place are translations of each other."""
    langs, *rows = (line.split("\t") for line in _QUERIES_FILE.read_text(encoding="utf-8").splitlines())
    return dict(zip(langs, zip(*rows, strict=True), strict=True))


def background_bank(encoder: SearchEncoder, encode: Encode | None = None) -> QueryBank:
    """Return the background as a model reads it: from its folder, or read now and left there where that is allowed.

    Args:
        encoder: whose model.
        encode: embeds texts; None: the encoder, at once.
    """
    folder, model = encoder.model_folder, encoder.model.fingerprint
    if folder is not None:
        try:
            return QueryBank.open(folder, model, BACKGROUND_FILE)
        except (DataError, FingerprintError):
            pass  # none yet, or another model's
    encode = encode or encoder.encode_text
    by_lang = {lang: encode(texts) for lang, texts in background_queries().items()}
    bank = QueryBank(model=model, by_lang=by_lang, temperature=TEMPERATURE)
    if folder is not None:
        try:
            bank.save(folder, BACKGROUND_FILE)
        except OSError:
            pass  # a model's folder may be for reading alone
    return bank


class BestScores(Settings):
    """What the background queries of one language got in an index."""

    num_clips: int = Field(description="how many clips were in the index then")
    scores: tuple[float, ...] = Field(min_length=1, description="of the best clip of each query")


class KeptScores(Settings):
    """What the background got, as `strength.json` beside the rows of an index keeps it."""

    schema_version: int = Field(description="of the format")
    encoder_fingerprint: str = Field(description="of what embedded clips and queries")
    queries: str = Field(description="fingerprint of the queries")
    best: dict[str, BestScores] = Field(description="by language")


class Strengths:
    """Judges the scores of one index; what the background got in it is kept in its folder, where that is allowed.

    Args:
        index: whose hits are judged; its model has to be there.
        encode: embeds texts; None: the index's model, at once.
    """

    def __init__(self, index: Index, encode: Encode | None = None) -> None:
        self._index, self._encode = index, encode
        self._file = index.folder / index.header.part / KEPT_FILE
        self._best = self._kept()
        self._refreshing = Lock()

    def of(self, scores: Sequence[float], lang: str | None) -> list[float]:
        """Return strengths of hits' scores, 0 to 1; the background is asked only if it never was.

        Args:
            scores: cosine similarities of a query with clips of the index.
            lang: language of the query; where it is not known, or has no background, all languages' queries are taken.
        """
        if not scores:
            return []
        langs = _langs_for(lang)
        if not self._best.keys() >= {*langs}:
            self.refresh(lang)
        background_B = np.concatenate([self._best[one].scores for one in langs])
        strengths: list[float] = share_below(np.array(scores), background_B).tolist()
        return strengths

    def refresh(self, lang: str | None = None) -> None:
        """Ask the background where it was never asked, or the index has grown or shrunk by a tenth since.

        Args:
            lang: as in `of`.
        """
        for one in _langs_for(lang):
            with self._refreshing:
                num_clips = len(self._index)
                if num_clips and not self._is_fresh(one, num_clips):
                    rows_BD = background_bank(self._index.encoder, self._encode).rows(one)
                    scores = tuple(self._index.search(query_D, 1)[0].score for query_D in rows_BD)
                    self._best = {**self._best, one: BestScores(num_clips=num_clips, scores=scores)}
                    self._keep()

    def _is_fresh(self, lang: str, num_clips: int) -> bool:
        known = self._best.get(lang)
        return known is not None and known.num_clips / _GROWTH <= num_clips <= known.num_clips * _GROWTH

    def _kept(self) -> dict[str, BestScores]:
        try:
            kept = read_header(KeptScores, self._file, _SCHEMA_VERSION)
        except DataError:
            return {}
        is_ours = (kept.encoder_fingerprint, kept.queries) == (self._index.header.encoder_fingerprint, _fingerprint())
        return kept.best if is_ours else {}

    def _keep(self) -> None:
        kept = KeptScores(
            schema_version=_SCHEMA_VERSION,
            encoder_fingerprint=self._index.header.encoder_fingerprint,
            queries=_fingerprint(),
            best=self._best,
        )
        try:
            write_json(self._file, kept.model_dump(mode="json"))
        except OSError:
            pass  # an index's folder may be for reading alone


def _langs_for(lang: str | None) -> tuple[str, ...]:
    return (lang,) if lang in background_queries() else tuple(background_queries())


@cache
def _fingerprint() -> str:
    return fingerprint(_QUERIES_FILE.read_bytes())


def band_of(strength: float) -> Band:
    """Return in a word how strong a match is: strong from 0.9, fair from 0.6, weak below."""
    return "strong" if strength >= STRONG_FROM else "fair" if strength >= FAIR_FROM else "weak"
