"""Feature stores under a URL, such as `s3://bucket/features`: there is no renaming there, and no memory mapping.

A run writes such a store through a folder on its own disk. What has been committed there is sent: shards first, then
the header, the manifest last. So whoever reads the store at any moment finds what its manifest names. To read rows,
bring the store to a disk (`polyreel features merge URL -o FOLDER`).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec

from polyreel.data.features import FeatureStore
from polyreel.errors import DataError

MANIFEST_FILES = ("store.json", "manifest.parquet")
"""What a store is opened by; the manifest is the last to be written."""


class RemoteStore:
    """A store under a URL and the folder through which it is written.

    Args:
        url: where the store lies.
        folder: a folder on this machine.

    Raises:
        DataError: nothing here can open such a URL.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        try:
            self._system, self._root = fsspec.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise DataError(f"{url} cannot be opened ({error}); install what fsspec needs for such URLs") from None

    def fetch(self, *, with_rows: bool = False) -> None:
        """Bring what is there into the folder: header and manifest, and the shards if asked."""
        names = [Path(path).name for path in self._system.find(self._root, maxdepth=1)] if self._exists() else []
        for name in names:
            if name in MANIFEST_FILES or (with_rows and name.endswith(".npy")):
                self._system.get_file(self._at(name), str(self.folder / name))

    def send(self) -> None:
        """Send what the folder has got since, and let go of the shards that are there now."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        shards = [path for path in files if path.suffix == ".npy"]
        others = [path for path in files if path not in shards and path.name not in MANIFEST_FILES]
        last = [self.folder / name for name in MANIFEST_FILES if (self.folder / name).is_file()]
        for path in [*shards, *others, *last]:
            place = self._at(path.relative_to(self.folder).as_posix())
            self._system.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._system.put_file(str(path), place)
        for path in shards:
            path.unlink()

    def _exists(self) -> bool:
        return bool(self._system.exists(self._at(MANIFEST_FILES[0])))

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


@contextmanager
def open_stores(places: Sequence[str | Path]) -> Iterator[list[FeatureStore]]:
    """Open stores for reading; those under URLs are brought to this machine first, until the block ends.

    Raises:
        DataError: one of them is no feature store.
    """
    with ExitStack() as stack:
        opened = []
        for place in places:
            folder = Path(place)
            if "://" in str(place):
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="polyreel-")))
                RemoteStore(str(place), folder).fetch(with_rows=True)
            opened.append(FeatureStore.open(folder))
        yield opened
