"""Where an index keeps its rows: one small protocol, and two engines behind it.

LanceDB keeps them in the index's own folder, or on object storage (`s3://bucket/name`), where many processes read and
write the same table. Qdrant keeps them on a server or a cluster (`qdrant://host:6333/name`). The index's folder stays
what is opened in either case: its header says where the rows are.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pyarrow as pa

from polyreel.search.derived import DerivedHeader, Sizes
from polyreel.search.filter import Filter
from polyreel.similarity import Embeddings

Row = Mapping[str, object]
DEFAULT_SIZES = Sizes()


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a store can do beside finding the nearest clips.

    Attributes:
        full_text: it finds what is said.
        thumbnails: it keeps pictures; where it does not, they are made of the videos when they are asked for.
    """

    full_text: bool
    thumbnails: bool


class ClipStore(Protocol):
    """Rows of clips, and the nearest of them."""

    @property
    def abilities(self) -> Abilities:
        """What it can do."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def state(self) -> Hashable:
        """Return something that is another when the rows are."""

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path."""

    def speech_langs(self) -> list[str]:
        """Return the languages in which something is said, sorted."""

    def put(self, rows: pa.Table, dropping: Sequence[str] = ()) -> None:
        """Put in all clips of some videos, in place of what was there of these videos.

        Args:
            rows: what `make_rows` made.
            dropping: other videos to take out at the same time.
        """

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos; those that are not there are passed over."""

    def compact(self) -> None:
        """Tidy up what many writes leave; readers are not disturbed."""

    def catch_up(self, queries_QD: Embeddings | None = None) -> DerivedHeader | None:
        """Derive what makes searches fast, if that is missing or too old; None: nothing was to be done.

        Args:
            queries_QD: such queries as will be asked, to tune with.
        """

    def nearest(self, embedding_D: Embeddings, k: int, wanted: Filter | None, *, is_exact: bool = False) -> list[Row]:
        """Return the rows most similar to a unit-length embedding, best first, each with its `_score`.

        Args:
            embedding_D: what is asked, of the store's width.
            k: how many; fewer only where fewer may be found.
            wanted: which may be found.
            is_exact: compare with all of them, however long that takes.
        """

    def nearest_ids(self, queries_QD: Embeddings) -> list[str]:
        """Return the id of the clip nearest to each query; none in an empty store."""

    def find_speech(self, text: str, k: int, wanted: Filter | None) -> list[Row]:
        """Return rows of the clips in which words are said, best first, with their `lines` and a `_score`.

        Raises:
            DataError: the store cannot.
        """

    def rows(self, clip_ids: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """Return some columns of some clips, in the order asked for; `vector` is a column too.

        Raises:
            KeyError: there is no such clip.
        """

    def rows_of_videos(self, videos: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of some videos, or of all, without what is said and shown; absent videos are passed over."""

    def mean_D(self) -> Embeddings:
        """Return the mean embedding, or that of a sample; zeros where there are none."""


def open_store(folder: Path, location: str | None, dim: int, sizes: Sizes = DEFAULT_SIZES) -> ClipStore:
    """Open where an index keeps its rows.

    Args:
        folder: of the index.
        location: None: the folder itself; or as in `create_store`.
        dim: width of an embedding.
        sizes: when what is done.
    """
    if location is not None and urlsplit(location).scheme == "qdrant":
        from polyreel.search.qdrant import QdrantStore

        return QdrantStore.at(location, dim)
    from polyreel.search.table import ClipTable

    return ClipTable(folder, dim, location, sizes)


def create_store(folder: Path, location: str | None, dim: int, expected_clips: int = 0) -> None:
    """Make an empty store.

    Args:
        folder: of the index.
        location: None: the folder itself; `s3://bucket/name` (the keys and, if it is not Amazon's, the endpoint come
            from the environment, `AWS_ENDPOINT_URL` and so on); or `qdrant://host:6333/name`.
        dim: width of an embedding.
        expected_clips: how many there will be, roughly; the settings of a collection follow from it.

    Raises:
        DataError: something is there already, or the location is of no known kind.
    """
    if location is not None and urlsplit(location).scheme == "qdrant":
        from polyreel.search.qdrant import QdrantStore

        QdrantStore.create(location, dim, expected_clips)
    else:
        from polyreel.search.table import ClipTable

        ClipTable.create(folder, dim, location)


def store_exists(folder: Path, location: str | None) -> bool:
    """Tell whether there is a store in a folder, or at a location."""
    if location is not None and urlsplit(location).scheme == "qdrant":
        from polyreel.search.qdrant import QdrantStore

        return QdrantStore.at(location, 0).is_there()
    from polyreel.search.table import ClipTable

    return ClipTable.is_at(folder, location)


def check_location(location: str) -> str:
    """Return a location if it is of a known kind.

    Raises:
        ValueError: it is not.
    """
    parts = urlsplit(location)
    if parts.scheme not in ("qdrant", "s3") or not parts.netloc or not parts.path.strip("/"):
        raise ValueError(f"{location!r} is no store; expected qdrant://HOST:6333/NAME or s3://BUCKET/NAME")
    return location
