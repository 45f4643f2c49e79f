"""What a run keeps so that a language can be added later, where videos and features may be gone.

`kept/` of a run holds the student's embeddings of the training clips and of the validation clips, the captions of both,
and every teacher: its model and its embeddings of the training clips. Teachers' files are hard links where the disk can
do that, and so cost no room and stay when the teacher's own run is deleted; elsewhere they are copies. A run without
teachers, or with one that is no model of ours, is its own teacher.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import Texts
from polyreel.data.parquet import read_parquet
from polyreel.errors import DataError, RecipeError
from polyreel.models.retriever import Retriever
from polyreel.storage import write_aside
from polyreel.training.encoders import is_foreign
from polyreel.training.material import Material
from polyreel.training.runs import RunFolder
from polyreel.training.teachers import Floats, model_of, write_rows

KEPT = "kept"
_COLUMNS = ("caption_id", "clip_id", "lang", "text")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a run kept.

    Attributes:
        clips_CD: the student's unit embeddings of the training clips.
        captions: of the training clips: caption_id, clip_id, lang, text.
        val_clips_CD: the student's embeddings of the validation clips; no rows where there were none.
        val_clip_ids: in the order of the rows.
        val_captions: like `captions`, in all languages there are.
        teachers: folders of a model and `clips.npy`; none: the run is its own teacher.
    """

    clips_CD: Floats
    captions: pa.Table
    val_clips_CD: Floats
    val_clip_ids: tuple[str, ...]
    val_captions: pa.Table
    teachers: tuple[Path, ...]


def keep(folder: RunFolder, model: Retriever, material: Material) -> None:
    """Write what a run keeps.

    Args:
        folder: of the run.
        model: the student, as it was saved.
        material: what it learnt from.
    """
    with write_aside(folder.path / KEPT, is_expendable=True) as aside:
        aside.mkdir()
        _write_clips(aside / "clips.npy", model, material.learnt, material.features)
        pq.write_table(material.learnt.captions.select(_COLUMNS), aside / "captions.parquet")
        if material.val is not None:
            _write_clips(aside / "val_clips.npy", model, material.val, material.features)
            pq.write_table(material.val.captions.select(_COLUMNS), aside / "val_captions.parquet")
            pq.write_table(pa.table({"clip_id": material.val.clip_ids}), aside / "val_clips.parquet")
        for number, (model_folder, clips) in enumerate(_teachers(material)):
            link(model_folder, aside / "teachers" / str(number) / "model")
            link(clips, aside / "teachers" / str(number) / "clips.npy")


def open_kept(run: Path) -> Kept:
    """Open what a run kept.

    Raises:
        DataError: it kept nothing, or not all of it is there.
    """
    folder = run / KEPT
    if not (folder / "clips.npy").is_file():
        raise DataError(
            f"{run} has kept nothing to add a language with: {folder} is not there; it was trained with "
            "machine.keeps = false, by an older version, or not to its end; train it again"
        )
    has_val = (folder / "val_clips.npy").is_file()
    teachers = sorted((folder / "teachers").glob("*"), key=lambda one: int(one.name))
    clips_CD = np.load(folder / "clips.npy", mmap_mode="r")
    captions = read_parquet(folder / "captions.parquet")
    return Kept(
        clips_CD=clips_CD,
        captions=captions,
        val_clips_CD=np.load(folder / "val_clips.npy") if has_val else np.zeros((0, clips_CD.shape[1]), np.float32),
        val_clip_ids=tuple(read_parquet(folder / "val_clips.parquet")["clip_id"].to_pylist()) if has_val else (),
        val_captions=read_parquet(folder / "val_captions.parquet") if has_val else captions.slice(0, 0),
        teachers=tuple(teachers),
    )


def link(source: Path, place: Path) -> None:
    """Make a file, or all files of a folder, appear at another place: as hard links, or else as copies."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    for file in files:
        target = place if file == source else place / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)


def _teachers(material: Material) -> list[tuple[Path, Path]]:
    """Return every teacher's model and clips; none at all where one of them is no model that can be kept."""
    clips = [] if material.bank is None else material.bank.clip_files
    if any(is_foreign(run) for run in material.teachers):
        return []
    with suppress(RecipeError):
        return list(zip([model_of(Path(run)) for run in material.teachers], clips, strict=False))
    return []


def _write_clips(file: Path, model: Retriever, dataset: Dataset, features: FeatureStore) -> None:
    clip_ids = Texts(dataset.clips["clip_id"])
    shape = (len(clip_ids), model.settings.embed_dim)
    write_rows(file, shape, lambda part: model.encode_clips(features.of_clips(clip_ids[part])))
