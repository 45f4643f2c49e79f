"""What the server serves: indexes by name, and a name for every clip that is safe in a URL.

Clips are named by their ids in the index, spelt so that nothing in them means anything to a URL. A file is opened only
because a row of the index says where it lies; no part of a URL is ever taken for a path.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from time import sleep

import numpy as np

from polyreel.errors import PolyreelError
from polyreel.search.curve import Curve, score_curve
from polyreel.search.filter import Filter
from polyreel.search.header import HEADER_FILE
from polyreel.search.hits import Hit
from polyreel.search.hybrid import Answer, By, find_said, fuse
from polyreel.search.index import Index
from polyreel.search.moments import Moment, find_moments, join_hits
from polyreel.search.queries import embed_file, embed_query
from polyreel.search.strength import Strengths
from polyreel.search.succession import is_current
from polyreel.similarity import Embeddings
from polyreel.web.access import Access, Sessions
from polyreel.web.asked_file import MOST_FILE_SECONDS
from polyreel.web.counters import Counters
from polyreel.web.guess import LanguageGuess
from polyreel.web.pictures import Pictures

PICTURES_FOLDER, MOST_FOLDERS = "pictures", 200
_RETRY_SECONDS = 10.0
_TEXTS_AT_ONCE, _TURN_SECONDS = 8, 0.002


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in a library.

    Attributes:
        num_clips: how many clips.
        speech_langs: languages in which something is said or subtitled.
        folders: those at the top, the first `MOST_FOLDERS`.
    """

    num_clips: int
    speech_langs: tuple[str, ...]
    folders: tuple[str, ...]


