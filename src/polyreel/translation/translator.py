"""Translator: what turns sentences of one language into another, and the settings that translators share.

A translator is any object with these members; a model of transformers, a converted one, an HTTP endpoint and a table of
finished translations all fit, and so does anyone's own class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from polyreel.settings import Settings
from polyreel.storage import Json, fingerprint_files

Kept = Literal["numbers", "names"]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One caption to translate.

    Attributes:
        caption_id: whose sentence it is; where equal sentences are translated once, that of the first.
        text: the sentence.
    """

    caption_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Translated:
    """What a translator made of some sentences.

    Attributes:
        texts: one for each sentence; None where the translator has none to give, empty where it failed.
        tokens_read: how many tokens the model read; 0 where nobody counts.
        tokens_written: how many it wrote.
    """

    texts: tuple[str | None, ...]
    tokens_read: int = 0
    tokens_written: int = 0


class Translator(Protocol):
    """Translates sentences."""

    @property
    def name(self) -> str:
        """What the translations table calls the model."""

    @property
    def revision(self) -> str:
        """Which state of the model this is; empty where unknown."""

    @property
    def settings(self) -> Mapping[str, Json]:
        """The settings that shape its texts, for the translations table."""

    @property
    def shares_texts(self) -> bool:
        """Whether equal sentences get equal translations, so that one is asked for all of them."""

    def check(self, source_lang: str, target_lang: str) -> None:
        """Refuse a pair of languages that it cannot translate.

        Raises:
            DataError: naming what it can.
        """

    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Translate sentences, one text for each.

        Raises:
            DataError: it could translate none of them.
        """


def shown_name(model: str) -> str:
    """Return what the translations table calls a model: a folder by its name alone, wherever it lies."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def revision_of(model: str, commit: str | None = None) -> str:
    """Return which state of a model this is: the hub's commit, or a digest of a folder's files."""
    if Path(model).is_dir():
        return fingerprint_files(file for file in Path(model).iterdir() if file.is_file())
    return commit or ""


class CTranslate2Settings(Settings):
    """What can be chosen about a converted model."""

    compute_type: str = Field(default="int8", description="number type to compute with, as CTranslate2 names it")
    tokenizer: str | None = Field(
        default=None, description="model whose tokenizer to use; the folder's own unless said"
    )


class EndpointSettings(Settings):
    """What can be chosen about an HTTP endpoint."""

    base_url: str = Field(default="https://api.openai.com/v1", description="address of the OpenAI-compatible endpoint")
    instructions: str = Field(
        default="You translate captions of videos from {source} to {target}. You get a JSON list of sentences. Answer "
        "with the JSON list of their translations alone: as many, in the same order, nothing left out, nothing added.",
        description="what the model is told first; {source} and {target} become the languages' English names",
    )
    temperature: float = Field(default=0.0, ge=0, description="0: the likeliest words")
    max_retries: int = Field(default=5, ge=0, description="of a request that fails; the pause grows each time")
    timeout_seconds: float = Field(default=120.0, gt=0, description="for one request")
    price_read: float = Field(default=0.0, ge=0, description="price of a million tokens read, to show what was spent")
    price_written: float = Field(default=0.0, ge=0, description="price of a million tokens written")


class TranslationSettings(Settings):
    """How captions are translated; frozen."""

    source_lang: str = Field(default="en", description="language to translate from")
    ray_workers: int = Field(default=0, ge=0, description="translate with so many workers on Ray; 0: in this process")
    batch_size: int = Field(default=32, ge=1, description="sentences translated at a time")
    beams: int = Field(default=4, ge=1, description="width of the beam search; 1 is greedy")
    max_tokens: int = Field(default=128, ge=1, description="longest translation")
    keep: tuple[Kept, ...] = Field(default=(), description="what placeholders carry over: numbers, names")
    ctranslate2: CTranslate2Settings = Field(default=CTranslate2Settings(), description="of converted models")
    endpoint: EndpointSettings = Field(default=EndpointSettings(), description="of HTTP endpoints")
