"""Translations: every text that a model gave for a caption, at rest, and the rule that chooses one of them.

They lie beside the tables of a dataset as `translations/part-*.parquet`, which other tools open as one table. A row is
one text of one model; (`caption_id`, `lang`, `translation_id`) is its key, so runs with other models or settings add
rows and overwrite none. The captions of a dataset hold one text a (`caption_id`, `lang`): what a person wrote, else
what `with_translations` chooses here.

A quality check reads the rows with `read_translations`, finds for each a score (1: nothing was found), reasons (short
words; none: nothing was found) and a weight (1: flagged at most; below 1: counts less in training; 0: dropped, never
chosen), puts them in with `judged`, keeps them with `write_translations`, and lets `with_translations` choose anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.data.checks import codes
from polyreel.data.clips import CAPTION_SCHEMA, as_table
from polyreel.data.dataset import Dataset
from polyreel.data.parquet import read_parquet
from polyreel.errors import DataError
from polyreel.storage import fingerprint, write_aside

FOLDER = "translations"
TRANSLATION_SCHEMA = pa.schema(
    [
        pa.field("caption_id", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("translation_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source_lang", pa.string(), nullable=False),
        pa.field("source_text", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("revision", pa.string(), nullable=False),
        pa.field("settings", pa.string(), nullable=False),
        pa.field("made_at", pa.timestamp("s", tz="UTC")),
        pa.field("score", pa.float32()),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)
KEY = ("caption_id", "lang", "translation_id")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One text that a model gave for a caption.

    Attributes:
        caption_id: of the sentence; its translations share it.
        lang: the language of `text`, ISO 639-1.
        translation_id: digest of the source sentence and of what translated it (`translation_id`).
        text: the translation.
        source_lang: the language it was translated from.
        source_text: the sentence as it was then; a row whose caption has changed since is kept, and never chosen.
        model: name of what translated.
        revision: which state of the model; empty where unknown.
        settings: decoding settings as JSON with sorted keys.
        made_at: when; None: left out, so that equal work gives equal bytes.
        score: 0 to 1, 1 is best; None: not judged.
        reasons: what a quality check found, in short words.
        weight: of the caption made of it; 0: never chosen.
    """

    caption_id: str
    lang: str
    translation_id: str
    text: str
    source_lang: str
    source_text: str
    model: str
    revision: str = ""
    settings: str = "{}"
    made_at: datetime | None = None
    score: float | None = None
    reasons: tuple[str, ...] = ()
    weight: float = 1.0


def translation_id(source_lang: str, source_text: str, model: str, revision: str, settings: str) -> str:
    """Digest what a translation was made from: equal sentences translated alike have equal ids."""
    return fingerprint(source_lang, source_text, model, revision, settings)


def read_translations(folder: Path | str) -> pa.Table:
    """Read all translations beside a dataset; none if it has none.

    Args:
        folder: the dataset's.

    Raises:
        DataError: a part is broken, or lacks a column.
    """
    parts = [as_table(read_parquet(part), TRANSLATION_SCHEMA) for part in _parts(Path(folder))]
    return pa.concat_tables(parts, promote_options="default") if parts else TRANSLATION_SCHEMA.empty_table()


def append_translations(folder: Path | str, rows: Sequence[Translation] | pa.Table) -> None:
    """Write rows as one more part, so that long work that is killed loses little."""
    parts = _parts(Path(folder))
    number = 1 + int(parts[-1].stem.partition("-")[2]) if parts else 0
    _write_part(Path(folder) / FOLDER / _part_name(number), as_table(rows, TRANSLATION_SCHEMA))


def write_translations(folder: Path | str, rows: Sequence[Translation] | pa.Table) -> None:
    """Write rows in the place of all that were there, as one part, aside and renamed.

    Raises:
        DataError: two rows have one key.
    """
    table = as_table(rows, TRANSLATION_SCHEMA)
    repeated = repeated_keys(table)
    if len(repeated):
        row = table.slice(int(repeated[0]), 1).to_pylist()[0]
        raise DataError(
            f"translation row {repeated[0]} repeats {', '.join(f'{name} {row[name]!r}' for name in KEY)}; "
            "a text of one model and settings is kept once"
        )
    with write_aside(Path(folder) / FOLDER, is_expendable=True) as aside:
        _write_part(aside / _part_name(0), table)


