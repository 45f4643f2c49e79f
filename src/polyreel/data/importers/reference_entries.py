"""Entries of the reference implementation's data files: pickled lists of dicts, one dict a clip.

Four layouts share the form. MSR-VTT and VATEX have `caption_<lang>` lists to train on and `eval_caption_<lang>` to test
on; YouCook2 has one `caption_<lang>` each, English once more as `caption`, and writes Czech as `cz`; RUDDER nests
`captions[lang]` and leaves languages out. All else that is an array, but for the sound, is features.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyreel.data.clips import Caption, Origin
from polyreel.errors import DataError
from polyreel.safe_pickle import read_data

SOUND_KEYS = ("audio", "audios")
_FLAT = re.compile(r"(eval_)?caption(_(?P<lang>\w+))?")
_NESTED_KEY = "captions"
_CODES = {"cz": "cs"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One clip of a data file.

    Attributes:
        place: file and number, for messages.
        clip_id: the publisher's.
        split: what the clip is for.
        fields: all that the file says of it, by the file's own keys.
    """

    place: str
    clip_id: str
    split: str
    fields: Mapping[str, object]

    def features(self) -> dict[str, npt.NDArray[np.floating]]:
        """Return the features by key: all arrays but the sound, `[T, D]`, those without rows left out."""
        arrays = {key: np.atleast_2d(value) for key, value in self.fields.items() if isinstance(value, np.ndarray)}
        return {key: rows for key, rows in arrays.items() if key not in SOUND_KEYS and rows.size}

    def captions(self, human_langs: frozenset[str]) -> Iterator[Caption]:
        """Yield the captions; those of one number are translations of one another, and empty ones are left out.

        Args:
            human_langs: languages whose captions people wrote, where a file does not nest them; RUDDER's are all human.

        Raises:
            DataError: a caption is no text.
        """
        for code, given in self._by_lang().items():
            lang = _CODES.get(code, code)
            is_human = _NESTED_KEY in self.fields or lang in human_langs
            origin: Origin = "human" if is_human else "machine-translated"
            for number, text in enumerate(given if isinstance(given, list | tuple) else [given]):
                if self._checked(text, code).strip():
                    caption_id = f"{self.clip_id}#{number}"
                    yield Caption(caption_id=caption_id, clip_id=self.clip_id, lang=lang, text=str(text), origin=origin)

    def unread_keys(self) -> set[str]:
        """Return the keys whose content is neither id, captions, features nor sound."""
        read = {"id", _NESTED_KEY, *SOUND_KEYS}
        arrays = {key for key, value in self.fields.items() if isinstance(value, np.ndarray)}
        return {key for key in self.fields if not _FLAT.fullmatch(key)} - read - arrays

    def _by_lang(self) -> dict[str, object]:
        nested = self.fields.get(_NESTED_KEY)
        if isinstance(nested, dict):
            return {str(code): given for code, given in nested.items() if given is not None}
        found = {key: match for key in self.fields if (match := _FLAT.fullmatch(key))}
        is_test = any(match[1] for match in found.values())
        keys = {match["lang"]: key for key, match in found.items() if bool(match[1]) == is_test}
        english = {"en": keys.pop(None)} if None in keys else {}
        return {code: self.fields[key] for code, key in {**english, **keys}.items() if self.fields[key] is not None}

    def _checked(self, text: object, code: str) -> str:
        if not isinstance(text, str):
            raise DataError(
                f"{self.place} has a caption in {code!r} of type {type(text).__name__}; expected a text or several"
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DataError(f"{self.place} has a caption in {code!r} that is no Unicode text: {text!r}") from None
        return text


def read_entries(path: Path, split: str) -> list[Entry]:
    """Read a data file, without running anything that it may say.

    Args:
        path: the pickle.
        split: what its clips are for.

    Raises:
        DataError: the file is missing, is no list of dicts with ids, or wants something called.
    """
    content = read_data(path)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path} holds a {type(content).__name__}; expected a list with a dict for each clip")
    return [_entry(f"{path.name}, entry {number}", split, fields) for number, fields in enumerate(content)]


def _entry(place: str, split: str, fields: object) -> Entry:
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
        raise DataError(f"{place} is a {type(fields).__name__}; expected a dict with texts as keys")
    if not isinstance(fields.get("id"), str | int) or fields["id"] == "":
        raise DataError(f"{place} has no id; expected a text or a number; it has {', '.join(map(repr, fields))}")
    return Entry(place=place, clip_id=str(fields["id"]), split=split, fields=fields)
