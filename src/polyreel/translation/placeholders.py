"""Numbers and names carried over by placeholders: `[0]` stands for the first in a sentence, and is put back afterwards.

Whether a model copies a placeholder is its own affair. A sentence whose placeholders do not all come back exactly once
is translated again as it is, so nothing is lost but time.
"""

import re
from collections.abc import Mapping, Sequence

from polyreel.storage import Json
from polyreel.translation.translator import Kept, Sentence, Translated, Translator

_PATTERNS: dict[Kept, str] = {
    "numbers": r"\d+(?:[.,:]\d+)*",
    "names": r"(?<=[a-z,;] )(?!I\b)[A-Z][\w’'-]*(?: [A-Z][\w’'-]*)*",  # capitals within a sentence
}
_PLACEHOLDER = re.compile(r"\[\s*(\d+)\s*\]")


class Keeping:
    """A translator that carries numbers or names over.

    Args:
        translator: what translates.
        kinds: what to carry over.
    """

    def __init__(self, translator: Translator, kinds: Sequence[Kept]) -> None:
        self._translator = translator
        self._pattern = re.compile("|".join(_PATTERNS[kind] for kind in kinds))
        self.name = translator.name
        self.revision = translator.revision
        self.shares_texts = translator.shares_texts
        self.settings: Mapping[str, Json] = {**translator.settings, "keep": sorted(kinds)}

    def check(self, source_lang: str, target_lang: str) -> None:
        """Ask the translator.

        Raises:
            DataError: it cannot translate the pair.
        """
        self._translator.check(source_lang, target_lang)

    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Translate sentences with placeholders, and again without where a placeholder was lost."""
        hidden = [hide(sentence.text, self._pattern) for sentence in sentences]
        asked = [
            Sentence(caption_id=sentence.caption_id, text=text)
            for sentence, (text, _) in zip(sentences, hidden, strict=True)
        ]
        first = self._translator(asked, source_lang, target_lang)
        texts = [restore(text, kept) for text, (_, kept) in zip(first.texts, hidden, strict=True)]
        lost = [row for row, (_, kept) in enumerate(hidden) if kept and texts[row] is None]
        if not lost:
            return Translated(texts=tuple(texts), tokens_read=first.tokens_read, tokens_written=first.tokens_written)
        again = self._translator([sentences[row] for row in lost], source_lang, target_lang)
        for row, text in zip(lost, again.texts, strict=True):
            texts[row] = text
        return Translated(
            texts=tuple(texts),
            tokens_read=first.tokens_read + again.tokens_read,
            tokens_written=first.tokens_written + again.tokens_written,
        )


def hide(text: str, pattern: re.Pattern[str]) -> tuple[str, list[str]]:
    """Put placeholders for what a pattern finds; return the text, and what was found in its order."""
    kept: list[str] = []

    def placeholder(found: re.Match[str]) -> str:
        kept.append(found.group())
        return f"[{len(kept) - 1}]"

    return pattern.sub(placeholder, text), kept


def restore(text: str | None, kept: Sequence[str]) -> str | None:
    """Put what was kept in the place of its placeholders; None where one is missing, repeated or unknown."""
    if text is None or not kept:
        return text
    if sorted(int(number) for number in _PLACEHOLDER.findall(text)) != list(range(len(kept))):
        return None
    return _PLACEHOLDER.sub(lambda found: kept[int(found.group(1))], text)
