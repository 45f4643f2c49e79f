"""JSON as publishers of data sets write it: records that know where they stand, so that every fault names its place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyreel.data.importers.source_table import find_file, read_utf8
from polyreel.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Record:
    """One JSON object and where it stands.

    Attributes:
        place: file and position, for messages.
        fields: what the object says.
    """

    place: str
    fields: Mapping[str, object]

    def value(self, name: str) -> object:
        """Return a field as it is.

        Raises:
            DataError: there is no such field.
        """
        if name not in self.fields:
            has = ", ".join(map(repr, self.fields)) or "nothing"
            raise DataError(f"{self.place} has no field {name!r}; it has {has}; is the file of another kind?")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return a text, without the blanks around it.

        Raises:
            DataError: there is no such field, or it is no text.
        """
        return self._text(self.value(name), name)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, each without the blanks around it.

        Raises:
            DataError: there is no such field, or it is no list of texts.
        """
        return [self._text(value, f"{name}[{number}]") for number, value in enumerate(self._list(name))]

    def number(self, name: str) -> float:
        """Return a number.

        Raises:
            DataError: there is no such field, or it is no number.
        """
        return self._number(self.value(name), name)

    def span(self, name: str) -> tuple[float, float]:
        """Return a pair of numbers.

        Raises:
            DataError: there is no such field, or it is no list of two numbers.
        """
        values = self._list(name)
        if len(values) != 2:
            raise DataError(f"{self.place} has {name} {values!r}; expected [start, end] in seconds")
        return self._number(values[0], f"{name}[0]"), self._number(values[1], f"{name}[1]")

    def records(self, name: str) -> list["Record"]:
        """Return a list of objects.

        Raises:
            DataError: there is no such field, or it is no list of objects.
        """
        return as_records(self.value(name), f"{self.place}, {name}")

    def _list(self, name: str) -> Sequence[object]:
        value = self.value(name)
        if not isinstance(value, list):
            raise DataError(f"{self.place} has {name} {value!r}; expected a list")
        return value

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str):
            raise DataError(f"{self.place} has {name} {value!r}; expected text")
        return value.strip()

    def _number(self, value: object, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{self.place} has {name} {value!r}; expected a number")
        return value


def as_record(value: object, place: str) -> Record:
    """Take a value for a JSON object.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{place} holds a {type(value).__name__}; expected a JSON object")
    return Record(place=place, fields=value)


def as_records(value: object, place: str) -> list[Record]:
    """Take a value for a list of JSON objects.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, list):
        raise DataError(f"{place} holds a {type(value).__name__}; expected a list of JSON objects")
    return [as_record(item, f"{place}[{number}]") for number, item in enumerate(value)]


def read_document(path: Path) -> object:
    """Read a JSON file.

    Raises:
        DataError: it is missing, not UTF-8 or not JSON.
    """
    text = read_utf8(find_file(path.parent, path.name), path.name)
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{path.name} is not JSON ({error}); it may have been cut short; download it again") from None


def publisher_files(source: Path, patterns: Sequence[str], what: str) -> list[Path]:
    """Return a publisher's files in a folder, or the one file that is named.

    Args:
        source: a folder, or one file, whatever it is called.
        patterns: how the publisher calls the files.
        what: the data set's name, for the message.

    Raises:
        DataError: nothing is there.
    """
    if source.is_file():
        return [source]
    found = sorted({path for pattern in patterns for path in source.glob(pattern)})
    if not found:
        raise DataError(
            f"{source} holds no file of {what}; expected {', '.join(patterns)}; "
            "name the folder they are in, or one file (docs/datasets.md)"
        )
    return found
