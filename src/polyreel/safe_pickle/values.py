"""What a pickle is read into beside plain values: names, placeholders, objects whose content comes later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Make: TypeAlias = Callable[..., object]


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What one kind of file may ask for.

    Attributes:
        kind: what the file is called in messages.
        makers: the functions that may be called, by the dotted name in the file.
        open_persistent: gives what a persistent id stands for; None where such ids are refused.
        has_placeholders: objects of unknown classes become a `Placeholder`; otherwise a name that is not listed is
            refused as soon as it is read.
    """

    kind: str
    makers: Mapping[str, Make]
    open_persistent: Callable[[object], object] | None = None
    has_placeholders: bool = False


@dataclass(frozen=True)
class Name:
    """A name in a file: never the thing it names."""

    dotted: str


@dataclass(eq=False)
class Placeholder:
    """An object of a class nobody here knows: it holds what it was given and does nothing.

    Attributes:
        dotted: the name of its class in the file.
        given: arguments and states, in the order of the file.
    """

    dotted: str
    given: list[object] = field(default_factory=list)


@dataclass(eq=False)
class Unfinished:
    """An object whose content comes later in the file.

    Attributes:
        finish: makes it of its content.
        value: what was made; None before.
    """

    finish: Callable[[object], object]
    value: object = None


def checked_keys(values: Sequence[object]) -> list[object]:
    """Return values that may be keys or members of sets: numbers, texts, bytes, None, and flat tuples of them.

    Hashing anything deeper could exhaust the interpreter's own stack.

    Raises:
        TypeError: naming the first other type.
    """
    for value in values:
        for part in value if isinstance(value, tuple) else (value,):
            if not isinstance(part, str | bytes | int | float | None):
                raise TypeError(f"a key of type {type(part).__name__}")
    return list(values)
