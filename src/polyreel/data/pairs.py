"""Sentence pairs: the same sentence in English and in another language, without a video.

They are read from what others publish: a table with tabs, parallel files of Moses, a translation memory (TMX), or a
data set of the Hugging Face library. Which language stands where is said by the file: a heading of two codes, a name
like `anything.en-de.tsv`, endings like `.en` and `.de`, the memory's own marks. A pair that lacks a side is left out
and counted; a file without a single pair is refused.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import BinaryIO, TextIO, cast
from xml.etree import ElementTree

from polyreel.errors import DataError, saying_which_extra
from polyreel.languages import check_lang, tagged_lang
from polyreel.storage import fingerprint

HUB = "hf:"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_TWO_CODES = re.compile(r"([a-z]{2,3})-([a-z]{2,3})$")
_TABLES, _MEMORIES = (".tsv", ".txt"), (".tmx",)
Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Sentence pairs of English, or another language that teachers read, and one further language.

    Attributes:
        lang: the further language.
        english: one sentence a pair, as the teachers read it.
        texts: the same sentence in `lang`.
        num_left_out: rows of the source that lacked a side.
    """

    lang: str
    english: tuple[str, ...]
    texts: tuple[str, ...]
    num_left_out: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def fingerprint(self) -> str:
        """Digest of language and sentences, in their order."""
        return fingerprint(self.lang, list(self.english), list(self.texts))

    def first(self, most: int | None) -> "Pairs":
        """Return the first so many pairs; None: all."""
        return Pairs(
            lang=self.lang, english=self.english[:most], texts=self.texts[:most], num_left_out=self.num_left_out
        )

    def part(self, rows: Sequence[int]) -> "Pairs":
        """Return some of the pairs, by their positions."""
        english, texts = (tuple(side[row] for row in rows) for side in (self.english, self.texts))
        return Pairs(lang=self.lang, english=english, texts=texts)


def read_pairs(source: str | Path, *, lang: str = "en") -> Pairs:
    """Read the sentence pairs of one source.

    Args:
        source: `en-de.tsv` (two columns; a heading of two codes goes before the name), either of two parallel files
            `corpus.en` and `corpus.de`, `memory.tmx`, or `hf:NAME[:CONFIG[:SPLIT]]`, a data set's name on the hub or
            a folder it was saved to. Files may be compressed (`.gz`).
        lang: the language that the teachers read.

    Raises:
        DataError: no such file, one that cannot be read, languages that cannot be told, or no pair at all.
        MissingExtraError: a data set is asked for and the library is not installed.
    """
    source = str(source)
    if source.startswith(HUB):
        rows, ours = _dataset_rows(source.removeprefix(HUB), lang)
    else:
        path = Path(source)
        if not path.is_file():
            raise DataError(
                f"{source} does not exist; pairs are a .tsv or .txt table, one of two parallel files like corpus.en "
                "and corpus.de, a .tmx memory, or hf:NAME for a data set"
            )
        rows, ours = _file_rows(path, lang)
    found = _paired(rows, lang, check_lang(ours, f"{source}:"))
    if not len(found):
        raise DataError(
            f"{source} holds no pair of {lang!r} and {ours!r} ({found.num_left_out} rows lack a side); expected the "
            "same sentence in both on one row"
        )
    return found


def gather_pairs(sources: Iterable[str | Path], *, lang: str = "en", most: int | None = None) -> dict[str, Pairs]:
    """Read several sources and join those of one language.

    Args:
        sources: as `read_pairs` takes them.
        lang: the language that the teachers read.
        most: take only the first so many pairs of each language; None: all.

    Returns:
        By language code, in the order they first occur.
    """
    joined: dict[str, Pairs] = {}
    for source in sources:
        found = read_pairs(source, lang=lang)
        before = joined.get(found.lang)
        joined[found.lang] = found if before is None else _joined(before, found)
    return {code: pairs.first(most) for code, pairs in joined.items()}


def _joined(one: Pairs, other: Pairs) -> Pairs:
    return Pairs(
        lang=one.lang,
        english=one.english + other.english,
        texts=one.texts + other.texts,
        num_left_out=one.num_left_out + other.num_left_out,
    )


def _paired(rows: Iterable[Row], lang: str, ours: str) -> Pairs:
    english, texts, num_left_out = [], [], 0
    for row in rows:
        sides = tuple(" ".join(row.get(code, "").split()) for code in (lang, ours))
        if all(sides):
            english.append(sides[0])
            texts.append(sides[1])
        else:
            num_left_out += 1
    return Pairs(lang=ours, english=tuple(english), texts=tuple(texts), num_left_out=num_left_out)


def _file_rows(path: Path, lang: str) -> tuple[Iterator[Row], str]:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix in _MEMORIES:
        units = list(_memory_units(path))
        return iter(units), _other({code for unit in units for code in unit}, lang, str(path))
    if plain.suffix in _TABLES:
        return _table_rows(path, plain.stem, lang)
    return _parallel_rows(path, plain, lang)


