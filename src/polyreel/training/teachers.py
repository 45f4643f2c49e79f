"""TeacherBank: what frozen teachers say about the training clips, computed once.

A frozen teacher gives the same embeddings every time, so each is asked once for every clip and for every sentence in
its language; a training step then needs two gathers and one matrix product a teacher. One teacher's part lies in its
run folder under `bank/`, that of a teacher without a run beside the dataset, named by the fingerprint of everything it
depends on. It is written in pieces and memory-mapped: a step reads its own rows, and the whole is never in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import torch
from torch import Tensor

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import PREPARED, Ints, Texts
from polyreel.errors import DataError, FingerprintError, RecipeError
from polyreel.models.devices import CPU, placed
from polyreel.models.retriever import CONFIG_FILE, Retriever
from polyreel.progress import Progress, silent
from polyreel.storage import Json, fingerprint, read_json, write_aside, write_json
from polyreel.training.encoders import Checked, Encoder, check_frames, is_foreign, open_foreign
from polyreel.training.runs import RunFolder

Floats = npt.NDArray[np.float32]
ASKED_AT_ONCE = 4096


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
        clip_files: where each teacher's embeddings of the clips lie, as far as they lie on the disk.
    """

    def __init__(self, teachers: Sequence[BankedTeacher], clip_ids: Sequence[str], sentence_ids: Sequence[str]) -> None:
        self.fingerprints = tuple(teacher.fingerprint for teacher in teachers)
        self.clip_ids, self.sentence_ids = _texts(clip_ids), _texts(sentence_ids)
        given = [teacher.clips_CD for teacher in teachers]
        self.clip_files = [Path(str(clips.filename)) for clips in given if isinstance(clips, np.memmap)]
        self._clips = [np.asarray(clips) for clips in given]
        self._sentences = [np.asarray(teacher.sentences_SD) for teacher in teachers]
        self._device = CPU

    @classmethod
    def build(
        cls,
        runs: Sequence[Path | str | Encoder],
        dataset: Dataset,
        features: FeatureStore,
        *,
        lang: str = "en",
        device: torch.device = CPU,
        progress: Progress = silent,
    ) -> "TeacherBank":
        """Open every teacher's part for this data, computing those that are missing.

        Args:
            runs: folders of finished runs, or of models that came without one; names of dual encoders that were
                never trained here, or encoders (see `encoders.py`).
            dataset: the clips to learn from; the teachers read its captions in `lang`.
            features: of the clips, by the extractor the teachers were trained on.
            lang: language the teachers are asked in.
            device: where those that were not asked yet compute.
            progress: called once a teacher.

        Raises:
            DataError: the dataset has no captions in `lang`, or the features have another width than a teacher reads.
            FingerprintError: a part was made from other data or another teacher, or features by another extractor.
            RecipeError: a run has no model, or was stopped before its end.
        """
        if lang not in dataset.langs:
            raise DataError(f"teachers are asked in {lang!r}, but dataset {dataset.name!r} has {dataset.langs} only")
        asked = dataset.in_langs([lang])
        parts = []
        for number, run in enumerate(runs):
            is_named = isinstance(run, Path | str)
            progress(number, len(runs), f"asking teacher {Path(str(run)).name if is_named else type(run).__name__}")
            if is_named and not is_foreign(str(run)):
                parts.append(_open_or_compute(Path(str(run)), asked, features, lang, device))
            else:
                parts.append(_of_foreign(run, asked, features, lang, device))
        progress(len(runs), len(runs), "teachers asked")
        return cls(parts, Texts(asked.clips["clip_id"]), Texts(asked.captions["caption_id"]))

    def similarities(self, clip_ids: Sequence[str], caption_ids: Sequence[str]) -> Tensor:
        """Return the teachers' cosine similarities `[K, Q, C]` of sentences and clips.

        Raises:
            KeyError: a clip or a sentence that was not banked.
        """
        clips, sentences = _positions(clip_ids, self.clip_ids), self.sentence_rows(caption_ids)
        for ids, rows in ((clip_ids, clips), (caption_ids, sentences)):
            if (rows < 0).any():
                raise KeyError(ids[int(np.argmin(rows))])
        return self.gather(sentences, clips)

    def sentence_rows(self, caption_ids: Sequence[str]) -> Ints:
        """Return the row of each caption id `[S]`, -1 for those the teachers have not seen."""
        return _positions(caption_ids, self.sentence_ids)

    @property
    def dims(self) -> tuple[int, ...]:
        """Width of each teacher's embeddings."""
        return tuple(rows.shape[1] for rows in self._sentences)

    def sentences(self, sentence_rows: Ints) -> tuple[Tensor, ...]:
        """Return each teacher's unit embeddings `[Q, D]` of rows of the bank."""
        return tuple(placed(sentences[sentence_rows], self._device) for sentences in self._sentences)

    def clips(self, clip_rows: Ints) -> tuple[Tensor, ...]:
        """Return each teacher's unit embeddings `[C, D]` of clips of the bank."""
        return tuple(placed(clips[clip_rows], self._device) for clips in self._clips)

    def gather(self, sentence_rows: Ints, clip_rows: Ints) -> Tensor:
        """Return the similarities `[K, Q, C]` of rows of the bank."""
        pairs = zip(self.sentences(sentence_rows), self.clips(clip_rows), strict=True)
        return torch.stack([texts @ clips.T for texts, clips in pairs])

    def of_sentences(self, sentences: Sequence[Floats], ids: Sequence[str]) -> "TeacherBank":
        """Return a bank of the same teachers and clips, and of other sentences.

        Args:
            sentences: unit embeddings `[S, D]`, one matrix a teacher.
            ids: of the sentences.
        """
        teachers = [
            BankedTeacher(fingerprint=found, clips_CD=clips, sentences_SD=rows)
            for found, clips, rows in zip(self.fingerprints, self._clips, sentences, strict=True)
        ]
        return TeacherBank(teachers, self.clip_ids, ids)

    @property
    def num_sentences(self) -> int:
        """How many sentences are banked."""
        return len(self.sentence_ids)

    def to(self, device: torch.device) -> "TeacherBank":
        """Give rows where the student is, from now on; return the bank, which itself stays on the disk."""
        self._device = device
        return self