def repeated_keys(translations: pa.Table) -> npt.NDArray[np.int64]:
    """Return the rows whose key an earlier row has."""
    keys = np.stack([codes(translations[name]) for name in KEY], axis=1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return np.flatnonzero(first[inverse.ravel()] != np.arange(len(keys)))


def judged(
    translations: pa.Table,
    scores: Sequence[float | None],
    reasons: Sequence[Sequence[str]],
    weights: Sequence[float],
) -> pa.Table:
    """Return translations with the verdict of a quality check, a value a row.

    Raises:
        DataError: a score or a weight is not between 0 and 1.
    """
    columns = {"score": scores, "reasons": [list(row) for row in reasons], "weight": weights}
    table = translations
    for name, values in columns.items():
        field = TRANSLATION_SCHEMA.field(name)
        table = table.set_column(table.column_names.index(name), field, pa.array(values, field.type))
    for name in ("score", "weight"):
        wrong = out_of_range(table[name])
        if len(wrong):
            raise DataError(
                f"translation row {wrong[0]} has the {name} {table[name][wrong[0]]}; it is a number from 0 to 1"
            )
    return table


def out_of_range(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the rows of a score or weight that is not from 0 to 1; no value is none."""
    values = pc.fill_null(column, 0.0).to_numpy()
    return np.flatnonzero(~((values >= 0) & (values <= 1)))


def chosen(translations: pa.Table, model: str | None = None) -> pa.Table:
    """Return one row for each (`caption_id`, `lang`): the best score; of equals, and of rows not judged, the first.

    Args:
        translations: the table. Rows not judged come after those that are; rows of weight 0 are never chosen.
        model: choose among the rows of this model only; None: among all.

    Raises:
        DataError: no row is of this model.
    """
    models = pc.unique(translations["model"]).to_pylist()
    if model is not None and model not in models:
        raise DataError(f"there is no translation by {model!r}; there are those by {', '.join(models) or 'none'}")
    of_model = pc.equal(translations["model"], translations["model"] if model is None else model)
    table = translations.filter(pc.and_(of_model, pc.greater(translations["weight"], 0)))
    score = pc.fill_null(table["score"], -1.0).to_numpy()
    captions, langs = codes(table["caption_id"]), codes(table["lang"])
    order = np.lexsort((np.arange(len(score)), -score, langs, captions))
    keys = (captions * (1 + langs.max(initial=0)) + langs)[order]
    is_first = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
    return table.take(np.sort(order[is_first]))


def with_translations(dataset: Dataset, translations: pa.Table, model: str | None = None) -> Dataset:
    """Return a dataset whose captions hold one chosen translation where nobody wrote one.

    Human and generated captions stay. Machine-translated captions for which the table has rows make room for what is
    chosen now, which comes behind all others, in the order of the sentences and then of the languages' codes.

    Args:
        dataset: with the sentences that were translated.
        translations: as `read_translations` gives them; rows whose sentence is not here, or has changed, count nothing.
        model: as for `chosen`.

    Raises:
        DataError: no row is of this model.
    """
    captions = dataset.captions
    place_of = {key: row for row, key in enumerate(_pairs(captions, "caption_id", "lang"))}
    sources = np.array([place_of.get(key, -1) for key in _pairs(translations, "caption_id", "source_lang")], int)
    texts = captions["text"].to_pylist()
    old_texts = translations["source_text"].to_pylist()
    is_current = [place >= 0 and texts[place] == text for place, text in zip(sources, old_texts, strict=True)]
    translations = translations.append_column("place", pa.array(sources)).filter(pa.array(is_current, pa.bool_()))

    replaceable = set(_pairs(translations, "caption_id", "lang"))
    machine_made = pc.equal(captions["origin"], "machine-translated").to_pylist()
    stays = [not (made and key in replaceable) for key, made in zip(place_of, machine_made, strict=True)]
    taken = {key for key, is_kept in zip(place_of, stays, strict=True) if is_kept}
    best = chosen(translations, model).sort_by([("place", "ascending"), ("lang", "ascending")])
    best = best.filter(pa.array([key not in taken for key in _pairs(best, "caption_id", "lang")], pa.bool_()))
    added = {
        "clip_id": captions["clip_id"].take(best["place"]),
        "origin": pa.array(["machine-translated"] * best.num_rows, pa.string()),
    }
    columns = [added[name] if name in added else best[name] for name in CAPTION_SCHEMA.names]
    tables = [captions.filter(pa.array(stays, pa.bool_())), pa.table(columns, schema=CAPTION_SCHEMA)]
    return replace(dataset, captions=as_table(pa.concat_tables(tables, promote_options="default"), CAPTION_SCHEMA))


def _pairs(table: pa.Table, *names: str) -> list[tuple[str, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("part-*.parquet"))


def _part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _write_part(file: Path, table: pa.Table) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(file) as aside:
        pq.write_table(table, aside, compression="zstd")
