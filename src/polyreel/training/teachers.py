"""TeacherBank: what frozen teachers say about the training clips, computed once.

A frozen teacher gives the same embeddings every time, so each is asked once for every clip and for every sentence in
its language; a training step then needs two gathers and one matrix product a teacher. One teacher's part lies in its
run folder under `bank/`, named by the fingerprint of everything it depends on, and is memory-mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError, FingerprintError, RecipeError
from polyreel.models.devices import CPU
from polyreel.models.retriever import CONFIG_FILE, Retriever
from polyreel.progress import Progress, silent
from polyreel.storage import fingerprint, read_json, write_aside, write_json
from polyreel.training.runs import RunFolder

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class BankedTeacher:
    """One teacher's unit-length embeddings.

    Attributes:
        fingerprint: of the teacher.
        clips_CD: one row a clip of the dataset.
        sentences_SD: one row a caption in the teacher's language.
    """

    fingerprint: str
    clips_CD: Floats
    sentences_SD: Floats


class TeacherBank:
    """Similarities of several frozen teachers, by clip and sentence.

    Attributes:
        fingerprints: of the teachers, in the order of the runs.
        clip_ids: the clips banked, in the order of their rows.
        sentence_ids: the caption ids banked, in the order of their rows.
    """

    def __init__(self, teachers: Sequence[BankedTeacher], clip_ids: list[str], sentence_ids: list[str]) -> None:
        self.fingerprints = tuple(teacher.fingerprint for teacher in teachers)
        self.clip_ids = clip_ids
        self.sentence_ids = sentence_ids
        self._clip_row = {clip_id: row for row, clip_id in enumerate(clip_ids)}
        self._sentence_row = {caption_id: row for row, caption_id in enumerate(sentence_ids)}
        self._clips = [torch.from_numpy(np.asarray(teacher.clips_CD)) for teacher in teachers]
        self._sentences = [torch.from_numpy(np.asarray(teacher.sentences_SD)) for teacher in teachers]

    @classmethod
    def build(
        cls,
        runs: Sequence[Path | str],
        dataset: Dataset,
        features: FeatureStore,
        *,
        lang: str = "en",
        device: torch.device = CPU,
        progress: Progress = silent,
    ) -> "TeacherBank":
        """Open every teacher's part for this data, computing those that are missing.

        Args:
            runs: folders of finished runs, or of models that came without one.
            dataset: the clips to learn from; the teachers read its captions in `lang`.
            features: of the clips, by the extractor the teachers were trained on.
            lang: language the teachers are asked in.
            device: where those that were not asked yet compute.
            progress: called once a teacher.

        Raises:
            DataError: the dataset has no captions in `lang`.
            FingerprintError: a part was made from other data or another teacher.
            RecipeError: a run has no model, or was stopped before its end.
        """
        if lang not in dataset.langs:
            raise DataError(f"teachers are asked in {lang!r}, but dataset {dataset.name!r} has {dataset.langs} only")
        asked = dataset.in_langs([lang])
        parts = []
        for number, run in enumerate(runs):
            progress(number, len(runs), f"asking teacher {Path(run).name}")
            parts.append(_open_or_compute(Path(run), asked, features, lang, device))
        progress(len(runs), len(runs), "teachers asked")
        return cls(parts, asked.clip_ids, asked.captions["caption_id"].to_pylist())

    def similarities(self, clip_ids: Sequence[str], caption_ids: Sequence[str]) -> Tensor:
        """Return the teachers' cosine similarities `[K, Q, C]` of sentences and clips.

        Raises:
            KeyError: a clip or a sentence that was not banked.
        """
        clips = torch.tensor([self._clip_row[clip_id] for clip_id in clip_ids])
        return self.gather(torch.tensor([self._sentence_row[caption_id] for caption_id in caption_ids]), clips)

    def sentence_rows(self, caption_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each caption id `[S]`, -1 for those the teachers have not seen."""
        return np.array([self._sentence_row.get(caption_id, -1) for caption_id in caption_ids], np.int64)

    @property
    def dims(self) -> tuple[int, ...]:
        """Width of each teacher's embeddings."""
        return tuple(rows.shape[1] for rows in self._sentences)

    def sentences(self, sentence_rows: Tensor) -> tuple[Tensor, ...]:
        """Return each teacher's unit embeddings `[Q, D]` of rows of the bank."""
        return tuple(sentences[sentence_rows] for sentences in self._sentences)

    def gather(self, sentence_rows: Tensor, clip_rows: Tensor) -> Tensor:
        """Return the similarities `[K, Q, C]` of rows of the bank."""
        pairs = zip(self._sentences, self._clips, strict=True)
        return torch.stack([sentences[sentence_rows] @ clips[clip_rows].T for sentences, clips in pairs])

    def to(self, device: torch.device) -> "TeacherBank":
        """Move the embeddings to where the student is; return the bank."""
        self._clips = [rows.to(device) for rows in self._clips]
        self._sentences = [rows.to(device) for rows in self._sentences]
        return self


def open_run(run: Path) -> Retriever:
    """Open the model of a finished run, or of a model's folder that came without its run, as imported ones do.

    Raises:
        RecipeError: there is no model, or the run was stopped before its end.
    """
    if (run / "run.json").is_file() and not RunFolder(run).is_finished:
        raise RecipeError(f"{run} is no finished run: it was stopped; go on with it by `polyreel train --resume` first")
    folder = run / "model" if (run / "model").is_dir() else run
    if not (folder / CONFIG_FILE).is_file():
        raise RecipeError(f"{run} is no finished run: it has no model; train it first")
    return Retriever.load(folder)


def _open_or_compute(
    run: Path, dataset: Dataset, features: FeatureStore, lang: str, device: torch.device
) -> BankedTeacher:
    teacher = open_run(run)
    made_from = {
        "teacher": teacher.fingerprint,
        "dataset": dataset.fingerprint,
        "features": features.fingerprint,
        "lang": lang,
    }
    folder = run / "bank" / fingerprint(made_from)
    if not folder.is_dir():
        _compute(folder, teacher.to(device), dataset, features, made_from)
    return _open(folder, made_from)


def _compute(
    folder: Path, teacher: Retriever, dataset: Dataset, features: FeatureStore, made_from: dict[str, str]
) -> None:
    teacher.check_features(features)
    with write_aside(folder) as aside:
        aside.mkdir()
        np.save(aside / "clips.npy", teacher.encode_clips([features[clip_id] for clip_id in dataset.clip_ids]))
        np.save(aside / "sentences.npy", teacher.encode_text(dataset.captions["text"].to_pylist()))
        write_json(aside / "bank.json", made_from)


def _open(folder: Path, made_from: dict[str, str]) -> BankedTeacher:
    found = read_json(folder / "bank.json")
    for key, value in made_from.items():
        if found.get(key) != value:
            raise FingerprintError(
                f"{folder} was made from another {key} ({found.get(key)}, expected {value}); delete the folder"
            )
    return BankedTeacher(
        fingerprint=made_from["teacher"],
        clips_CD=np.load(folder / "clips.npy", mmap_mode="c"),
        sentences_SD=np.load(folder / "sentences.npy", mmap_mode="c"),
    )
