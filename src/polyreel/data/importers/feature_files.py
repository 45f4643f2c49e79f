"""Features as people keep them: one array with a list of ids, an .npz by clip id, `.npy` files in a folder or in tars.

They are read lazily, clip by clip, after the ids have been checked, and written to a feature store.
"""

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.importers.layout import FeatureLayout
from polyreel.data.importers.source_table import find_file, read_utf8
from polyreel.errors import DataError
from polyreel.progress import Progress, silent

Rows = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class FeatureFiles:
    """Features of clips, still in their own files.

    Attributes:
        clip_ids: whose they are.
        place: says where the features of the i-th clip stand, for messages.
        rows: reads the features of the i-th clip, `[T, D]`.
    """

    clip_ids: Sequence[str]
    place: Callable[[int], str]
    rows: Callable[[int], Rows]


def open_features(folder: Path, layout: FeatureLayout) -> FeatureFiles:
    """Open what a layout names: an array with ids, an `.npz` by clip id, a folder of `CLIP.npy` or of tar shards.

    Raises:
        DataError: a file is missing or no array, or array and ids do not fit one another.
    """
    path = find_file(folder, layout.file)
    if path.is_dir():
        shards = sorted(path.glob("*.tar"))
        return _open_shards(shards, layout.file) if shards else _open_folder(path, layout.file)
    with _naming(layout.file):
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    if layout.ids is not None:
        return _open_array(_only_array(content, layout.file), layout.file, folder, layout.ids)
    if isinstance(content, np.lib.npyio.NpzFile):
        return _open_archive(content, layout.file)
    raise DataError(f"{layout.file} is one array, but nothing says whose its rows are; name a text file with `ids`")


def import_features(
    files: FeatureFiles, extractor: str, known: Sequence[str], store: Path, progress: Progress = silent
) -> None:
    """Write features to a store.

    Args:
        files: the features.
        extractor: what to call their extractor; the same name promises that the same extractor made them.
        known: ids of the clips there are.
        store: the store's folder.
        progress: told now and then.

    Raises:
        DataError: ids without clips or repeated, a wrong width, NaN.
    """
    _check_ids(files, extractor, known)
    dim = _width(files)
    with FeatureWriter(store, FeatureSettings.imported(extractor, dim)) as writer:
        for position, clip_id in enumerate(files.clip_ids):
            with _naming(files.place(position)):
                writer.add(clip_id, files.rows(position))
            progress(position + 1, len(files.clip_ids), f"features {extractor}")


def _check_ids(files: FeatureFiles, extractor: str, known: Sequence[str]) -> None:
    if not files.clip_ids:
        raise DataError(f"the features {extractor!r} are empty; expected at least one clip's")
    first: dict[str, int] = {}
    for position, clip_id in enumerate(files.clip_ids):
        if first.setdefault(clip_id, position) != position:
            earlier = files.place(first[clip_id])
            raise DataError(f"{files.place(position)} repeats the id {clip_id!r} of {earlier}; it must be unique")
    strangers = set(first) - set(known)
    if strangers:
        stranger = next(clip_id for clip_id in files.clip_ids if clip_id in strangers)
        raise DataError(
            f"{files.place(first[stranger])} has features of {stranger!r}, which is not among the {len(known)} clips, "
            f"such as {known[0]!r} ({len(strangers)} of {len(first)} ids are without a clip); add the clips, "
            "or leave these features out"
        )


def _width(files: FeatureFiles) -> int:
    with _naming(files.place(0)):
        rows = files.rows(0)
    if rows.ndim != 2:
        raise DataError(f"{files.place(0)} has features of shape {list(rows.shape)}; expected [T, D] or [D] a clip")
    return len(rows[0])


def _open_folder(path: Path, file: str) -> FeatureFiles:
    names = sorted(found.relative_to(path).with_suffix("").as_posix() for found in path.rglob("*.npy"))
    return FeatureFiles(
        clip_ids=names,
        place=lambda position: f"{file}/{names[position]}.npy",
        rows=lambda position: _at_least_2d(np.load(path / f"{names[position]}.npy", allow_pickle=False)),
    )


def _open_shards(shards: Sequence[Path], file: str) -> FeatureFiles:
    """Open tar shards of WebDataset with `KEY.npy` in them; keys are clip ids, quoted like an address or not."""
    members: list[tuple[Path, tarfile.TarInfo]] = []
    for shard in shards:
        with _naming(f"{file}/{shard.name}"), tarfile.open(shard) as archive:
            members += [(shard, member) for member in archive if member.name.endswith(".npy")]

    def rows(position: int) -> Rows:
        shard, member = members[position]
        with shard.open("rb") as stream:
            stream.seek(member.offset_data)
            return _at_least_2d(np.load(io.BytesIO(stream.read(member.size)), allow_pickle=False))

    return FeatureFiles(
        clip_ids=[unquote(member.name.removesuffix(".npy").removeprefix("./")) for _, member in members],
        place=lambda position: f"{file}/{members[position][0].name}, {members[position][1].name}",
        rows=rows,
    )


def _open_archive(archive: "np.lib.npyio.NpzFile", file: str) -> FeatureFiles:
    names = archive.files
    return FeatureFiles(
        clip_ids=names,
        place=lambda position: f"{file}, array {names[position]!r}",
        rows=lambda position: _at_least_2d(archive[names[position]]),
    )


def _open_array(array: Rows, file: str, folder: Path, ids: str) -> FeatureFiles:
    lines = [line.removesuffix("\r") for line in read_utf8(find_file(folder, ids), ids).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise DataError(f"{ids}, line {1 + lines.index('')} is empty; expected one clip id a line")
    if array.ndim not in (2, 3):
        raise DataError(f"{file} has shape {list(array.shape)}; expected [clips, T, D] or [clips, D]")
    if len(array) != len(lines):
        raise DataError(f"{file} has features of {len(array)} clips, but {ids} has {len(lines)} ids; expected as many")
    return FeatureFiles(
        clip_ids=lines,
        place=lambda position: f"{ids}, line {position + 1}",
        rows=lambda position: _at_least_2d(array[position]),
    )


def _only_array(content: "Rows | np.lib.npyio.NpzFile", file: str) -> Rows:
    if not isinstance(content, np.lib.npyio.NpzFile):
        return content
    if len(content.files) != 1:
        raise DataError(f"{file} holds the arrays {', '.join(content.files)}; with `ids` it must hold exactly one")
    only: Rows = content[content.files[0]]
    return only


def _at_least_2d(rows: Rows) -> Rows:
    return rows[None] if rows.ndim == 1 else rows


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Say where features stand in the message of whatever is wrong with them."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    except (ValueError, EOFError, OSError, tarfile.TarError) as error:
        raise DataError(f"{place} is no array of numbers that numpy reads without pickle ({error})") from None