def _table_rows(path: Path, stem: str, lang: str) -> tuple[Iterator[Row], str]:
    with _opened(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    codes = _codes(lines[0]) if lines else None
    if codes is not None:
        lines = lines[1:]
    elif (named := _TWO_CODES.search(stem)) is not None:
        codes = _codes(named.groups())
    if codes is None:
        raise DataError(
            f"{path}: which column is which language cannot be told; begin the file with a line of two codes "
            f"(en<TAB>de), or name it like {stem}.en-de.tsv"
        )
    return (dict(zip(codes, line, strict=False)) for line in lines), _other(set(codes), lang, str(path))


def _parallel_rows(path: Path, plain: Path, lang: str) -> tuple[Iterator[Row], str]:
    code, packed = plain.suffix.removeprefix("."), path.suffix if path != plain else ""
    if tagged_lang(code) is None:
        raise DataError(
            f"{path} ends in no language; parallel files are named like {plain.name}.en and {plain.name}.de"
        )
    if code != lang:
        ours, theirs = code, lang
    else:
        names = (file.name.removesuffix(packed) for file in path.parent.glob(f"{plain.stem}.*{packed}"))
        endings = {name.removeprefix(f"{plain.stem}.") for name in names} - {lang}
        others = sorted(ending for ending in endings if tagged_lang(ending) == ending)
        if len(others) != 1:
            found = ", ".join(others) or "none"
            raise DataError(f"{path}: beside it are files in these languages: {found}; name the other file of the pair")
        ours, theirs = others[0], lang
    ours_file, theirs_file = (plain.with_suffix(f".{one}{packed}") for one in (ours, theirs))
    if not theirs_file.is_file():
        raise DataError(f"{path} has no {theirs_file.name} beside it; two parallel files make pairs line by line")
    with _opened(ours_file) as first, _opened(theirs_file) as second:
        sides = first.read().split("\n"), second.read().split("\n")
    counts = [len(lines) - (not lines[-1]) for lines in sides]
    if counts[0] != counts[1]:
        raise DataError(
            f"{ours_file} has {counts[0]} lines and {theirs_file.name} {counts[1]}; parallel files have as many"
        )
    return ({ours: one, theirs: other} for one, other in zip(*(side[: counts[0]] for side in sides), strict=True)), ours


def _memory_units(path: Path) -> Iterator[Row]:
    """Yield every unit of a translation memory as texts by language; unknown languages are passed over."""
    try:
        with _raw(path) as file:
            for _, element in ElementTree.iterparse(file):
                if element.tag.rpartition("}")[2] == "tu":
                    yield dict(filter(None, map(_variant, element)))
                    element.clear()
    except (ElementTree.ParseError, OSError, EOFError) as error:
        raise DataError(f"{path} is no translation memory that can be read ({error})") from None


def _variant(element: ElementTree.Element) -> tuple[str, str] | None:
    code = tagged_lang(element.get(_XML_LANG) or element.get("lang") or "")
    texts = ["".join(part.itertext()) for part in element if part.tag.rpartition("}")[2] == "seg"]
    return (code, texts[0]) if code and texts else None


def _dataset_rows(name: str, lang: str) -> tuple[Iterator[Row], str]:
    with saying_which_extra("reading a data set of the hub"):
        from datasets import load_dataset, load_from_disk
    name, config, split = (*name.split(":"), "", "")[:3]
    try:
        if (Path(name) / "state.json").is_file() or (Path(name) / "dataset_dict.json").is_file():
            found = load_from_disk(name)
            found = found[split or "train"] if hasattr(found, "keys") else found
        else:
            found = load_dataset(name, config or None, split=split or "train")
    except (OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"hf:{name} cannot be opened ({reason}); expected hf:NAME[:CONFIG[:SPLIT]]") from error
    if "translation" in found.column_names and len(found):
        codes, rows = (
            {code for code in found[0]["translation"] if tagged_lang(code)},
            (row["translation"] for row in found),
        )
    else:
        codes, rows = {column for column in found.column_names if tagged_lang(column) == column}, iter(found)
        codes -= {"id"} if len(codes) > 2 else set()  # a number, rather than Indonesian
    ours = _other(codes, lang, f"hf:{name}")
    return ({code: row[code] or "" for code in (lang, ours)} for row in rows), ours


def _codes(words: Sequence[str]) -> tuple[str, str] | None:
    codes = [tagged_lang(word) for word in words]
    return (codes[0], codes[1]) if len(codes) == 2 and codes[0] and codes[1] else None


def _other(codes: set[str], lang: str, where: str) -> str:
    others = sorted(codes - {lang})
    if lang not in codes or len(others) != 1:
        raise DataError(
            f"{where} is in {', '.join(sorted(codes)) or 'no language that is known'}; expected {lang!r}, which the "
            "teachers read, and one other"
        )
    return others[0]


def _opened(path: Path) -> TextIO:
    try:
        with _raw(path) as file:
            return StringIO(file.read().decode("utf-8-sig"))
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _raw(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
