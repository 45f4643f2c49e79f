"""Translations that somebody already has: a table of captions, brought in like the texts of any model.

The table is CSV, TSV, JSON lines or Parquet, wide: a column `caption_id`, or one with the source sentence called like
its language, and a column for each target language called like its code. What `polyreel share --as csv` writes is such
a table, so people can correct translations in a spreadsheet and bring them back.
"""

from collections.abc import Sequence
from pathlib import Path

from polyreel.data.importers.source_table import SourceTable, read_table
from polyreel.errors import DataError
from polyreel.storage import Json, fingerprint_files
from polyreel.translation.translator import Sentence, Translated


class GivenTranslations:
    """A table of finished translations.

    Args:
        file: the table.

    Raises:
        DataError: it cannot be read.
    """

    shares_texts = False

    def __init__(self, file: Path) -> None:
        self._table = read_table(file.parent, file.name)
        self.name = f"table:{file.name}"
        self.revision = fingerprint_files([file])
        self.settings: dict[str, Json] = {}
        self._texts: dict[str, dict[str, str]] = {}

    def check(self, source_lang: str, target_lang: str) -> None:
        """Refuse languages without a column, and sentences that are translated in two ways.

        Raises:
            DataError: naming the columns there are, or the lines.
        """
        if target_lang not in self._texts:
            self._texts[target_lang] = _by_key(self._table, self._key(source_lang), target_lang)

    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Look sentences up; None for those that the table lacks."""
        self.check(source_lang, target_lang)
        has_ids = self._key(source_lang) == "caption_id"
        keys = [sentence.caption_id if has_ids else sentence.text for sentence in sentences]
        return Translated(texts=tuple(self._texts[target_lang].get(key) for key in keys))

    def _key(self, source_lang: str) -> str:
        if "caption_id" in self._table:
            return "caption_id"
        if source_lang in self._table:
            return source_lang
        raise DataError(
            f"{self._table.file} has neither a column 'caption_id' nor the sentences in a column {source_lang!r}; it "
            f"has {', '.join(self._table.cells.column_names)}; add one, so that translations find their captions"
        )


def _by_key(table: SourceTable, key: str, lang: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    first: dict[str, int] = {}
    for row, (value, text) in enumerate(zip(table.texts(key).to_pylist(), table.texts(lang).to_pylist(), strict=True)):
        if not text.strip():
            continue
        if texts.setdefault(value, text.strip()) != text.strip():
            raise DataError(
                f"{table.place(row)} translates {key} {value!r} to {lang!r} otherwise than {table.place(first[value])} "
                "does; keep one of them"
            )
        first.setdefault(value, row)
    return texts
