"""Embeddings of clips on disk, and the search among them.

An index is a folder: `index.json` says which model, extractor and library it was made with, and where the rows are:
in the folder itself, on object storage or on a server (`store.py`). An index opens without loading the model; the first
search in words loads it.
Shapes: N clips, D width of an embedding.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyreel.data.speech import Speech
from polyreel.errors import DataError, FingerprintError
from polyreel.search.filter import Filter
from polyreel.search.header import (
    HEADER_FILE,
    SCHEMA_VERSION,
    IndexHeader,
    header_for,
    is_index,
    open_encoder,
    relative_path,
)
from polyreel.search.hits import Hit, SpeechHit, hit_of
from polyreel.search.hubs import KnownHubs
from polyreel.search.queries import Query, captions_like, check_page, checked, embed_query
from polyreel.search.rows import CLIP_COLUMNS, IndexedClip, lines_of, make_rows
from polyreel.search.sequences import ClipSequence, sequences_of
from polyreel.search.store import create_store, open_store
from polyreel.settings import read_header
from polyreel.similarity import Embeddings
from polyreel.storage import is_vacant, write_aside, write_json

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder


class Index:
    """Clips that can be searched.

    Attributes:
        folder: where the index lies.
        header: what it was made with.
        store: where its rows are.
    """

    def __init__(self, folder: Path, header: IndexHeader, encoder: "SearchEncoder | None" = None) -> None:
        self.folder = folder
        self.header = header
        self._given_encoder = encoder
        self.store = open_store(folder / header.part, header.location, header.dim)
        self._hubs = KnownHubs(self.store)

    @classmethod
    def create(
        cls,
        folder: Path | str,
        encoder: "SearchEncoder",
        library_folder: Path | str,
        *,
        store: str | None = None,
        expected_clips: int = 0,
    ) -> "Index":
        """Make an empty index.

        Args:
            folder: where; there must be nothing yet, or an empty folder.
            encoder: what will embed clips and queries.
            library_folder: where the videos lie.
            store: where the rows are kept, as `create_store` says; None: in the folder.
            expected_clips: how many there will be, roughly; a server's settings follow from it.

        Raises:
            DataError: something is there.
            ValueError: the store is of no known kind.
        """
        folder = Path(folder)
        if not is_vacant(folder):
            raise DataError(f"{folder} exists already; open the index there, or name another folder")
        header = header_for(folder, encoder, Path(library_folder), store)
        with write_aside(folder) as aside:
            create_store(aside, store, header.dim, expected_clips)
            write_json(aside / HEADER_FILE, header.model_dump(mode="json"))
        return cls(folder, header, encoder)

    @classmethod
    def open(cls, folder: Path | str, encoder: "SearchEncoder | None" = None) -> "Index":
        """Open an index folder; without an encoder the one it was made with is opened when it is first needed.

        Raises:
            DataError: the folder is no index, or its header was edited or written in another version of the format.
            FingerprintError: the encoder is not the one the index was made with.
        """
        folder = Path(folder)
        if not is_index(folder):
            raise DataError(f"{folder} is no index: it has no {HEADER_FILE}; make one with `polyreel index`")
        index = cls(folder, read_header(IndexHeader, folder / HEADER_FILE, SCHEMA_VERSION), encoder)
        if encoder is not None:
            index.check_fingerprint(encoder.fingerprint)
        return index

    @cached_property
    def library_folder(self) -> Path:
        """Where the videos lie."""
        return (self.folder / self.header.library_folder).resolve()

    @cached_property
    def encoder(self) -> "SearchEncoder":
        """What embeds clips and queries; opening it loads the model.

        Raises:
            DataError: the model lived in memory alone, or is not where it was.
            FingerprintError: the model or the extractor has changed since the index was made.
        """
        if self._given_encoder is not None:
            return self._given_encoder
        encoder = open_encoder(self.folder, self.header)
        self.check_fingerprint(encoder.fingerprint)
        return encoder

    def check_fingerprint(self, encoder_fingerprint: str) -> None:
        """Refuse embeddings of another model, extractor or sampling with a `FingerprintError`."""
        if encoder_fingerprint != self.header.encoder_fingerprint:
            raise FingerprintError(
                f"{self.folder} holds embeddings of encoder {self.header.encoder_fingerprint}, not of "
                f"{encoder_fingerprint}; model, extractor and sampled frames must be the same; make another index"
            )

    def follow(self, encoder: "SearchEncoder") -> None:
        """Note where model and extractor lie now, so that whoever opens the index finds them."""
        self.check_fingerprint(encoder.fingerprint)
        places = {"extractor": encoder.extractor.source}
        if encoder.model_folder is not None:
            places["model_folder"] = relative_path(encoder.model_folder, self.folder)
        followed = self.header.model_copy(update=places)
        if followed != self.header:
            self.header = followed
            write_json(self.folder / HEADER_FILE, followed.model_dump(mode="json"))

    def __len__(self) -> int:
        return len(self.store)

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path in the library."""
        return self.store.file_stamps()

    def speech_langs(self) -> list[str]:
        """Return the languages in which something is said or subtitled, sorted."""
        return self.store.speech_langs()

    def add(
        self,
        clips: Sequence[IndexedClip],
        embeddings_ND: Embeddings,
        encoder_fingerprint: str,
        *,
        speech: Iterable[Speech] = (),
        thumbnails: Mapping[str, bytes] | None = None,
        dropping: Sequence[str] = (),
    ) -> None:
        """Put in all clips of some videos, in place of what the index held of these videos, in one commit.

        Args:
            clips: one or more, each id once.
            embeddings_ND: their unit-length embeddings, `[N, D]`.
            encoder_fingerprint: of what made them.
            speech: what is said in these videos, its `video` spelt as the clips' is.
            thumbnails: JPEG files by clip id.
            dropping: other videos to take out in the same commit, such as the old name of one that moved.

        Raises:
            FingerprintError: they come from another encoder than the index's.
            ValueError: they are not one finite row of the index's width a clip.
            DataError: an own column holds another kind of value than before.
        """
        self.check_fingerprint(encoder_fingerprint)
        self.store.put(make_rows(clips, embeddings_ND, self.header.dim, speech, thumbnails), dropping)

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos, named by their paths in the library, in one commit."""
        self.store.remove(videos)

    def compact(self) -> None:
        """Tidy up what many commits leave; readers are not disturbed."""
        self.store.compact()

    def catch_up(self) -> bool:
        """Derive what makes searches in a large index fast, if it is missing or too old; True: it was.

        It is tuned with the model's query bank, where there is one. Searches are right before, and go on meanwhile.
        Where another process is at it already, DataError.
        """
        return self.store.catch_up(captions_like(lambda: self.encoder)) is not None

    def search(
        self,
        query: Query,
        k: int = 5,
        *,
        filter: Filter | None = None,
        threshold: float | None = None,
        offset: int = 0,
        bank: str | None = None,
    ) -> list[Hit]:
        """Find the clips that answer a query, best first.

        Args:
            query: words in any language the model reads, with what to leave out and weights as `parse_query` reads
                them; several parts; or a unit-length embedding `[D]`.
            k: how many hits, 1 or more; fewer only where fewer clips may be found.
            filter: which clips may be found; None: all.
            threshold: lowest score of a hit; None: none.
            offset: how many of the best hits to leave out, for paging.
            bank: take off what hubs have too much, as the model's query bank says: in which of its languages, or
                "all" where the query's language is not known; None for the cosine alone.

        Raises:
            ValueError: the query is empty or of another width than the index's, k is below 1, or offset below 0.
            DataError: the index's model is not there any more, or has no bank, or none in this language.
            FingerprintError: the model or the extractor has changed since the index or the bank was made.
        """
        check_page(k, offset)
        embedding_D = self.embed(query)
        if bank is None:
            rows = self.store.nearest(embedding_D, offset + k, filter)
        else:
            rows = self._hubs.corrected(self.encoder, bank, embedding_D, offset + k, filter)
        library_folder = self.library_folder
        hits = [hit_of(row, library_folder) for row in rows[offset:]]
        return [hit for hit in hits if threshold is None or hit.score >= threshold]

    def embed(self, query: Query) -> Embeddings:
        """Return a query's unit-length embedding `[D]`; only words need the model.

        Raises:
            ValueError, DataError, FingerprintError: as in `search`.
        """
        return checked(query, self.header.dim) if isinstance(query, np.ndarray) else embed_query(query, self.encoder)

    def average_similarity(self, embedding_D: Embeddings) -> float:
        """Return the mean cosine similarity of all clips with a unit-length embedding `[D]`; 0 in an empty index."""
        return float(self.store.mean_D() @ embedding_D)

    @property
    def finds_speech(self) -> bool:
        """Whether what is said can be asked for here."""
        return self.store.abilities.full_text

    def find_speech(self, text: str, k: int = 5, *, filter: Filter | None = None, offset: int = 0) -> list[SpeechHit]:
        """Find the clips in which words are said, by speech or subtitles, best first.

        A clip with some of the words is found; one with more and rarer ones before it. Filter and pages as in `search`.

        Raises:
            ValueError: the text is empty, k is below 1, or offset below 0.
            DataError: the store cannot, as `finds_speech` says.
        """
        if not text.strip():
            raise ValueError("the query is empty; give a word that is said")
        check_page(k, offset)
        rows = self.store.find_speech(text, offset + k, filter)[offset:]
        library_folder = self.library_folder
        return [SpeechHit(hit=hit_of(row, library_folder), lines=lines_of(row)) for row in rows]

    def lines(self, clip_id: str) -> tuple[Speech, ...]:
        """Return what is said in a clip, in the order of time; a clip that is not there raises KeyError."""
        return lines_of(self.store.rows([clip_id], ["video", "lines"])[0])

    def thumbnail(self, clip_id: str) -> bytes | None:
        """Return the JPEG file that was stored with a clip, if any; a clip that is not there raises KeyError."""
        picture = self.store.rows([clip_id], ["thumbnail"])[0]["thumbnail"]
        assert picture is None or isinstance(picture, bytes)
        return picture

    def like(self, clip_id: str, k: int = 5, *, filter: Filter | None = None) -> list[Hit]:
        """Find the clips most similar to one in the index, which is left out; without such a clip, KeyError."""
        hits = self.search(self.embedding(clip_id), k + 1, filter=filter)
        return [hit for hit in hits if hit.clip_id != clip_id][:k]

    def embedding(self, clip_id: str) -> Embeddings:
        """Return a clip's unit-length embedding `[D]`; a clip that is not there raises KeyError."""
        return np.asarray(self.store.rows([clip_id], ["vector"])[0]["vector"], np.float32)

    def sequences(self, videos: Sequence[str] | None = None) -> Iterator[ClipSequence]:
        """Yield the clips of some videos, named by their paths in the library, or of all, with their embeddings."""
        yield from sequences_of(self.store.rows_of_videos(videos), self.header.dim)

    def clip(self, clip_id: str) -> Hit:
        """Return where a clip lies, as the hit that it is for itself; a clip that is not there raises KeyError."""
        return hit_of(self.store.rows([clip_id], CLIP_COLUMNS)[0], self.library_folder)