class Library:
    """One index, as the server offers it.

    Args:
        name: what the page and the API call it.
        index: the clips.
    """

    def __init__(self, *, name: str, index: Index) -> None:
        self.name = name
        self._index = index
        self._guess: tuple[Index, LanguageGuess] | None = None
        self._strengths: tuple[Index, Strengths] | None = None
        self._contents: tuple[Index, Hashable, Contents] | None = None
        self._noticed: tuple[int, int] | None = None
        self._asking, self._looking, self._renewing = Lock(), Lock(), Lock()

    @property
    def index(self) -> Index:
        """The clips; where another index has taken this one's place, that is opened while the old one answers."""
        noticed = self._header_stamp()
        if noticed != self._noticed:
            self._noticed = noticed
            if not is_current(self._index) and self._renewing.acquire(blocking=False):
                Thread(target=self._renew, daemon=True).start()
        return self._index

    def _header_stamp(self) -> tuple[int, int]:
        status = (self._index.folder / HEADER_FILE).stat()
        return status.st_ino, status.st_mtime_ns

    def _renew(self) -> None:
        try:
            index = Index.open(self._index.folder)
            index.embed(self.name or "a")  # the model is loaded now, not by the first who asks
            self._index = index
        except (PolyreelError, OSError):
            sleep(_RETRY_SECONDS)
            self._noticed = None  # so that it is tried again
        finally:
            self._renewing.release()

    @property
    def pictures_folder(self) -> Path:
        """Where thumbnails and previews are kept, inside the index; it may be deleted at any time."""
        return self._index.folder / PICTURES_FOLDER

    def contents(self) -> Contents:
        """Return what is in the library; it is read once for each state of the index."""
        index = self.index
        state = index.store.state()
        if self._contents is None or self._contents[:2] != (index, state):
            folders = sorted({video.partition("/")[0] for video in index.file_stamps() if "/" in video})
            found = Contents(
                num_clips=len(index),
                speech_langs=tuple(index.speech_langs()),
                folders=tuple(folders[:MOST_FOLDERS]),
            )
            self._contents = index, state, found
        return self._contents[2]

    def path_of(self, hit: Hit) -> str:
        """Return where a hit's file lies inside the library."""
        return hit.video.relative_to(self._index.library_folder).as_posix()

    @property
    def guess(self) -> LanguageGuess:
        """Tells in which of the model's languages a query is written."""
        if self._guess is None or self._guess[0] is not self._index:
            self._guess = self._index, LanguageGuess(self._index.encoder.model.langs)
        return self._guess[1]

    def hits(self, query: str, first: int, k: int, wanted: Filter | None = None) -> list[Hit]:
        """Return k hits, leaving out the `first` best; the model answers one query at a time."""
        index = self.index
        return index.search(self._embed(index, query), k, offset=first, filter=wanted)

    def answers(self, query: str, first: int, k: int, by: By = "both", wanted: Filter | None = None) -> list[Answer]:
        """Return k moments that show or say what is asked for, leaving out the `first` best."""
        index = self.index
        embedding_D = self._embed(index, query)
        seen = [] if by == "said" else find_moments(index, embedding_D, first + k, filter=wanted)
        hears = by == "said" or (by == "both" and index.finds_speech)
        said = [] if not hears else find_said(index, query, embedding_D, first + k, filter=wanted)
        return fuse(seen, said)[first : first + k]

    def strengths(self, scores: Sequence[float], lang: str | None) -> list[float]:
        """Return how strong hits are, 0 to 1; see `search.strength`."""
        return self._judge(self.index).of(scores, lang)

    def keep_up(self) -> None:
        """Have ready what answers need: lists for fast searches, and what tells weak matches from strong ones.

        The first time this also reads what only the first answer would; searches go on meanwhile.

        Raises:
            DataError: another process derives the lists just now.
        """
        index = self.index
        index.search(self._embed(index, self.name or "a"), 1)
        self.guess.of(self.name)
        try:
            index.catch_up()
        finally:
            self._judge(index).refresh()

    def _judge(self, index: Index) -> Strengths:
        if self._strengths is None or self._strengths[0] is not index:
            self._strengths = index, Strengths(index, lambda texts: self._encode_in_turns(index, texts))
        return self._strengths[1]

    def _encode_in_turns(self, index: Index, texts: Sequence[str]) -> Embeddings:
        """Embed texts a few at a time, so that who asks something need not wait for all of them."""
        some: list[Embeddings] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            with self._asking:
                some.append(index.encoder.encode_text(texts[start : start + _TEXTS_AT_ONCE]))
            sleep(_TURN_SECONDS)  # a lock goes to who waits for it only if it stays free for a moment
        return np.concatenate(some)

    def like(self, clip_id: str, k: int, wanted: Filter | None = None) -> list[Moment]:
        """Return moments that look like a clip.

        Raises:
            KeyError: there is no such clip.
        """
        index = self.index
        background = index.average_similarity(index.embedding(clip_id))
        return join_hits(index.like(clip_id, k, filter=wanted), background=background)

    def like_file(self, path: Path, words: str, first: int, k: int, wanted: Filter | None = None) -> list[Moment]:
        """Return k moments that look like a picture or a video, leaving out the `first` best.

        Args:
            path: the file; one at a time is looked at.
            words: what else is asked for; may be empty.
            first: how many of the best to leave out.
            k: how many.
            wanted: which clips may be found.

        Raises:
            VideoError: the file cannot be decoded.
            ValueError: it is a long video.
        """
        index = self.index
        with self._looking:
            like_D = embed_file(path, index.encoder, most_seconds=MOST_FILE_SECONDS)
        with self._asking:
            embedding_D = embed_query(words, index.encoder, like_D)
        return find_moments(index, embedding_D, first + k, filter=wanted)[first:]

    def curve(self, clip: Hit, query: str | None, like: str | None) -> Curve:
        """Say how well the video of a clip answers a query, or looks like a clip, over its time.

        Raises:
            KeyError: there is no clip `like`.
            ValueError: neither or both are given.
        """
        index = self.index
        if (query is None) == (like is None):
            raise ValueError("expected either q, words, or like, a clip")
        embedding_D = self._embed(index, query) if query is not None else index.embedding(clip_of_name(like or ""))
        return score_curve(index, embedding_D, clip.video.relative_to(index.library_folder).as_posix())

    def _embed(self, index: Index, query: str) -> Embeddings:
        with self._asking:
            return index.embed(query)


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