def _texts(strings: Sequence[str]) -> Texts:
    return strings if isinstance(strings, Texts) else Texts(strings)


def _positions(wanted: Sequence[str], known: Texts) -> Ints:
    """Return where each id stands among the known ones `[S]`, -1 for strangers."""
    found = pc.index_in(_texts(wanted).column, value_set=known.column.combine_chunks())
    return np.asarray(pc.fill_null(found, -1), np.int64)


def open_run(run: Path) -> Retriever:
    """Open the model of a finished run, or of a model's folder that came without its run, as imported ones do.

    Raises:
        RecipeError: there is no model, or the run was stopped before its end.
    """
    return Retriever.load(model_of(run))


def model_of(run: Path) -> Path:
    """Return the folder of a finished run's model, or of a model that came without its run.

    Raises:
        RecipeError: there is no model, or the run was stopped before its end.
    """
    if (run / "run.json").is_file() and not RunFolder(run).is_finished:
        raise RecipeError(f"{run} is no finished run: it was stopped; go on with it by `polyreel train --resume` first")
    folder = run / "model" if (run / "model").is_dir() else run
    if not (folder / CONFIG_FILE).is_file():
        raise RecipeError(f"{run} is no finished run: it has no model; train it first")
    return folder


def fingerprint_of(run: Path) -> str:
    """Return the fingerprint of a run's model, without opening the model if its files are as they were the last time.

    The fingerprint covers all weights, and reading those of a large teacher takes long; so it is written down beside
    the teacher's bank, with sizes and times of the files that it is of.
    """
    folder, note = model_of(run), run / "bank" / "teacher.json"
    files: dict[str, Json] = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted([*folder.glob("*.*"), *folder.glob("backbone/**/*.*")])
    }
    if note.is_file() and (noted := read_json(note)).get("files") == files:
        return str(noted["fingerprint"])
    found = Retriever.load(folder).fingerprint
    write_json(note, {"fingerprint": found, "files": files})
    return found


def _open_or_compute(
    run: Path, dataset: Dataset, features: FeatureStore, lang: str, device: torch.device
) -> BankedTeacher:
    made_from = {
        "teacher": fingerprint_of(run),
        "dataset": dataset.fingerprint,
        "features": features.fingerprint,
        "lang": lang,
    }
    folder = run / "bank" / fingerprint(made_from)
    if not folder.is_dir():
        teacher = open_run(run).to(device)
        teacher.check_features(features)
        _compute(folder, teacher, dataset, features, made_from)
    return _open(folder, made_from)


def _of_foreign(
    named: Path | str | Encoder, dataset: Dataset, features: FeatureStore, lang: str, device: torch.device
) -> BankedTeacher:
    """Open the part of a teacher without a run, which lies beside the dataset, computing it where it is missing."""
    teacher = open_foreign(str(named), features, device) if isinstance(named, Path | str) else named
    made_from = {
        "teacher": teacher.fingerprint,
        "dataset": dataset.fingerprint,
        "features": features.fingerprint,
        "lang": lang,
    }
    if dataset.folder is None:
        raise DataError(f"dataset {dataset.name!r} lives in memory, so nothing can be banked beside it; save it first")
    folder = dataset.folder / PREPARED / f"bank-{fingerprint(made_from)}"
    if not folder.is_dir():
        if isinstance(named, Path | str):
            check_frames(str(named), features)
        _compute(folder, Checked(teacher), dataset, features, made_from)
    return _open(folder, made_from)


def _compute(
    folder: Path, teacher: Encoder, dataset: Dataset, features: FeatureStore, made_from: dict[str, str]
) -> None:
    clip_ids, texts = Texts(dataset.clips["clip_id"]), Texts(dataset.captions["text"])
    dim = teacher.encode_text(["a text like any other"]).shape[1]
    with write_aside(folder) as aside:
        aside.mkdir()
        write_rows(
            aside / "clips.npy",
            (len(clip_ids), dim),
            lambda part: teacher.encode_clips(features.of_clips(clip_ids[part])),
        )
        write_rows(
            aside / "sentences.npy",
            (len(texts), dim),
            lambda part: teacher.encode_text(texts[part]),
        )
        write_json(aside / "bank.json", made_from)


def write_rows(file: Path, shape: tuple[int, int], embed: Callable[[slice], Floats]) -> None:
    """Write a matrix row by row as it is computed, so that its size is no matter."""
    rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, shape[0], ASKED_AT_ONCE):
        part = slice(first, min(first + ASKED_AT_ONCE, shape[0]))
        rows[part] = embed(part)


def _open(folder: Path, made_from: dict[str, str]) -> BankedTeacher:
    found = read_json(folder / "bank.json")
    for key, value in made_from.items():
        if found.get(key) != value:
            raise FingerprintError(
                f"{folder} was made from another {key} ({found.get(key)}, expected {value}); delete the folder"
            )
    return BankedTeacher(
        fingerprint=made_from["teacher"],
        clips_CD=np.load(folder / "clips.npy", mmap_mode="r"),
        sentences_SD=np.load(folder / "sentences.npy", mmap_mode="r"),
    )
