"""An index's rows in Qdrant: a server, or a cluster that shares out and copies the rows. Extra `qdrant`.

A row is a point: its embedding, and the rest as payload. Qdrant has no transaction over several points; new points of a
batch of videos are written first and old ones taken out after, so that a video being replaced may be found by old and
new clips for a moment, and a killed writer leaves the same, which the next update of the video clears. It finds no
words, so what is said cannot be asked for, and it keeps no pictures.
"""

import time
import uuid
from collections.abc import Hashable, Iterator, Sequence
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from qdrant_client import QdrantClient, models

from polyreel.errors import DataError
from polyreel.search.derived import DerivedHeader
from polyreel.search.filter import COLUMN_PREFIX, Filter, Value, kind_of
from polyreel.search.rows import row_schema
from polyreel.search.store import Abilities, Row
from polyreel.similarity import Embeddings

_POINTS_AT_ONCE, _ROWS_A_PAGE, _QUERIES_AT_ONCE = 256, 10_000, 64
_MOST_VIDEOS = 100_000  # of which a pattern of paths is looked for
_SAMPLE, _MOST_LANGS = 1000, 1000
_NAMES = uuid.UUID("6f0c6d5e-3a7e-5c1b-9a55-3f1d0b6a7c21")  # so that a clip's id always gives the same point
_LOOK_AGAIN_SECONDS = 5.0
_BYTES_IN_MEMORY = 8 << 30  # beyond which embeddings are better on disk, with one byte a dimension in memory
_CLIPS_A_SHARD = 10_000_000
_INDEXED = {
    "video": "keyword",
    "folders": "keyword",
    "speech_langs": "keyword",
    "date_seconds": "float",
    "video_seconds": "float",
}


