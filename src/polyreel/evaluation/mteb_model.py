"""A polyreel model as mteb asks for one: it indexes a corpus and searches it, clips and captions alike.

mteb decodes videos with torchcodec and torchvision; here they are read as files and decoded by our own decoder, so
neither is needed. A task made by `mteb_tasks.py` may name clips whose features are there already; then nothing is
decoded. Needs the extra `mteb`.

Shapes: `Q` queries, `N` documents, `D` dims.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from polyreel.data.feature_settings import Sampling
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError, FingerprintError, VideoError, saying_which_extra
from polyreel.models.onnx_retriever import OnnxRetriever
from polyreel.similarity import similarities
from polyreel.similarity import top_k as best_columns
from polyreel.video.decode import open_video
from polyreel.video.extract import clip_features, feature_settings
from polyreel.video.extractors import Extractor, open_extractor

with saying_which_extra("an mteb model"):
    from datasets import Dataset as Table
    from datasets import Video
    from mteb.models import ModelMeta

if TYPE_CHECKING:
    from polyreel.models.retriever import Retriever

VIDEO, TEXT, ID = "video", "text", "id"
_LOWEST = -1.0


class MtebModel:
    """A model with what turns videos into the features it reads.

    Args:
        model: the trained towers.
        features: features of clips by the ids of a task's documents; others are decoded.
        extractor: what makes features of videos; None: the model's own, opened when a video has to be decoded.
        name: what mteb's results call it, "owner/name".

    Attributes:
        failures: why clips could not be decoded, by their ids; they rank last for every query.
    """

    def __init__(
        self,
        model: "Retriever | OnnxRetriever",
        *,
        features: FeatureStore | None = None,
        extractor: Extractor | None = None,
        name: str = "polyreel/model",
    ) -> None:
        if features is not None:
            model.check_features(features)
        self.failures: dict[str, str] = {}
        self._model = model
        self._features = features
        self._extractor = extractor
        self._name = name
        self._ids: list[str] = []
        self._documents_ND = np.zeros((0, 0), np.float32)

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes down about the model; its revision is the fingerprint of its weights."""
        return ModelMeta.create_empty(
            {
                "name": self._name,
                "revision": self._model.fingerprint,
                "modalities": [TEXT, VIDEO],
                "framework": ["PyTorch"],
            }
        )

    def index(self, corpus: Table, **_: object) -> None:
        """Encode the documents that are searched."""
        self._ids = list(corpus[ID])
        self._documents_ND = self._encode(corpus)

    def search(
        self, queries: Table, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **_: object
    ) -> dict[str, dict[str, float]]:
        """Return the best documents of every query with their similarities, by their ids."""
        sims_QN = similarities(self._encode(queries), self._documents_ND)
        sims_QN[:, [number for number, name in enumerate(self._ids) if name in self.failures]] = _LOWEST
        if top_ranked is not None:
            return {query: self._among(row, top_ranked[query]) for query, row in zip(queries[ID], sims_QN, strict=True)}
        return dict(zip(queries[ID], self._best(sims_QN, top_k), strict=True))

    def _best(self, sims_QN: npt.NDArray[np.floating], num_kept: int) -> Iterator[dict[str, float]]:
        for places, sims in zip(*best_columns(sims_QN, num_kept), strict=True):
            yield {self._ids[place]: float(sim) for place, sim in zip(places, sims, strict=True)}

    def _among(self, sims_N: npt.NDArray[np.floating], names: Sequence[str]) -> dict[str, float]:
        wanted = set(names)
        return {name: float(sim) for name, sim in zip(self._ids, sims_N, strict=True) if name in wanted}

    def _encode(self, rows: Table) -> npt.NDArray[np.float32]:
        columns = set(rows.column_names) & {VIDEO, TEXT}
        if len(columns) != 1:
            raise DataError(
                f"a row of this task has {', '.join(rows.column_names)}; expected either {TEXT!r} or {VIDEO!r}: "
                "polyreel compares texts with clips, and neither alone with both"
            )
        if columns == {TEXT}:
            return self._model.encode_text(list(rows[TEXT]))
        if isinstance(rows.features[VIDEO], Video):
            rows = rows.cast_column(VIDEO, Video(decode=False))
        return self._model.encode_clips([self._features_of(row) for row in rows])

    def _features_of(self, row: Mapping[str, object]) -> npt.NDArray[np.floating]:
        name = str(row[ID])
        if self._features is not None and name in self._features:
            return self._features[name]
        extractor, sampling = self._opened()
        try:
            with _as_file(row[VIDEO]) as file:
                start, end = row.get("start_seconds"), row.get("end_seconds")
                with open_video(file) as video:
                    whole = video.probe.duration_seconds
                    span = (float(str(start or 0.0)), whole if end is None else float(str(end)))
                    (_, found), *_ = clip_features(video, [span], extractor, sampling)
                return found.rows
        except VideoError as error:
            self.failures[name] = str(error)
            return np.zeros((1, self._model.features.dim), np.float32)

    def _opened(self) -> tuple[Extractor, Sampling]:
        """Open what makes features of videos, and check that it makes those the model reads."""
        trained_on = self._model.features
        if trained_on.sampling is None or (self._extractor is None and trained_on.source is None):
            raise FingerprintError(
                f"the model was trained on imported features {trained_on.extractor!r}, and nothing says how to make "
                "them of a video; give the features of the task's clips"
            )
        if self._extractor is None:
            self._extractor = open_extractor(str(trained_on.source))
        if difference := feature_settings(self._extractor, trained_on.sampling).difference(trained_on):
            raise FingerprintError(f"this extractor is not the one the model was trained with: {difference}")
        return self._extractor, trained_on.sampling


@contextmanager
def _as_file(video: object) -> Iterator[Path]:
    """Give the path of a video that a row holds as a path, or as bytes with a name."""
    if not isinstance(video, Mapping):
        raise DataError(f"a video of this task is a {type(video).__name__}; expected a file or its bytes")
    if video.get("bytes") is None:
        yield Path(str(video["path"]))
        return
    with NamedTemporaryFile(suffix=Path(str(video.get("path") or ".mp4")).suffix) as file:
        file.write(video["bytes"])
        file.flush()
        yield Path(file.name)
