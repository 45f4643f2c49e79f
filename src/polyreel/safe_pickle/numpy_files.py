"""Pickled data: numbers, texts, plain containers, and the arrays of numpy 1.x and 2.x.

Numpy moved its modules between the two, and protocols before 3 write byte strings as encoded texts, so each has more
than one name. Arrays are made over the bytes that the file holds, so none can be larger than the file.
"""

import math
import re
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError
from polyreel.safe_pickle.machine import naming, run
from polyreel.safe_pickle.values import Allowed, Make, Name, Unfinished, checked_keys

Array = npt.NDArray[np.generic]

_PLAIN_TYPE = re.compile(r"[biufc](1|2|4|8|16)|[SU][1-9][0-9]{0,8}")
_ByteOrder = Literal["<", ">", "=", "|"]
_LATIN_1 = ("latin1", "latin-1")


def read_data(path: Path | str) -> object:
    """Read a pickle of arrays, numbers, texts and plain containers, without running what it says.

    Args:
        path: the file.

    Returns:
        What it holds; arrays are read-only.

    Raises:
        DataError: the file is missing, is no such pickle, or asks for anything else, which is named.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is no file; name a pickle, as the reference implementation's data comes")
    with naming(path, "pickle"), path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return run(cast(IO[bytes], content), Allowed(kind="data file", makers=NUMPY_MAKERS))


def _dtype(code: object, align: object = False, copy: object = False) -> Unfinished:
    """Stand for a number type, whose byte order comes later; `align` and `copy` say nothing for plain ones."""
    if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
        raise DataError(f"has an array of type {code!r:.40}; expected numbers or texts of fixed width; do not trust it")
    return Unfinished(lambda state: _with_byte_order(np.dtype(code), state))


def _with_byte_order(dtype: np.dtype[np.generic], state: object) -> np.dtype[np.generic]:
    match state:
        case (int(), str(order), None, None, None, *_) if order in get_args(_ByteOrder):
            return dtype.newbyteorder(cast(_ByteOrder, order))
    raise DataError(f"has an array of rows with named fields or parts ({dtype}); expected plain numbers or texts")


def _reconstruct(kind: object, shape: object, code: object) -> Unfinished:
    if kind != Name("numpy.ndarray"):
        raise DataError("has an array of a class of its own; expected numpy.ndarray; do not trust it")
    return Unfinished(_filled)


def _filled(state: object) -> Array:
    match state:
        case (int(), tuple(shape), np.dtype() as dtype, (bool() | int()) as is_fortran, data):
            return _array(data, dtype, shape, "F" if is_fortran else "C")
    raise TypeError("an array without shape, type and bytes")


def _array(data: object, dtype: object, shape: object, order: object) -> Array:
    raw = data.encode("latin-1") if isinstance(data, str) else data  # a byte string of Python 2
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, np.dtype) or not isinstance(shape, tuple):
        raise TypeError("an array without shape, type and bytes")
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    declared = math.prod(sizes) * dtype.itemsize
    if len(sizes) != len(shape) or declared != len(raw):
        raise DataError(f"has an array of shape {list(shape)} and type {dtype}, but {len(raw)} bytes for it")
    return np.ndarray(sizes, dtype, buffer=bytes(raw), order="F" if order == "F" else "C")


def _scalar(dtype: object, data: object) -> object:
    value: object = _array(data, dtype, (), "C")[()]
    return value


def _encode(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in _LATIN_1:
        raise TypeError("a byte string in another encoding than Latin-1")
    return text.encode("latin-1")


def _set(members: object = ()) -> set[object]:
    return set(_members(members))


def _frozenset(members: object = ()) -> frozenset[object]:
    return frozenset(_members(members))


def _members(members: object) -> list[object]:
    if not isinstance(members, list | tuple):
        raise TypeError("a set of something else than a list")
    return checked_keys(members)


def _ordered_dict(pairs: object = ()) -> dict[object, object]:
    """Make a plain dict, which keeps its order too; old files give the pairs at once, new ones item by item."""
    if not isinstance(pairs, list | tuple):
        raise TypeError("an ordered dict of something else than pairs")
    keys = checked_keys([key for key, _ in pairs])
    return dict(zip(keys, (value for _, value in pairs), strict=True))


def _bytes() -> bytes:
    return b""


def _never(*arguments: object) -> object:
    raise DataError("calls numpy.ndarray itself; expected arrays with their bytes; do not trust it")


_NUMPY_ROOTS = ("numpy.core", "numpy._core")
_BUILTIN_MODULES = ("builtins", "__builtin__")
NUMPY_MAKERS: dict[str, Make] = {
    "numpy.ndarray": _never,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered_dict,
    **{f"{root}.multiarray._reconstruct": _reconstruct for root in _NUMPY_ROOTS},
    **{f"{root}.multiarray.scalar": _scalar for root in _NUMPY_ROOTS},
    **{f"{root}.numeric._frombuffer": _array for root in _NUMPY_ROOTS},
    **{f"{module}.bytes": _bytes for module in _BUILTIN_MODULES},
    **{f"{module}.set": _set for module in _BUILTIN_MODULES},
    **{f"{module}.frozenset": _frozenset for module in _BUILTIN_MODULES},
}
