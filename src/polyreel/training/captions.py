"""Captions as training reads them: tokenised, numbered, in the order of their clips, in mapped files.

They are written some thousand at a time, so that their number is no matter: what is in memory is a few numbers a clip.
Sentences are numbered clip by clip, which a sentence has one of, so no table of all sentences is ever needed.

Shapes: `Q` captions, of all languages or of one; `C` clips; `S` sentences.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.dataset import Dataset
from polyreel.data.id_index import IdIndex
from polyreel.data.mapped import ROWS_AT_ONCE, Ints, Texts, gather, map_table, write_columns
from polyreel.errors import DataError
from polyreel.models.tokens import Tokens
from polyreel.training.batches import CaptionTable, LangCaptions

Number = TypeVar("Number", bound=np.generic)
Tokenize = Callable[[Sequence[str]], Tokens]
_SENTENCES = "sentence_ids.arrow"
_SENTENCE_SCHEMA = pa.schema([pa.field("caption_id", pa.string(), nullable=False)])
_OF_LANG = [field.name for field in fields(LangCaptions) if field.name != "first_row"]


def tabulate(dataset: Dataset, langs: Sequence[str], tokenize: Tokenize) -> CaptionTable:
    """Tokenise a dataset's captions, once; files of no name hold them as long as they are needed.

    Args:
        dataset: the clips to train on, with their captions.
        langs: languages to keep.
        tokenize: the text tower's.

    Raises:
        DataError: a language has no captions.
    """
    with TemporaryDirectory(prefix="polyreel-", ignore_cleanup_errors=True) as folder:
        write_captions(Path(folder), dataset, langs, tokenize)
        return read_captions(Path(folder), dataset, langs)


def write_captions(folder: Path, dataset: Dataset, langs: Sequence[str], tokenize: Tokenize) -> None:
    """Write what `read_captions` maps.

    Raises:
        DataError: a language has no captions.
    """
    for lang in langs:
        if lang not in dataset.langs:
            raise DataError(f"dataset {dataset.name!r} has no {lang!r} captions to train on; it has {dataset.langs}")
    with TemporaryDirectory(dir=folder) as scratch:
        ordered = _in_order(Path(scratch), dataset, langs)
        sentence_Q, num_sentences = _number_sentences(folder, Path(scratch), ordered)
        tokens, first = _TokenFile(folder, ordered.num_captions), 0
        weight_N = new_array(folder / "weight_N.npy", np.float32, ordered.num_captions)
        for number, lang in enumerate(langs):
            count = int(ordered.counts_LC[number].sum())
            part = _LangFiles.new(folder, lang, first, count, num_sentences, ordered.counts_LC[number])
            for rows, sentences in _of_lang(ordered, sentence_Q, number):
                weights = gather(ordered.captions["weight"], rows).to_numpy()
                weight_N[first : first + len(rows)] = weights
                tokens.add(tokenize(gather(ordered.captions["text"], rows).to_pylist()))
                part.add(sentences, weights.astype(np.float64))
                first += len(rows)
        tokens.finish()


def read_captions(folder: Path, dataset: Dataset, langs: Sequence[str]) -> CaptionTable:
    """Map what `write_captions` wrote."""

    def mapped(name: str) -> npt.NDArray[np.generic]:
        return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))

    by_lang = {}
    for lang in langs:
        arrays = {name: mapped(f"{lang}-{name}") for name in _OF_LANG}
        by_lang[lang] = LangCaptions(first_row=int(mapped(f"{lang}-first_row")), **arrays)  # type: ignore[arg-type]
    return CaptionTable(
        clip_ids=Texts(dataset.clips["clip_id"]),
        sentence_ids=Texts(map_table(folder / _SENTENCES)["caption_id"]),
        first_sentence_C=mapped("first_sentence_C").astype(np.int64, copy=False),
        tokens=Tokens(
            ids=mapped("ids").astype(np.int32, copy=False), offsets=mapped("offsets").astype(np.int64, copy=False)
        ),
        weight_N=mapped("weight_N").astype(np.float32, copy=False),
        by_lang=by_lang,
    )


@dataclass(frozen=True, kw_only=True)
class _Ordered:
    """Captions of some languages in the order of their clips.

    Attributes:
        captions: as they stand in the dataset.
        row_Q: where each caption stands there.
        lang_Q: number of the language of each row there.
        clip_Q: number of the clip of each row there.
        first_C: captions of clip c are first_C[c] to first_C[c + 1], in the order of the clips.
        counts_LC: how many captions a clip has in a language.
    """

    captions: pa.Table
    row_Q: Ints
    lang_Q: npt.NDArray[np.int16]
    clip_Q: Ints
    first_C: Ints
    counts_LC: npt.NDArray[np.int32]

    @property
    def num_captions(self) -> int:
        return int(self.captions.num_rows)


def _in_order(scratch: Path, dataset: Dataset, langs: Sequence[str]) -> _Ordered:
    captions, num_clips = dataset.in_langs(langs).captions, dataset.clips.num_rows
    clip_index = IdIndex(Texts(dataset.clips["clip_id"]), scratch / "clips")
    clip_Q, row_Q = (new_array(scratch / f"{name}.npy", np.int64, captions.num_rows) for name in ("clip", "row"))
    lang_Q = new_array(scratch / "lang.npy", np.int16, captions.num_rows)
    counts_LC = np.zeros((len(langs), num_clips), np.int32)
    for part in _parts(captions.num_rows):
        block = captions.slice(part.start, part.stop - part.start)
        clip_Q[part] = clip_index.places(block["clip_id"].combine_chunks())
        lang_Q[part] = pc.index_in(block["lang"], pa.array(list(langs), pa.string())).to_numpy()
        np.add.at(counts_LC, (lang_Q[part], clip_Q[part]), 1)
    first_C = np.zeros(num_clips + 1, np.int64)
    np.cumsum(counts_LC.sum(axis=0), out=first_C[1:])
    next_C = first_C[:-1].copy()
    for part in _parts(captions.num_rows):
        order = np.argsort(clip_Q[part], kind="stable")
        clips, counts = np.unique(clip_Q[part], return_counts=True)
        within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        row_Q[np.repeat(next_C[clips], counts) + within] = part.start + order
        next_C[clips] += counts
    return _Ordered(captions=captions, row_Q=row_Q, lang_Q=lang_Q, clip_Q=clip_Q, first_C=first_C, counts_LC=counts_LC)


def _number_sentences(folder: Path, scratch: Path, ordered: _Ordered) -> tuple[Ints, int]:
    """Write the sentences' ids, number them by first appearance, and return the sentence of each ordered caption."""
    sentence_Q = new_array(scratch / "sentence.npy", np.int64, ordered.num_captions)
    first_sentence_C = new_array(folder / "first_sentence_C.npy", np.int64, len(ordered.first_C))
    done = 0

    def found() -> Iterator[pa.Table]:
        nonlocal done
        for clips in _clip_ranges(ordered.first_C):
            part = slice(int(ordered.first_C[clips.start]), int(ordered.first_C[clips.stop]))
            rows = np.asarray(ordered.row_Q[part])
            ids = gather(ordered.captions["caption_id"], rows).dictionary_encode()
            numbers, first = np.unique(np.asarray(ids.indices, np.int64), return_index=True)
            sentence_Q[part] = done + np.asarray(ids.indices, np.int64)
            counts = np.bincount(ordered.clip_Q[rows[first]] - clips.start, minlength=clips.stop - clips.start)
            first_sentence_C[clips.start + 1 : clips.stop + 1] = done + np.cumsum(counts)
            done += len(numbers)
            yield pa.table([ids.dictionary], schema=_SENTENCE_SCHEMA)

    write_columns(folder / _SENTENCES, _SENTENCE_SCHEMA, found())
    return sentence_Q, done


