"""Public archives by name: downloaded, compared with the checksum of the first time, unpacked into a cache folder.

The authors publish no checksums, so the first download is trusted and its SHA-256 kept in `checksums.json`; whatever
comes from the same address later must be the same. Archives are unpacked by Python's `data` filter, which refuses
paths and links that leave the folder, and devices.
"""

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from hashlib import sha256
from pathlib import Path

from polyreel.data.download import CHUNK_BYTES, MEGABYTE, download
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import Json, read_json, write_aside, write_json

CHECKSUMS = "checksums.json"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive.

    Attributes:
        folder: name of the folder it is unpacked into.
        url: where it is; a `.tar.gz` file.
    """

    folder: str
    url: str

    @property
    def file(self) -> str:
        """Name of the file it is downloaded to."""
        return self.url.rpartition("/")[2]


# As linked and described in the README of roudimit/c2kd: "They should be in the `data` and `weights` directory".
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "c2kd": (
        Archive(folder="data", url="https://data.csail.mit.edu/placesaudio/c2kd/data.tar.gz"),
        Archive(folder="weights", url="https://data.csail.mit.edu/placesaudio/c2kd/weights.tar.gz"),
    ),
}


def fetch(name: str, output: Path | str | None = None, *, progress: Progress = silent) -> Path:
    """Download and unpack what somebody publishes; what is there already is not downloaded again.

    Args:
        name: what to fetch, a key of `ARCHIVES`.
        output: the folder it goes to; None means `~/.cache/polyreel/NAME`.
        progress: told how many megabytes are done.

    Returns:
        The folder.

    Raises:
        DataError: the name is unknown, the content has changed, or an archive would write outside its folder.
        PolyreelError: the server refuses or cannot be reached; what came is kept, and the next call goes on.
    """
    if name not in ARCHIVES:
        raise DataError(f"nothing is known to fetch under the name {name!r}; known are {', '.join(ARCHIVES)}")
    folder = Path.home() / ".cache" / "polyreel" / name if output is None else Path(output)
    return fetch_archives(ARCHIVES[name], folder, progress=progress)


def fetch_archives(archives: Sequence[Archive], output: Path, *, progress: Progress = silent) -> Path:
    """Download archives into a folder and unpack each beside; see `fetch`."""
    for archive in archives:
        file = output / archive.file
        target = output / archive.folder
        if not file.is_file():
            if target.is_dir():
                continue  # unpacked whole, and the archive deleted to save space
            download(archive.url, file, progress=progress)
        found = _checksum(file, progress)
        sums = _checksums(output)
        _compare(archive.url, found, sums, file)
        if not target.is_dir():
            _unpack(file, target, progress)
        if archive.url not in sums:  # kept only now, so that a page of excuses instead of an archive is not believed
            write_json(output / CHECKSUMS, {**sums, archive.url: found})
    return output


def _checksums(folder: Path) -> dict[str, Json]:
    return read_json(folder / CHECKSUMS) if (folder / CHECKSUMS).is_file() else {}


def _compare(url: str, found: str, sums: Mapping[str, Json], file: Path) -> None:
    """Compare a file's checksum with the one of its address, if that is known.

    Raises:
        DataError: they differ.
    """
    if sums.get(url, found) != found:
        raise DataError(
            f"{file} is not what {url} gave at first: its SHA-256 is {found}, in {CHECKSUMS} beside it {sums[url]}; "
            "delete the file to download it again, or, to trust the new content, its line there and what was unpacked"
        )


def _checksum(file: Path, progress: Progress) -> str:
    digest = sha256()
    total = round(file.stat().st_size / MEGABYTE, 1)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            progress(round(stream.tell() / MEGABYTE, 1), total, f"MB of {file.name} checked")
    return digest.hexdigest()


def _unpack(file: Path, target: Path, progress: Progress) -> None:
    """Unpack a tar file into a new folder, whole or not at all.

    Raises:
        DataError: it is no tar file, is cut short, or would write outside the folder.
    """
    total = round(file.stat().st_size / MEGABYTE, 1)
    with write_aside(target) as aside, file.open("rb") as stream:
        aside.mkdir()
        try:
            with tarfile.open(fileobj=stream, mode="r:gz") as archive:
                for member in archive:
                    archive.extract(member, aside, filter="data")
                    progress(round(stream.tell() / MEGABYTE, 1), total, f"MB of {file.name} unpacked")
        except tarfile.FilterError as error:
            raise DataError(f"{file} is not unpacked, because it is not safe: {error}; do not trust it") from None
        except (tarfile.TarError, EOFError, BadGzipFile, zlib.error) as error:
            raise DataError(f"{file} cannot be unpacked ({error}); delete it to download it again") from None