class QdrantStore:
    """Rows of clips in a collection.

    Args:
        client: of the server.
        name: of the collection.
        dim: width D of an embedding.
    """

    abilities = Abilities(full_text=False, thumbnails=False)

    def __init__(self, client: QdrantClient, name: str, dim: int) -> None:
        self._client, self._name, self.dim = client, name, dim
        self._mean: tuple[float, Embeddings] | None = None

    @classmethod
    def at(cls, location: str, dim: int) -> "QdrantStore":
        """Open a collection.

        Args:
            location: `qdrant://host:6333/name`.
            dim: width of an embedding.
        """
        client, name = _client_of(location)
        return cls(client, name, dim)

    @classmethod
    def create(cls, location: str, dim: int, expected_clips: int) -> "QdrantStore":
        """Make an empty collection, whose settings follow from how many clips there will be.

        Raises:
            DataError: there is one already.
        """
        store = cls.at(location, dim)
        store.make(expected_clips)
        return store

    def make(self, expected_clips: int) -> None:
        """Make the collection; `DataError` where there is one already."""
        if self.is_there():
            raise DataError(f"there is a collection {self._name!r} already; name another, or delete it there")
        self._client.create_collection(self._name, **collection_settings(self.dim, expected_clips))
        for field, kind in _INDEXED.items():
            self._client.create_payload_index(self._name, field, models.PayloadSchemaType(kind))

    def __len__(self) -> int:
        return int(self._client.count(self._name, exact=True).count)

    def state(self) -> Hashable:
        """Return how many points there are, and a moment: others' changes are noticed after some seconds."""
        return len(self), int(time.monotonic() / _LOOK_AGAIN_SECONDS)

    def file_stamps(self) -> dict[str, str]:
        """Return the stamp each video had when it was indexed, by its path."""
        return {str(row["video"]): str(row["file_stamp"]) for row in self._scroll(None, ["video", "file_stamp"])}

    def is_there(self) -> bool:
        """Tell whether the collection has been made."""
        return bool(self._client.collection_exists(self._name))

    def speech_langs(self) -> list[str]:
        """Return the languages in which something is said, sorted."""
        return sorted(str(hit.value) for hit in self._client.facet(self._name, "speech_langs", limit=_MOST_LANGS).hits)

    def put(self, rows: pa.Table, dropping: Sequence[str] = ()) -> None:
        """Put in all clips of some videos, new ones first; then take out what was there of these videos."""
        points = [_point(row) for row in rows.to_pylist()]
        for start in range(0, len(points), _POINTS_AT_ONCE):
            self._client.upsert(self._name, points[start : start + _POINTS_AT_ONCE], wait=True)
        videos = sorted({*rows["video"].to_pylist()})
        older = models.Filter(
            must=[_any_of("video", videos)], must_not=[_any_of("row_key", rows["row_key"].to_pylist())]
        )
        self._client.delete(self._name, models.FilterSelector(filter=older), wait=True)
        self.remove(sorted({*dropping} - {*videos}))

    def remove(self, videos: Sequence[str]) -> None:
        """Take out all clips of some videos; those that are not there are passed over."""
        if videos:
            gone = models.Filter(must=[_any_of("video", sorted(videos))])
            self._client.delete(self._name, models.FilterSelector(filter=gone), wait=True)

    def compact(self) -> None:
        """Do nothing: the server does."""

    def catch_up(self, queries_QD: Embeddings | None = None) -> DerivedHeader | None:
        """Do nothing: the server does."""
        return None

    def nearest(self, embedding_D: Embeddings, k: int, wanted: Filter | None, *, is_exact: bool = False) -> list[Row]:
        """Return the nearest rows, best first, each with its `_score`."""
        found = self._client.query_points(
            self._name,
            query=np.asarray(embedding_D, np.float32).tolist(),
            query_filter=self._conditions(wanted),
            limit=k,
            with_payload=True,
            search_params=models.SearchParams(
                exact=is_exact, quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
            ),
        ).points
        rows: list[Row] = [{**(point.payload or {}), "_score": float(point.score)} for point in found]
        return sorted(rows, key=lambda row: (-float(str(row["_score"])), str(row["clip_id"])))

    def nearest_ids(self, queries_QD: Embeddings) -> list[str]:
        """Return the id of the clip nearest to each query; none in an empty store."""
        ids: list[str] = []
        for start in range(0, len(queries_QD), _QUERIES_AT_ONCE):
            requests = [
                models.QueryRequest(query=query, limit=1, with_payload=["clip_id"])
                for query in queries_QD[start : start + _QUERIES_AT_ONCE].tolist()
            ]
            answers = self._client.query_batch_points(self._name, requests=requests)
            ids += [str((point.payload or {})["clip_id"]) for answer in answers for point in answer.points]
        return ids

    def find_speech(self, text: str, k: int, wanted: Filter | None) -> list[Row]:
        """Refuse: Qdrant finds no words.

        Raises:
            DataError: always.
        """
        raise DataError("this index keeps its rows in Qdrant, which finds no words; what is said needs a LanceDB store")

    def rows(self, clip_ids: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """Return some columns of some clips, in the order asked for."""
        found = self._client.retrieve(
            self._name,
            [_point_id(clip_id) for clip_id in clip_ids],
            with_payload=True,
            with_vectors="vector" in columns,
        )
        by_id = {str((point.payload or {})["clip_id"]): point for point in found}
        for clip_id in clip_ids:
            if clip_id not in by_id:
                raise KeyError(f"there is no clip {clip_id!r}")
        points = [by_id[clip_id] for clip_id in clip_ids]
        return [{"thumbnail": None, **(point.payload or {}), "vector": point.vector} for point in points]

    def rows_of_videos(self, videos: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of some videos, or of all, without what is said and shown; absent videos are passed over."""
        wanted = None if videos is None else models.Filter(must=[_any_of("video", videos)])
        rows = list(self._scroll(wanted, None, with_vectors=True))
        fixed = [each for each in row_schema(self.dim) if each.name not in ("lines", "speech", "thumbnail")]
        own = {name: value for row in rows for name, value in row.items() if name.startswith(COLUMN_PREFIX)}
        fields = [*fixed, *(pa.field(name, kind_of(value)) for name, value in sorted(own.items()))]  # type: ignore[arg-type]
        return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))

    def mean_D(self) -> Embeddings:
        """Return the mean embedding of a sample; asked again when many points have come or gone."""
        num = len(self)
        if self._mean is None or abs(self._mean[0] - num) > 0.05 * num:
            sample = models.SampleQuery(sample=models.Sample.RANDOM)
            found = self._client.query_points(self._name, query=sample, limit=_SAMPLE, with_vectors=True).points
            vectors = np.array([point.vector for point in found], np.float32)
            self._mean = num, vectors.mean(axis=0) if len(found) else np.zeros(self.dim, np.float32)
        return self._mean[1]

    def _scroll(
        self, wanted: models.Filter | None, fields: list[str] | None, *, with_vectors: bool = False
    ) -> Iterator[Row]:
        """Yield rows page by page; None: all their fields."""
        offset = None
        while True:
            points, offset = self._client.scroll(
                self._name,
                wanted,
                limit=_ROWS_A_PAGE,
                offset=offset,
                with_payload=True if fields is None else fields,
                with_vectors=with_vectors,
            )
            yield from ({**(point.payload or {}), "vector": point.vector} for point in points)
            if offset is None:
                return

    def _conditions(self, wanted: Filter | None) -> models.Filter | None:
        if wanted is None:
            return None
        must: list[models.Condition] = []
        if wanted.folder:
            must.append(_any_of("folders", [wanted.folder]))
        elif wanted.is_pattern:
            must.append(_any_of("video", self._matching(wanted)))
        for name, (low, high, is_closed) in wanted.ranges.items():
            ends = {"lte": high} if is_closed else {"lt": high}
            must.append(models.FieldCondition(key=name, range=models.Range(gte=low, **ends)))
        must += [_any_of(name, values) for name, values in wanted.choices.items()]
        if wanted.langs:
            must.append(_any_of("speech_langs", wanted.langs))
        return models.Filter(must=must) if must else None

    def _matching(self, wanted: Filter) -> list[str]:
        """Return the videos whose paths a pattern fits; Qdrant knows no patterns."""
        videos = [str(hit.value) for hit in self._client.facet(self._name, "video", limit=_MOST_VIDEOS).hits]
        paths = pa.table({"video": pa.array(videos, pa.string())})
        fitting = Filter(path=wanted.path).mask(paths)
        return [video for video, fits in zip(videos, fitting, strict=True) if fits]


def collection_settings(dim: int, expected_clips: int) -> dict[str, object]:
    """Return the arguments of `create_collection` that fit a number of clips.

    Beyond some millions, embeddings are kept on disk and searched by one byte a dimension in memory, the best scored
    again with the embeddings themselves; beyond one machine's share they are cut into shards, each kept twice.
    """
    is_large = expected_clips * dim * 4 > _BYTES_IN_MEMORY
    num_shards = -(-expected_clips // _CLIPS_A_SHARD)
    quantization = models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    )
    return {
        "vectors_config": models.VectorParams(size=dim, distance=models.Distance.COSINE, on_disk=is_large),
        "quantization_config": quantization if is_large else None,
        "on_disk_payload": is_large,
        "shard_number": num_shards if num_shards > 1 else None,
        "replication_factor": 2 if num_shards > 1 else None,
    }


def _client_of(location: str) -> tuple[QdrantClient, str]:
    parts = urlsplit(location)
    scheme = "https" if parts.port == 443 else "http"
    client = QdrantClient(url=f"{scheme}://{parts.hostname}:{parts.port or 6333}", timeout=60)
    return client, parts.path.strip("/")


def _point_id(clip_id: str) -> str:
    return str(uuid.uuid5(_NAMES, clip_id))


def _point(row: dict[str, object]) -> models.PointStruct:
    video, vector = str(row["video"]), row.pop("vector")
    assert isinstance(vector, list)
    ends = [place for place, sign in enumerate(video) if sign == "/"]
    kept = {name: value for name, value in row.items() if value is not None and name not in ("thumbnail", "speech")}
    payload = {**kept, "folders": [*(video[:end] for end in ends), video]}
    return models.PointStruct(id=_point_id(str(row["clip_id"])), vector=vector, payload=payload)


def _any_of(name: str, values: Sequence[Value]) -> models.Condition:
    """Match a field that holds one of some values; numbers and truth values are no keywords to Qdrant."""
    own = name.startswith(COLUMN_PREFIX)
    words = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, bool | str)]
    if not own and numbers:
        return models.FieldCondition(key=name, match=models.MatchAny(any=[int(number) for number in numbers]))
    choices: list[models.Condition] = (
        [models.FieldCondition(key=name, match=models.MatchAny(any=words))] if words else []
    )
    choices += [models.FieldCondition(key=name, range=models.Range(gte=number, lte=number)) for number in numbers]
    for truth in (value for value in values if isinstance(value, bool)):
        choices.append(models.FieldCondition(key=name, match=models.MatchValue(value=truth)))
    return models.Filter(should=choices) if choices else models.HasIdCondition(has_id=[])
