"""Words and arrays packed into one string that a page carries: JSON first, then the arrays' bytes, deflated, base64.

The page's script (`browser.js`) undoes it with what every browser has. Ten thousand queries with twenty answers each
take about a megabyte.

Layout before deflating: uint32 length of the JSON; the JSON, `{"values": ..., "arrays": [[name, type, length], ...]}`,
padded with spaces to a multiple of 8; the arrays, little-endian, each padded to a multiple of 8.
"""

import base64
import json
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from polyreel.storage import Json

_ALIGN = 8
_HEAD_BYTES = 8


def pack(values: Mapping[str, Json], arrays: Mapping[str, npt.NDArray[np.generic]]) -> str:
    """Pack JSON values and one-dimensional arrays of uint8, uint16, uint32, int16 or float32."""
    listing = [[name, str(array.dtype), len(array)] for name, array in arrays.items()]
    words = json.dumps({"values": values, "arrays": listing}, ensure_ascii=False, separators=(",", ":")).encode()
    words += b" " * (-len(words) % _ALIGN)
    head = struct.pack("<I", len(words)).ljust(_HEAD_BYTES, b"\0")
    blocks = [
        _padded(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        for array in arrays.values()
    ]
    return base64.b64encode(zlib.compress(head + words + b"".join(blocks), 9)).decode("ascii")


def narrowest(numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.generic]:
    """Return whole numbers of 0 or more in the smallest unsigned type that holds them."""
    most = int(numbers.max(initial=0))
    return numbers.astype(np.uint8 if most < 2**8 else np.uint16 if most < 2**16 else np.uint32)


def _padded(block: bytes) -> bytes:
    return block + b"\0" * (-len(block) % _ALIGN)
