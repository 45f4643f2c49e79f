"""What the server serves: indexes by name, and a name for every clip that is safe in a URL.

Clips are named by their ids in the index, spelt so that nothing in them means anything to a URL. A file is opened only
because a row of the index says where it lies; no part of a URL is ever taken for a path.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

from polyreel.search.index import Hit, Index
from polyreel.search.moments import Moment, find_moments, join_hits
from polyreel.search.strength import Strengths
from polyreel.web.access import Access, Sessions
from polyreel.web.counters import Counters
from polyreel.web.guess import LanguageGuess
from polyreel.web.pictures import Pictures

PICTURES_FOLDER = "pictures"


@dataclass(frozen=True, kw_only=True)
class Library:
    """One index, as the server offers it.

    Attributes:
        name: what the page and the API call it.
        index: the clips.
    """

    name: str
    index: Index
    _asking: Lock = field(default_factory=Lock, repr=False)

    @property
    def pictures_folder(self) -> Path:
        """Where thumbnails and previews are kept, inside the index; it may be deleted at any time."""
        return self.index.folder / PICTURES_FOLDER

    @cached_property
    def guess(self) -> LanguageGuess:
        """Tells in which of the model's languages a query is written."""
        return LanguageGuess(self.index.encoder.model.langs)

    def hits(self, query: str, first: int, k: int) -> list[Hit]:
        """Return k hits, leaving out the `first` best; the model answers one query at a time."""
        with self._asking:
            embedding_D = self.index.embed(query)
        return self.index.nearest(embedding_D, first + k)[first:]

    def moments(self, query: str, first: int, k: int) -> list[Moment]:
        """Return k moments, leaving out the `first` best."""
        with self._asking:
            embedding_D = self.index.embed(query)
        return find_moments(self.index, embedding_D, first + k)[first:]

    def strengths(self, scores: Sequence[float], lang: str | None) -> list[float]:
        """Return how strong hits are, 0 to 1; see `search.strength`."""
        with self._asking:
            return self._strengths.of(scores, lang)

    @cached_property
    def _strengths(self) -> Strengths:
        return Strengths(self.index)

    def like(self, clip_id: str, k: int) -> list[Moment]:
        """Return moments that look like a clip.

        Raises:
            KeyError: there is no such clip.
        """
        background = self.index.average_similarity(self.index.embedding(clip_id))
        return join_hits(self.index.like(clip_id, k), background=background)


@dataclass(frozen=True, kw_only=True)
class Site:
    """All that the routes share.

    Attributes:
        libraries: the indexes by name; the first is asked where none is named.
        pictures: thumbnails and previews, by library.
        access: who may ask.
        sessions: browsers that knew the token.
        counters: what was asked.
    """

    libraries: dict[str, Library]
    pictures: dict[str, Pictures]
    access: Access
    sessions: Sessions
    counters: Counters

    def library(self, name: str | None) -> Library | None:
        """Return a library by name, or the first; None where there is none of that name."""
        return next(iter(self.libraries.values())) if name is None else self.libraries.get(name)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Name indexes by their folders; one hidden in its library by the library; equal names are numbered."""
    names: list[str] = []
    for folder in folders:
        own = folder.resolve()
        name = own.parent.name if own.name.startswith(".") else own.name
        taken = sum(one == name or one.startswith(f"{name} ") for one in names)
        names.append(f"{name} {taken + 1}" if taken else name)
    return names


def name_of_clip(clip_id: str) -> str:
    """Spell a clip's id with letters, digits, `-` and `_` alone."""
    return urlsafe_b64encode(clip_id.encode()).decode().rstrip("=")


def clip_of_name(name: str) -> str:
    """Return the id that `name_of_clip` spelt so.

    Raises:
        KeyError: nothing is spelt so.
    """
    try:
        clip_id = urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except ValueError:
        raise KeyError(f"{name!r} names no clip") from None
    if name_of_clip(clip_id) != name:
        raise KeyError(f"{name!r} names no clip")
    return clip_id