def _clip_ranges(first_C: Ints) -> Iterator[slice]:
    """Yield neighbouring clips with some thousand captions together."""
    start, num_clips = 0, len(first_C) - 1
    while start < num_clips:
        within = int(np.searchsorted(first_C, first_C[start] + ROWS_AT_ONCE, side="right")) - 1
        stop = min(max(within, start + 1), num_clips)
        yield slice(start, stop)
        start = stop


def _of_lang(ordered: _Ordered, sentence_Q: Ints, number: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield rows and sentences of a language's captions, clip by clip, some thousand at a time."""
    for part in _parts(ordered.num_captions):
        rows = np.asarray(ordered.row_Q[part])
        is_own = ordered.lang_Q[rows] == number
        if is_own.any():
            yield rows[is_own], np.asarray(sentence_Q[part])[is_own]


class _LangFiles:
    """The arrays of one language, filled caption by caption."""

    def __init__(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        self._arrays, self._done, self._weight = arrays, 0, 0.0

    @classmethod
    def new(
        cls, folder: Path, lang: str, first_row: int, count: int, num_sentences: int, counts_C: npt.NDArray[np.int32]
    ) -> "_LangFiles":
        np.save(folder / f"{lang}-first_row.npy", np.array(first_row))
        np.save(folder / f"{lang}-first_C.npy", np.concatenate([np.zeros(1, np.int64), np.cumsum(counts_C)]))
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "sentence_Q": new_array(folder / f"{lang}-sentence_Q.npy", np.int64, count),
            "cumulative_weight_Q": new_array(folder / f"{lang}-cumulative_weight_Q.npy", np.float64, count),
            "row_of_sentence_S": new_array(folder / f"{lang}-row_of_sentence_S.npy", np.int64, num_sentences),
        }
        for part in _parts(num_sentences):
            arrays["row_of_sentence_S"][part] = -1
        return cls(arrays)

    def add(self, sentences: Ints, weights: npt.NDArray[np.float64]) -> None:
        """Append captions."""
        part = slice(self._done, self._done + len(sentences))
        self._arrays["sentence_Q"][part] = sentences
        self._arrays["row_of_sentence_S"][sentences] = np.arange(part.start, part.stop)
        sums = np.cumsum(np.concatenate([[self._weight], weights]))[1:]
        self._arrays["cumulative_weight_Q"][part] = sums
        self._done, self._weight = part.stop, float(sums[-1])


class _TokenFile:
    """Tokens end to end, as they come; how many there will be is not known before."""

    def __init__(self, folder: Path, num_texts: int) -> None:
        self._stream = (folder / "ids.npy").open("wb")
        self._offsets = new_array(folder / "offsets.npy", np.int64, num_texts + 1)
        self._texts = self._size = 0
        self._write_header()

    def add(self, tokens: Tokens) -> None:
        """Append some texts' tokens."""
        self._stream.write(np.ascontiguousarray(tokens.ids, np.int32).data)
        self._offsets[self._texts + 1 : self._texts + 1 + len(tokens)] = self._size + tokens.offsets[1:]
        self._texts, self._size = self._texts + len(tokens), self._size + len(tokens.ids)

    def finish(self) -> None:
        """Write into the header how many there are."""
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        header = {"descr": np.dtype(np.int32).str, "fortran_order": False, "shape": (self._size,)}
        np.lib.format.write_array_header_1_0(self._stream, header)


def new_array(file: Path, dtype: type[Number], size: int) -> npt.NDArray[Number]:
    """Make a mapped array of zeros."""
    made: npt.NDArray[Number] = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=(size,))
    return made


def _parts(size: int) -> Iterator[slice]:
    for first in range(0, size, ROWS_AT_ONCE):
        yield slice(first, min(first + ROWS_AT_ONCE, size))
