"""Embeddings of clips on disk, and the search among them.

An index is a folder: `index.json` says which model, extractor and library it was made with, and `clips.lance` is a
LanceDB table with a row a clip. Search is exact, over the matrix of all embeddings, which up to some hundred thousand
clips is faster than an index on disk. An index opens without loading the model; the first search in words loads it.

Shapes: N clips, D width of an embedding.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from polyreel.errors import DataError, FingerprintError
from polyreel.search.header import HEADER_FILE, SCHEMA_VERSION, IndexHeader, is_index
from polyreel.search.sequences import ClipSequence, sequences_of
from polyreel.search.table import ClipTable, IndexedClip
from polyreel.settings import read_header
from polyreel.similarity import Embeddings, Hubs, find_hubs, less_hubs, similarities, top_k
from polyreel.storage import is_vacant, write_aside, write_json

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer to a query.

    Attributes:
        clip_id: the clip's name in the index.
        video: the file.
        start_seconds: where in the file the clip starts.
        end_seconds: where it ends.
        score: cosine similarity of query and clip, -1 to 1; with a query bank hits are not ordered by it.
    """

    clip_id: str
    video: Path
    start_seconds: float
    end_seconds: float
    score: float


class Index:
    """Clips that can be searched.

    Attributes:
        folder: where the index lies.
        header: what it was made with.
    """

    def __init__(self, folder: Path, header: IndexHeader, encoder: "SearchEncoder | None" = None) -> None:
        self.folder = folder
        self.header = header
        self._given_encoder = encoder
        self._table = ClipTable(folder, header.dim)
        self._hubs: dict[str, tuple[Embeddings, Hubs]] = {}

    @classmethod
    def create(cls, folder: Path | str, encoder: "SearchEncoder", library_folder: Path | str) -> "Index":
        """Make an empty index.

        Args:
            folder: where; there must be nothing yet, or an empty folder.
            encoder: what will embed clips and queries.
            library_folder: where the videos lie.

        Raises:
            DataError: something is there.
        """
        folder = Path(folder)
        if not is_vacant(folder):
            raise DataError(f"{folder} exists already; open the index there, or name another folder")
        header = IndexHeader(
            schema_version=SCHEMA_VERSION,
            encoder_fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            extractor=encoder.extractor.source,
            model_folder=None if encoder.model_folder is None else _relative(encoder.model_folder, folder),
            library_folder=_relative(Path(library_folder), folder),
        )
        with write_aside(folder) as aside:
            ClipTable.create(aside, header.dim)
            write_json(aside / HEADER_FILE, header.model_dump(mode="json"))
        return cls(folder, header, encoder)

    @classmethod
    def open(cls, folder: Path | str, encoder: "SearchEncoder | None" = None) -> "Index":
        """Open an index folder.

        Args:
            folder: where it lies.
            encoder: what embeds queries; None opens the one the index was made with when it is first needed.

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

    @property
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
        if self.header.model_folder is None:
            raise DataError(f"{self.folder} was made with a model that is in no folder; hand its encoder to Index.open")
        from polyreel.search.encoder import SearchEncoder

        model = (self.folder / self.header.model_folder).resolve()
        if not model.is_dir():
            raise DataError(
                f"{self.folder} was made with the model {model}, which is not there any more; say where it is now: "
                f"polyreel index {self.library_folder} --model MODEL -o {self.folder}"
            )
        encoder = SearchEncoder.open(model, self.header.extractor)
        self.check_fingerprint(encoder.fingerprint)
        return encoder

    def check_fingerprint(self, encoder_fingerprint: str) -> None:
        """Refuse embeddings that cannot be compared with those in the index.

        Raises:
            FingerprintError: they come from another model, extractor or sampling.
        """
        if encoder_fingerprint != self.header.encoder_fingerprint:
            raise FingerprintError(
                f"{self.folder} holds embeddings of encoder {self.header.encoder_fingerprint}, not of "
                f"{encoder_fingerprint}; model, extractor and sampled frames must be the same; make another index"
            )

    def follow(self, encoder: "SearchEncoder") -> None:
        """Note where model and extractor lie now, so that whoever opens the index finds them.

        Raises:
            FingerprintError: the encoder is not the one the index was made with.
        """
        self.check_fingerprint(encoder.fingerprint)
        places = {"extractor": encoder.extractor.source}
        if encoder.model_folder is not None:
            places["model_folder"] = _relative(encoder.model_folder, self.folder)
        followed = self.header.model_copy(update=places)
        if followed != self.header:
            self.header = followed
            write_json(self.folder / HEADER_FILE, followed.model_dump(mode="json"))

    def __len__(self) -> int:
        return len(self._table)

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path in the library."""
        return self._table.file_stamps()

    def add(self, clips: Sequence[IndexedClip], embeddings_ND: Embeddings, encoder_fingerprint: str) -> None:
        """Put in all clips of some videos, in place of what the index held of these videos, in one commit.

        Args:
            clips: one or more.
            embeddings_ND: their unit-length embeddings, `[N, D]`.
            encoder_fingerprint: of what made them.

        Raises:
            FingerprintError: they come from another encoder than the index's.
            ValueError: they are not one finite row of the index's width a clip.
        """
        self.check_fingerprint(encoder_fingerprint)
        self._table.put(clips, embeddings_ND)

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos, named by their paths in the library, in one commit."""
        self._table.remove(videos)

    def compact(self) -> None:
        """Join the small files that many commits leave; readers are not disturbed."""
        self._table.compact()

    def search(self, query: str, k: int = 5, *, bank: str | None = None) -> list[Hit]:
        """Find the clips that answer a query, best first.

        Args:
            query: words in any language the model reads.
            k: how many hits, 1 or more; fewer where the index has fewer clips.
            bank: take off what hubs have too much, as the model's query bank says: in which of its languages, or
                "all" where the query's language is not known; None for the cosine alone.

        Raises:
            ValueError: the query is empty, or k is below 1.
            DataError: the index's model is not there any more, or has no bank, or none in this language.
            FingerprintError: the model or the extractor has changed since the index or the bank was made.
        """
        return self.nearest(self.embed(query), k, bank=bank)

    def embed(self, query: str) -> Embeddings:
        """Return a query's unit-length embedding `[D]`.

        Raises:
            ValueError: the query is empty.
            DataError, FingerprintError: as in `search`.
        """
        if not query.strip():
            raise ValueError("the query is empty; say what the video shows")
        embedding_D: Embeddings = self.encoder.encode_text([query])[0]
        return embedding_D

    def average_similarity(self, embedding_D: Embeddings) -> float:
        """Return the mean cosine similarity of all clips with a unit-length embedding `[D]`; 0 in an empty index."""
        return float(self._table.mean_D() @ embedding_D)

    def nearest(self, embedding_D: Embeddings, k: int = 5, *, bank: str | None = None) -> list[Hit]:
        """Find the clips most similar to a unit-length embedding `[D]`, best first; `bank` as for `search`.

        Raises:
            ValueError: the embedding has another width than the index's, or k is below 1.
        """
        clips, embeddings_ND = self._table.matrix()
        sims_QN = similarities(embedding_D[None], embeddings_ND)
        ordered_QN = sims_QN if bank is None or not len(clips) else less_hubs(sims_QN, self._hubs_by(bank))
        positions_QK, _ = top_k(ordered_QN, k)
        scores_QK = sims_QN[[[0]], positions_QK]
        rows = clips.take(positions_QK[0]).to_pylist()
        return [self._hit(row, float(score)) for row, score in zip(rows, scores_QK[0], strict=True)]

    def _hubs_by(self, bank: str) -> Hubs:
        """What the query bank says about the clips; asked once, until the index changes."""
        _, embeddings_ND = self._table.matrix()
        known = self._hubs.get(bank)
        if known is None or known[0] is not embeddings_ND:
            opened = self.encoder.query_bank
            rows_BD = opened.rows(None if bank == "all" else bank)
            known = self._hubs[bank] = embeddings_ND, find_hubs(rows_BD, embeddings_ND, opened.temperature)
        return known[1]

    def like(self, clip_id: str, k: int = 5) -> list[Hit]:
        """Find the clips most similar to one in the index, best first; the clip itself is left out.

        Raises:
            KeyError: there is no such clip.
            ValueError: k is below 1.
        """
        return [hit for hit in self.nearest(self.embedding(clip_id), k + 1) if hit.clip_id != clip_id][:k]

    def embedding(self, clip_id: str) -> Embeddings:
        """Return a clip's unit-length embedding `[D]`.

        Raises:
            KeyError: there is no such clip.
        """
        embedding_D: Embeddings = self._table.matrix()[1][self._table.row_of(clip_id)]
        return embedding_D

    def sequences(self, videos: Sequence[str] | None = None) -> Iterator[ClipSequence]:
        """Yield the clips of some videos, named by their paths in the library, or of all, with their embeddings."""
        yield from sequences_of(self._table.rows(videos), self.header.dim)

    def clip(self, clip_id: str) -> Hit:
        """Return where a clip lies, as the hit that it is for itself.

        Raises:
            KeyError: there is no such clip.
        """
        return self._hit(self._table.matrix()[0].slice(self._table.row_of(clip_id), 1).to_pylist()[0], 1.0)

    def _hit(self, row: dict[str, str | float], score: float) -> Hit:
        return Hit(
            clip_id=str(row["clip_id"]),
            video=self.library_folder / str(row["video"]),
            start_seconds=float(row["start_seconds"]),
            end_seconds=float(row["end_seconds"]),
            score=score,
        )


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())
