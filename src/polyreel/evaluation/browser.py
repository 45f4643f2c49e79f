"""The error browser: every query of a split with what each system answers, to be filtered, sorted and sliced.

It is one section of the report's page. What it shows is packed into the page (`packing.py`), its pictures are kept once
a clip, and its script (`browser.js`) loads nothing. Where words or pictures may not be passed on, they are left out and
ids stand in their place.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.clips import CLIP_SCHEMA
from polyreel.evaluation.examination import Examination
from polyreel.evaluation.markup import tag, words
from polyreel.evaluation.packing import narrowest, pack
from polyreel.languages import LANGUAGES, text_direction
from polyreel.storage import Json

_SIMS_SCALE = 10_000
_ABSENT = -(2**15)
_MOST_VALUES = 40
_THIRDS = ("shorter third", "middle third", "longer third")
_KEYS = (("/", "search"), ("j k", "next, previous query"), ("n p", "next, previous page"), ("Esc", "leave a field"))
Slice = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Browser:
    """What an error browser shows.

    Attributes:
        examination: what the systems answered; the first is the one to look at, held against the second.
        pictures: a JPEG file's bytes by clip id; a clip without one is shown by its id.
        has_words: whether the captions may stand in the page.
        notes: what a reader should know, plain words.
    """

    examination: Examination
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    has_words: bool = True
    notes: tuple[str, ...] = ()

    def times_shown(self) -> Counter[str]:
        """Count how often each clip is among the answers."""
        ids = self.examination.clips["clip_id"].to_pylist()
        counts = np.bincount(self.examination.clips_N, minlength=len(ids))
        return Counter(dict(zip(ids, counts.tolist(), strict=True)))


def browser_script() -> str:
    """Return the script of the section."""
    return files("polyreel.evaluation").joinpath("browser.js").read_text(encoding="utf-8")


def browser_html(browser: Browser, pictures: Mapping[str, bytes], colors: Mapping[str, int]) -> str:
    """Return the section, its data and its script.

    Args:
        browser: what it shows.
        pictures: those of its pictures that fit on the page.
        colors: position of the colour each system has elsewhere on the page; others come after them.
    """
    found = browser.examination
    slices = slices_of(found)
    encoded = [
        base64.b64encode(pictures[clip_id]).decode("ascii") if clip_id in pictures else None
        for clip_id in found.clips["clip_id"].to_pylist()
    ]
    return tag(
        "section",
        tag("h2", "Query by query"),
        *(tag("p", words(note), class_="soft") for note in (_explained(found), *browser.notes)),
        tag("noscript", tag("p", "This part of the page needs its script, which loads nothing from anywhere.")),
        _controls(found, slices),
        tag("div", tag("table", id="browser-slices"), class_="scroll", tabindex="0", aria_label="slices"),
        tag("p", id="browser-count", role="status"),
        tag("div", id="browser-list"),
        tag("nav", *(_button(*one) for one in (("browser-back", "Back"), ("browser-on", "On"))), aria_label="pages"),
        _keys(),
        tag("script", _packed(browser, slices, colors), type="application/octet-stream", id="browser-data"),
        tag("script", json.dumps(encoded), type="application/json", id="browser-pictures"),
        tag("script", browser_script()),
        class_="browser",
    )  # fmt: skip


def slices_of(found: Examination) -> dict[str, tuple[list[str], Slice]]:
    """Return what queries can be sliced by: the names of its values, and the number of each query's value, `[Q]`.

    Language, length, origin, and every further column of the publisher's clip table with few values.
    """
    rows_Q = _rows_of(found)
    slices = {
        "language": _coded([LANGUAGES[lang].english_name for lang in found.queries["lang"].to_pylist()]),
        "length": (list(_THIRDS), _thirds(found.queries)),
        "origin": _coded(found.queries["origin"].to_pylist()),
    }
    for name in found.clips.column_names:
        if name not in CLIP_SCHEMA.names and pa.types.is_primitive(found.clips[name].type) | pa.types.is_string(
            found.clips[name].type
        ):
            values, codes = _coded([str(value) for value in found.clips[name].to_pylist()])
            if 1 < len(values) <= _MOST_VALUES:
                slices[name] = values, codes[rows_Q]
    return slices


def _explained(found: Examination) -> str:
    said = (
        "The best clips of each system for every query, with the scores of both; framed and ticked: the clip the words "
        "were written about. Intervals of slices: 95 %, over source videos, by the standard error of a ratio. Lengths: "
        "thirds of each language's captions, by characters."
    )
    readers = [
        f"{name} reads the {LANGUAGES[lang].english_name} sentence"
        for name, lang in zip(found.names, found.reads, strict=True)
        if lang
    ]
    left = f"{found.num_left_out:,} further queries are left out, drawn at random." if found.num_left_out else ""
    return " ".join(filter(None, [said, *(f"{reader}." for reader in readers), left]))


def _controls(found: Examination, slices: Mapping[str, tuple[list[str], Slice]]) -> str:
    systems = [(str(number), name) for number, name in enumerate(found.names)]
    outcomes = [("any", "any"), ("found", "found by the first"), ("missed", "missed by the first")]
    orders = [("hardest", "hardest first"), ("dataset", "as in the dataset")]
    pair = [_select("one", "system", systems, "0")]
    if len(systems) > 1:
        pair.append(_select("other", "held against", systems, "1"))
        outcomes += [
            ("lost", "missed, found by the other"),
            ("won", "found, missed by the other"),
            ("neither", "missed by both"),
        ]
        orders = [
            ("behind", "furthest behind the other"),
            ("ahead", "furthest ahead"),
            ("apart", "fewest clips in common"),
            *orders,
        ]
    search = tag("label", "words or id", tag("input", type="search", name="words", autocomplete="off"))
    facets = [
        _select(f"facet{number}", name, [("", "all"), *((str(i), value) for i, value in enumerate(values))])
        for number, (name, (values, _)) in enumerate(slices.items())
    ]
    by = _select("by", "slices by", [(str(number), name) for number, name in enumerate(slices)])
    reset = tag("button", "Reset", type="reset")
    outcome = _select("outcome", f"outcome ({found.metric})", outcomes)
    return tag("form", search, *pair, outcome, _select("order", "order", orders), *facets, by, reset, id="browser-form")


def _select(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str | None = None) -> str:
    drawn = [
        tag("option", words(text), value=value, selected="selected" if value == chosen else None)
        for value, text in options
    ]
    return tag("label", words(label), tag("select", *drawn, name=name))


def _button(name: str, text: str) -> str:
    return tag("button", text, type="button", id=name)


def _keys() -> str:
    return tag("p", *(tag("kbd", key) + f" {meaning} " for key, meaning in _KEYS), class_="soft keys")


def _packed(browser: Browser, slices: Mapping[str, tuple[list[str], Slice]], colors: Mapping[str, int]) -> str:
    found = browser.examination
    langs = list(dict.fromkeys(found.queries["lang"].to_pylist()))
    further = {
        name: len(colors) + number for number, name in enumerate(name for name in found.names if name not in colors)
    }
    values: dict[str, Json] = {
        "names": list(found.names),
        "reads": list(found.reads),
        "colors": [{**further, **colors}[name] for name in found.names],
        "k": int(found.metric.removeprefix("R@")),
        "langs": [{"code": lang, "dir": text_direction(lang)} for lang in langs],
        "clipIds": found.clips["clip_id"].to_pylist(),
        "captionIds": found.queries["caption_id"].to_pylist(),
        "texts": found.queries["text"].to_pylist() if browser.has_words else None,
        "facets": [{"name": name, "values": known} for name, (known, _) in slices.items()],
    }
    rows_Q = _rows_of(found)
    scaled_SN = np.where(np.isnan(found.sims_SN), _ABSENT, np.round(found.sims_SN * _SIMS_SCALE)).astype(np.int16)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "lang": narrowest(np.array([langs.index(lang) for lang in found.queries["lang"].to_pylist()])),
        "clip": narrowest(rows_Q),
        "source": narrowest(_coded(found.clips["source"].to_pylist())[1][rows_Q]),
        "offsets": found.offsets.astype(np.uint32),
        "answers": narrowest(found.clips_N),
    }
    for number in range(len(found.names)):
        arrays[f"rank{number}"] = found.ranks_SQ[number].astype(np.float32)
        arrays[f"recall{number}"] = found.recall_SQ[number].astype(np.float32)
        arrays[f"sims{number}"] = scaled_SN[number]
    for number, (_, codes_Q) in enumerate(slices.values()):
        arrays[f"facet{number}"] = narrowest(codes_Q)
    return pack(values, arrays)


def _rows_of(found: Examination) -> Slice:
    """Return the row of each query's clip in the clip table, `[Q]`."""
    return np.asarray(pc.index_in(found.queries["clip_id"], found.clips["clip_id"].combine_chunks()), np.int64)


def _coded(values: Sequence[str]) -> tuple[list[str], Slice]:
    """Number values by their sorted names."""
    known, codes = np.unique(np.array(values, np.str_), return_inverse=True)
    return known.tolist(), codes


def _thirds(queries: pa.Table) -> Slice:
    """Tell whether each query is among the shorter or the longer third of its language, by characters: 0, 1 or 2."""
    lengths_Q = np.asarray(pc.utf8_length(queries["text"]), np.int64)
    langs_Q = np.array(queries["lang"].to_pylist(), np.str_)
    thirds_Q = np.zeros(len(lengths_Q), np.int64)
    for lang in np.unique(langs_Q):
        of_lang = langs_Q == lang
        bounds = np.quantile(lengths_Q[of_lang], [1 / 3, 2 / 3])
        thirds_Q[of_lang] = np.searchsorted(bounds, lengths_Q[of_lang], side="left")
    return thirds_Q
