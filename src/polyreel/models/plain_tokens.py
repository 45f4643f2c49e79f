"""Texts to tokens by a `tokenizer.json` and four facts, without torch or transformers.

Pieces from scratch and pretrained encoders differ in their tokenizer's file, in special tokens, and in the prompt
before every text; nothing else is needed to serve either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from tokenizers import Tokenizer

from polyreel.models.tokens import Tokens
from polyreel.settings import Settings

TOKENIZER_FILE = "tokenizer.json"


class TokenSettings(Settings):
    """What must be known beside the tokenizer's file."""

    max_tokens: int = Field(ge=1, description="tokens beyond this many are dropped, special ones included")
    has_special: bool = Field(description="whether the tokenizer adds its special tokens")
    prompt: str = Field(default="", description="what stands before every text")
    unknown: int = Field(ge=0, description="the token of a text without any, so that no row is empty")
    pad: int = Field(ge=0, description="the token that fills up shorter texts")
    padded_to: int | None = Field(default=None, description="every text is filled up to this length; None: no need")
    pads_left: bool = Field(default=False, description="whether what fills up stands before the text")


@dataclass(frozen=True)
class PlainTokenizer:
    """A tokenizer of the `tokenizers` library, and how it is used."""

    tokenizer: Tokenizer
    settings: TokenSettings

    def __post_init__(self) -> None:
        """Let the tokenizer cut, but not pad."""
        self.tokenizer.no_padding()
        if self.settings.has_special:
            self.tokenizer.enable_truncation(self.settings.max_tokens)
        else:
            self.tokenizer.no_truncation()

    @classmethod
    def open(cls, folder: Path, settings: TokenSettings) -> "PlainTokenizer":
        """Open the tokenizer that `save` left in a folder."""
        return cls(Tokenizer.from_file(str(folder / TOKENIZER_FILE)), settings)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into a folder."""
        self.tokenizer.save(str(folder / TOKENIZER_FILE))

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into tokens, at least one and at most `max_tokens` each."""
        asked = [self.settings.prompt + text for text in texts]
        found = self.tokenizer.encode_batch_fast(asked, add_special_tokens=self.settings.has_special)
        tokens = Tokens.from_lists([text.ids or [self.settings.unknown] for text in found])
        return tokens.truncated(self.settings.max_tokens)
