"""The stack machine that carries out a pickle's opcodes over plain values.

What the opcodes mean is written in the standard library's `pickletools`, which also splits the bytes into them. All
that would call something ends in `_call`, which knows the allowed names and nothing else; all that would fill an object
ends in `_build`, which fills our own objects only.
"""

import pickletools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

from polyreel.errors import DataError
from polyreel.safe_pickle.values import Allowed, Name, Placeholder, Unfinished, checked_keys

HIGHEST_PROTOCOL = 5
_UNREADABLE = (
    ValueError, TypeError, LookupError, OverflowError, MemoryError, RecursionError, OSError, BadZipFile,
)  # fmt: skip


def run(stream: IO[bytes], allowed: Allowed) -> object:
    """Carry out a pickle.

    Args:
        stream: the bytes, from the first opcode on.
        allowed: what it may ask for.

    Returns:
        Numbers, texts, bytes, lists, tuples, sets, dicts, and what the makers give.

    Raises:
        DataError: it asks for something else; the message names it.
        ValueError, TypeError, LookupError: it is no pickle, or one that was cut short or altered.
    """
    machine = _Machine(allowed)
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.answer()


@contextmanager
def naming(path: Path, kind: str) -> Iterator[None]:
    """Say which file it is in the message of whatever is wrong with it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except _UNREADABLE as error:
        raise DataError(f"{path} is no {kind}, or was cut short or altered ({error}); fetch it again") from None


class _Machine:
    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._stack: list[object] = []
        self._below: list[list[object]] = []  # what lies under each mark
        self._memo: dict[int, object] = {}

    def step(self, opcode: str, argument: object) -> None:
        if opcode in _CONSTANTS:
            self._stack.append(argument)
        elif opcode in _FRESH:
            self._stack.append(_FRESH[opcode]())
        elif opcode in _ALONE:
            _ALONE[opcode](self)
        elif opcode in _WITH_ARGUMENT:
            _WITH_ARGUMENT[opcode](self, argument)
        else:
            raise DataError(f"uses the opcode {opcode}, which no {self._allowed.kind} needs; it was not carried out")

    def answer(self) -> object:
        return _resolved(self._stack.pop())

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _call(self, target: object, arguments: object) -> None:
        """Push what an allowed name makes of its arguments."""
        if not isinstance(target, Name) or target.dotted not in self._allowed.makers:
            raise self._refusal("calls", target)
        self._stack.append(self._allowed.makers[target.dotted](*_tuple(arguments)))

    def _refusal(self, verb: str, target: object) -> DataError:
        what = target.dotted if isinstance(target, Name | Placeholder) else f"an object of type {type(target).__name__}"
        return DataError(
            f"{verb} {what}, which no {self._allowed.kind} needs; nothing was run; expected are "
            f"{', '.join(sorted(self._allowed.makers))}; do not trust this file"
        )

    def _name(self, module: object, name: object) -> Name:
        found = Name(f"{module}.{name}")
        if found.dotted not in self._allowed.makers and not self._allowed.has_placeholders:
            raise self._refusal("names", found)
        return found

    def _new(self, target: object, *given: object) -> None:
        if not self._allowed.has_placeholders or not isinstance(target, Name):
            raise self._refusal("makes an object of", target)
        self._stack.append(Placeholder(target.dotted, list(given)))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Unfinished):
            target.value = self._stack[-1] = target.finish(state)
        elif isinstance(target, Placeholder):
            target.given.append(state)
        elif not isinstance(target, dict):  # attributes of an OrderedDict, such as a state dict's versions, are dropped
            raise self._refusal("sets attributes of", target)

    def _persistent(self, identity: object) -> None:
        if self._allowed.open_persistent is None:
            raise DataError(f"has a persistent id, which no {self._allowed.kind} needs; do not trust this file")
        self._stack.append(self._allowed.open_persistent(identity))

    def _above_mark(self) -> list[object]:
        above, self._stack = self._stack, self._below.pop()
        return above

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._above_mark()

    def _extend(self, values: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list | Placeholder):
            raise self._refusal("appends to", target)
        (target.given if isinstance(target, Placeholder) else target).extend(values)

    def _set_items(self, items: list[object]) -> None:
        target, pairs = self._stack[-1], _pairs(items)
        if isinstance(target, Placeholder):
            target.given.extend(pairs)
        elif isinstance(target, dict):
            target.update(pairs)
        else:
            raise self._refusal("sets items of", target)

    def _add(self, values: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, set):
            raise self._refusal("adds to", target)
        target.update(checked_keys(values))

    def _take(self, count: int) -> list[object]:
        if len(self._stack) < count:
            raise IndexError("too few values on the stack")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return taken

    def _put(self, place: object) -> None:
        self._memo[_int(place)] = self._stack[-1]

    def _get(self, place: object) -> None:
        self._stack.append(_resolved(self._memo[_int(place)]))

    def _push_name(self, words: object) -> None:
        self._stack.append(self._name(*str(words).split(" ", 1)))

    def _inst(self, words: object) -> None:
        arguments = self._above_mark()
        self._call(self._name(*str(words).split(" ", 1)), tuple(arguments))

    def _obj(self) -> None:
        target, *arguments = self._above_mark()
        self._call(target, tuple(arguments))

    def _check_protocol(self, protocol: object) -> None:
        if _int(protocol) > HIGHEST_PROTOCOL:
            raise DataError(f"is a pickle of protocol {protocol}; read are those up to {HIGHEST_PROTOCOL}")


def _pairs(items: list[object]) -> list[tuple[object, object]]:
    return list(zip(checked_keys(items[::2]), items[1::2], strict=True))


def _resolved(value: object) -> object:
    return value.value if isinstance(value, Unfinished) and value.value is not None else value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a {type(value).__name__} where a number belongs")
    return value


def _tuple(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise TypeError(f"a {type(value).__name__} where arguments belong")
    return value


# fmt: off
_CONSTANTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}
_FRESH: dict[str, Callable[[], object]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set,
}
# fmt: on
_ALONE: dict[str, Callable[[_Machine], object]] = {
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": _Machine._above_mark,
    "DUP": lambda machine: machine._push(machine._stack[-1]),
    "MEMOIZE": lambda machine: machine._put(len(machine._memo)),
    "LIST": lambda machine: machine._push(machine._above_mark()),
    "TUPLE": lambda machine: machine._push(tuple(machine._above_mark())),
    "TUPLE1": lambda machine: machine._push(tuple(machine._take(1))),
    "TUPLE2": lambda machine: machine._push(tuple(machine._take(2))),
    "TUPLE3": lambda machine: machine._push(tuple(machine._take(3))),
    "DICT": lambda machine: machine._push(dict(_pairs(machine._above_mark()))),
    "FROZENSET": lambda machine: machine._push(frozenset(checked_keys(machine._above_mark()))),
    "APPEND": lambda machine: machine._extend(machine._take(1)),
    "APPENDS": lambda machine: machine._extend(machine._above_mark()),
    "SETITEM": lambda machine: machine._set_items(machine._take(2)),
    "SETITEMS": lambda machine: machine._set_items(machine._above_mark()),
    "ADDITEMS": lambda machine: machine._add(machine._above_mark()),
    "STACK_GLOBAL": lambda machine: machine._push(machine._name(*machine._take(2))),
    "REDUCE": lambda machine: machine._call(*machine._take(2)),
    "OBJ": _Machine._obj,
    "NEWOBJ": lambda machine: machine._new(*machine._take(2)),
    "NEWOBJ_EX": lambda machine: machine._new(*machine._take(3)),
    "BUILD": _Machine._build,
    "BINPERSID": lambda machine: machine._persistent(*machine._take(1)),
}
_WITH_ARGUMENT: dict[str, Callable[[_Machine, object], None]] = {
    "PROTO": _Machine._check_protocol,
    "FRAME": lambda machine, num_bytes: None,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    "GLOBAL": _Machine._push_name,
    "INST": _Machine._inst,
    "PERSID": _Machine._persistent,
}
