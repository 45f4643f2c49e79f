"""What a clip table and a caption table must fulfil before anything is made of them.

Each check names the first offending row by where it came from (`RowName`: a file and line, if the importer knows) and
counts the others like it, so that one run over bad data tells enough to mend it; `checkup` lists them all.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.errors import DataError
from polyreel.languages import LANGUAGES, unknown_lang

RowName = Callable[[int], str]
NO_CLIPS = "there are no clips; a dataset needs at least one"


class Fault(NamedTuple):
    """One kind of fault: the rows that have it, and what is wrong with row i, in words that follow its name."""

    rows: Sequence[int] | npt.NDArray[np.int64]
    says: RowName


_REQUIRED = {
    "clip_id": "every clip needs an id of its own",
    "video": "name its file or its publisher's id",
    "split": "say 'train', 'val' or 'test'",
    "source": "name the video it was cut from",
}


def check_clips(clips: pa.Table, has_publisher_splits: bool, row_name: RowName | None = None) -> tuple[str, ...]:
    """Check a clip table: ids, spans, splits and sources.

    Args:
        clips: table in the columns of `Clip`.
        has_publisher_splits: a source in two splits is then a warning, not an error.
        row_name: says where row i came from.

    Returns:
        Warnings to record with the dataset.

    Raises:
        DataError: at the first kind of fault found.
    """
    name = row_name or (lambda row: f"clip row {row}")
    if clips.num_rows == 0:
        raise DataError(NO_CLIPS)
    for fault in clip_faults(clips, name):
        _refuse(fault, name)
    return _check_sources(clips, has_publisher_splits)


def clip_faults(clips: pa.Table, name: RowName) -> Iterator[Fault]:
    """Yield every kind of fault a clip table can have in its rows, with the rows that have it."""
    for column, advice in _REQUIRED.items():
        yield Fault(_blank(clips[column]), partial(_same_for_all, f"has no {column}; {advice}"))
    yield _repeated_clip_ids(clips, name)
    spans = zip(clips["start_seconds"].to_pylist(), clips["end_seconds"].to_pylist(), strict=True)
    bad_spans = [row for row, (start, end) in enumerate(spans) if not _is_span(start, end)]
    yield Fault(bad_spans, lambda row: _bad_span(clips, row))


def check_captions(
    captions: pa.Table, clips: pa.Table, origins: Sequence[str], row_name: RowName | None = None
) -> None:
    """Check a caption table against its clips: ids, languages, texts, origins, weights.

    Args:
        captions: table in the columns of `Caption`.
        clips: the clip table its `clip_id`s must occur in.
        origins: the origins there are.
        row_name: says where row i came from.

    Raises:
        DataError: at the first kind of fault found.
    """
    name = row_name or (lambda row: f"caption row {row}")
    for fault in caption_faults(captions, clips, origins, name):
        _refuse(fault, name)


def caption_faults(captions: pa.Table, clips: pa.Table, origins: Sequence[str], name: RowName) -> Iterator[Fault]:
    """Yield every kind of fault a caption table can have in its rows, with the rows that have it."""
    langs, ids = captions["lang"], captions["caption_id"]
    strange = _where(pc.invert(pc.is_in(langs, value_set=pa.array(LANGUAGES))))
    yield Fault(strange, lambda row: f"(caption {ids[row].as_py()!r}) {unknown_lang(langs[row].as_py())}")
    yield Fault(_blank(ids), partial(_same_for_all, "has no caption id; every sentence needs one"))
    strangers = _where(pc.invert(pc.is_in(captions["clip_id"], value_set=clips["clip_id"].combine_chunks())))
    yield Fault(strangers, lambda row: _unknown_clip(captions["clip_id"][row].as_py(), clips))
    empty = "has an empty caption; leave the caption out where there is none in a language"
    yield Fault(_blank(captions["text"]), partial(_same_for_all, empty))
    yield from _caption_id_faults(captions, name)
    bad_origins = _where(pc.invert(pc.is_in(captions["origin"], value_set=pa.array(origins, pa.string()))))
    allowed = f"allowed are {', '.join(origins)}"
    yield Fault(bad_origins, lambda row: f"has the origin {captions['origin'][row].as_py()!r}; {allowed}")
    bad_weights = _where(pc.invert(pc.and_(pc.greater(captions["weight"], 0), pc.is_finite(captions["weight"]))))
    yield Fault(bad_weights, lambda row: f"has the weight {captions['weight'][row].as_py()}; it must be above 0")


def straddling_sources(clips: pa.Table) -> dict[str, tuple[str, ...]]:
    """Return the splits of every source that has clips in more than one, in order of first appearance."""
    pairs = clips.select(["source", "split"]).group_by(["source", "split"], use_threads=False).aggregate([])
    splits_of: dict[str, tuple[str, ...]] = {}
    for source, split in zip(pairs["source"].to_pylist(), pairs["split"].to_pylist(), strict=True):
        splits_of[source] = (*splits_of.get(source, ()), split)
    return {source: splits for source, splits in splits_of.items() if len(splits) > 1}


def _caption_id_faults(captions: pa.Table, name: RowName) -> Iterator[Fault]:
    """Find caption ids that are used twice in a language, or for sentences of two clips."""
    sentences, langs, clips = (codes(captions[column]) for column in ("caption_id", "lang", "clip_id"))
    keys = sentences * (1 + langs.max(initial=0)) + langs
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    earlier = first[inverse]

    def repeats(row: int) -> str:
        key = f"{captions['caption_id'][row].as_py()!r} in {captions['lang'][row].as_py()!r}"
        return f"repeats the caption id {key} of {name(int(earlier[row]))}; it must be unique in its language"

    yield Fault(np.flatnonzero(earlier != np.arange(len(keys))), repeats)
    _, first, inverse = np.unique(sentences, return_index=True, return_inverse=True)
    owner = first[inverse]

    def wanders(row: int) -> str:
        caption_id, clip_id, other = (
            captions[column][at].as_py()
            for column, at in (("caption_id", row), ("clip_id", row), ("clip_id", int(owner[row])))
        )
        return (
            f"uses the caption id {caption_id!r} for the clip {clip_id!r}, but {name(int(owner[row]))} uses it for "
            f"{other!r}; only a sentence and its translations share an id"
        )

    yield Fault(np.flatnonzero(clips != clips[owner]), wanders)


def _repeated_clip_ids(clips: pa.Table, name: RowName) -> Fault:
    _, first, inverse = np.unique(codes(clips["clip_id"]), return_index=True, return_inverse=True)
    earlier = first[inverse]

    def repeats(row: int) -> str:
        return f"repeats the clip id {clips['clip_id'][row].as_py()!r} of {name(int(earlier[row]))}; it must be unique"

    return Fault(np.flatnonzero(earlier != np.arange(clips.num_rows)), repeats)


def _bad_span(clips: pa.Table, row: int) -> str:
    start, end = clips["start_seconds"][row].as_py(), clips["end_seconds"][row].as_py()
    return f"runs from {start} to {end}; times are seconds, start 0 or more, end above start"


def _is_span(start: float | None, end: float | None) -> bool:
    first = 0.0 if start is None else start
    return first >= 0 and (end is None or end > first)


def _check_sources(clips: pa.Table, has_publisher_splits: bool) -> tuple[str, ...]:
    straddling = straddling_sources(clips)
    if not straddling:
        return ()
    source, splits = next(iter(straddling.items()))
    found = (
        f"{len(straddling)} source video(s) have clips in more than one split, the first is {source!r} "
        f"({' and '.join(map(repr, splits))})"
    )
    if has_publisher_splits:
        return (f"{found}; kept, because the split is the publisher's",)
    raise DataError(
        f"{found}; a source belongs to one split, or test results are flattered; move its clips together, "
        "or say that the split is the publisher's"
    )


def codes(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the values of a column by first appearance: equal values, equal numbers; `[N]`, from 0."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    return np.asarray(encoded.indices, np.int64)


def positions_within(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the members of each group from 0, in the order they stand; `[N]` group numbers -> `[N]`."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    is_first = np.r_[True, in_order[1:] != in_order[:-1]][: len(groups)]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(groups)), 0))
    positions = np.empty(len(groups), np.int64)
    positions[order] = np.arange(len(groups)) - first
    return positions


def _where(mask: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.flatnonzero(mask.to_numpy())


def _blank(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return _where(pc.equal(pc.utf8_trim_whitespace(column), ""))


def _unknown_clip(clip_id: str, clips: pa.Table) -> str:
    known = f"one of the {clips.num_rows} clips, such as {clips['clip_id'][0].as_py()!r}"
    return (
        f"names the clip {clip_id!r}, which is not among the clips; expected {known}; "
        "add the clip, or leave the caption out"
    )


def _same_for_all(says: str, row: int) -> str:
    return says


def _refuse(fault: Fault, name: RowName) -> None:
    if len(fault.rows) == 0:
        return
    first = int(fault.rows[0])
    more = f" (and {len(fault.rows) - 1} more like it)" if len(fault.rows) > 1 else ""
    raise DataError(f"{name(first)} {fault.says(first)}{more}")
