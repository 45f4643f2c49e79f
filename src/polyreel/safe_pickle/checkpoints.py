"""Checkpoints as `torch.save` writes them, read without torch: a zip of one pickle and the bytes of each storage.

The pickle says how tensors lie in the storages; objects of unknown classes, such as the reference implementation's
`parse_config.ConfigParser`, become inert placeholders. A tensor's bytes are read when it is asked for them, so what an
optimizer kept costs nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError
from polyreel.safe_pickle.machine import naming, run
from polyreel.safe_pickle.numpy_files import NUMPY_MAKERS
from polyreel.safe_pickle.values import Allowed, Name, Placeholder

_NUMBER_TYPES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "b1",
}
_PATH_CLASSES = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Storage:
    archive: ZipFile
    entry: ZipInfo
    dtype: np.dtype[np.generic]
    num_items: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ForeignTensor:
    """A tensor of a checkpoint that is open.

    Attributes:
        shape: its sizes.
    """

    shape: tuple[int, ...]
    _storage: _Storage
    _first: int
    _strides: tuple[int, ...]

    def numpy(self) -> npt.NDArray[np.generic]:
        """Read the tensor's numbers, `shape`, read-only; their checksum is checked.

        Raises:
            DataError: the bytes were altered, or the checkpoint is closed.
        """
        storage = self._storage
        try:
            data = storage.archive.read(storage.entry)
        except (BadZipFile, ValueError, OSError) as error:
            raise DataError(f"{storage.archive.filename}, {storage.entry.filename} cannot be read ({error})") from None
        size = storage.dtype.itemsize
        strides = [stride * size for stride in self._strides]
        return np.ndarray(self.shape, storage.dtype, data, self._first * size, strides)


@contextmanager
def open_checkpoint(path: Path | str) -> Iterator[object]:
    """Open a checkpoint, without running what its pickle says.

    Yields:
        Its content: plain containers, numbers, texts, a `ForeignTensor` for each tensor (to be read while the
        checkpoint is open), a `Placeholder` for each object of an unknown class.

    Raises:
        DataError: the file is missing, is no zip of `torch.save`, or wants something called, which is named.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is no file; name a checkpoint, such as latest_model.pth")
    if not is_zipfile(path):
        raise DataError(
            f"{path} is no zip, as torch.save writes since torch 1.6; load an older file where you trust it, "
            "and save it anew with torch.save"
        )
    with naming(path, "checkpoint"):
        archive = ZipFile(path)
    with archive:
        with naming(path, "checkpoint"):
            content = _read(archive)
        yield content


def _read(archive: ZipFile) -> object:
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if PurePosixPath(name).name == "data.pkl"]
    if len(pickles) != 1:
        raise DataError("is a zip without a data.pkl, or with several; expected what torch.save writes")
    if any(entry.compress_type != ZIP_STORED for entry in entries.values()):
        raise DataError("is a zip with compressed entries; torch.save compresses nothing; do not trust it")
    folder = pickles[0].removesuffix("data.pkl")
    order = entries.get(f"{folder}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise DataError("was written on a big-endian machine, which is not read; save it anew on another")
    allowed = Allowed(
        kind="checkpoint",
        makers=_MAKERS,
        open_persistent=lambda identity: _open_storage(archive, entries, folder, identity),
        has_placeholders=True,
    )
    return run(BytesIO(archive.read(pickles[0])), allowed)


def _open_storage(archive: ZipFile, entries: dict[str, ZipInfo], folder: str, identity: object) -> _Storage:
    match identity:
        case ("storage", Name(kind), str(key), str(), int(num_items)):
            entry = entries.get(f"{folder}data/{key}")
        case _:
            raise DataError("has a persistent id that names no storage; do not trust this file")
    if kind not in _NUMBER_TYPES:
        raise DataError(f"has numbers of {kind}; read are {', '.join(sorted(_NUMBER_TYPES))}")
    dtype = np.dtype(_NUMBER_TYPES[kind])
    if entry is None or entry.file_size != num_items * dtype.itemsize:
        found = "no bytes" if entry is None else f"{entry.file_size} bytes"
        raise DataError(f"has {found} for storage {key!r}, which should hold {num_items} numbers; fetch it again")
    return _Storage(archive=archive, entry=entry, dtype=dtype, num_items=num_items)


def _tensor(storage: object, first: object, shape: object, strides: object, *rest: object) -> ForeignTensor:
    """Lay a tensor over a storage; whether it needs gradients, and its hooks, are nothing to a reader."""
    sizes, steps = _counts(shape), _counts(strides)
    if not isinstance(storage, _Storage) or not isinstance(first, int) or first < 0 or len(sizes) != len(steps):
        raise TypeError("a tensor without storage, shape and strides")
    last = first + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    num_numbers = int(np.prod(sizes, dtype=object))
    if num_numbers > storage.num_items or (num_numbers and last >= storage.num_items):
        raise DataError(f"has a tensor of shape {list(sizes)} over a storage of {storage.num_items} numbers")
    return ForeignTensor(shape=sizes, _storage=storage, _first=first, _strides=steps)


def _counts(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(isinstance(value, int) and value >= 0 for value in values):
        raise TypeError("a shape that is no row of counts")
    return values


def _parameter(tensor: object, *rest: object) -> object:
    return tensor


def _path(*parts: object) -> Placeholder:
    return Placeholder("pathlib.Path", list(parts))


_MAKERS = {
    **NUMPY_MAKERS,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"pathlib.{name}": _path for name in _PATH_CLASSES},
}
