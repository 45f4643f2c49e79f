"""What training reads over and over, prepared once and kept beside the dataset: tokens of captions, frames of clips.

Tokenising and scaling give the same every time, so a run finds what an earlier one has made, named by the fingerprint
of what it was made from, and maps the files: a step reads its own rows, and they need no memory of their own. Where
nothing can be written beside the dataset, the same arrays are made in memory. `DATASET/prepared` may be deleted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.models.frames import frame_positions
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.models.video import VideoTower
from polyreel.storage import Json, fingerprint, write_aside, write_json
from polyreel.training.batches import CaptionTable, LangCaptions, tabulate

_FOLDER, _SENTENCES = "prepared", "sentence_ids.arrow"
_CLIPS_AT_ONCE = 1024
_OF_LANG = [field.name for field in fields(LangCaptions) if field.name != "first_row"]


def prepare_captions(dataset: Dataset, langs: Sequence[str], text: TextTower) -> CaptionTable:
    """Return a dataset's captions as a text tower reads them, tokenised now or by an earlier run.

    Args:
        dataset: the clips to train on, with their captions.
        langs: languages to keep.
        text: cuts captions into tokens.

    Raises:
        DataError: a language has no captions.
    """
    made_from: dict[str, Json] = {
        "captions": dataset.fingerprint,
        "langs": list(langs),
        "tokenizer": text.backbone.tokenizer_fingerprint,
    }
    place = _place(dataset, "captions", made_from)
    if place is None:
        return tabulate(dataset, langs, text.tokenize)
    if not place.is_dir():
        _keep(place, made_from, lambda folder: _write_captions(folder, tabulate(dataset, langs, text.tokenize)))
    return _read_captions(place, dataset.clip_ids, langs)


def prepare_frames(dataset: Dataset, features: FeatureStore, video: VideoTower) -> tuple[Tensor, Tensor]:
    """Return all clips' frames `[C, T, D]` and their mask `[C, T]`, as `VideoTower.frames` gives them.

    Args:
        dataset: the clips.
        features: of the clips.
        video: chooses frames.
    """
    settings = video.settings
    made_from: dict[str, Json] = {
        "clips": fingerprint(dataset.clip_ids),
        "features": features.fingerprint,
        "frames": [settings.max_frames, settings.frame_sampling],
    }
    place = _place(dataset, "frames", made_from)
    if place is None:
        return video.frames([features[clip_id] for clip_id in dataset.clip_ids])
    if not place.is_dir():
        _keep(place, made_from, lambda folder: _write_frames(folder, dataset.clip_ids, features, video))
    # mapped to be read; torch wants arrays that could be written, and so gets pages of its own if it ever does
    video_CTD, mask_CT = (np.load(place / f"{name}.npy", mmap_mode="c") for name in ("video", "mask"))
    return torch.from_numpy(video_CTD), torch.from_numpy(mask_CT)


def _place(dataset: Dataset, kind: str, made_from: Mapping[str, Json]) -> Path | None:
    """Return where something is kept or shall be; None where nothing can be written."""
    if dataset.folder is None:
        return None
    folder = dataset.folder / _FOLDER
    try:
        folder.mkdir(exist_ok=True)
        (folder / ".writable").touch()
    except OSError:
        return None
    return folder / f"{kind}-{fingerprint(dict(made_from))}"


def _keep(place: Path, made_from: Mapping[str, Json], write: Callable[[Path], None]) -> None:
    with write_aside(place) as aside:
        aside.mkdir()
        write(aside)
        write_json(aside / "made_from.json", made_from)


def _write_captions(folder: Path, table: CaptionTable) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "ids": table.tokens.ids,
        "offsets": table.tokens.offsets,
        "first_sentence_C": table.first_sentence_C,
        "weight_N": table.weight_N,
    }
    for lang, captions in table.by_lang.items():
        arrays |= {f"{lang}-first_row": np.array(captions.first_row)}
        arrays |= {f"{lang}-{name}": getattr(captions, name) for name in _OF_LANG}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    sentences = pa.table({"caption_id": pa.array(table.sentence_ids, pa.string())})
    with pa.OSFile(str(folder / _SENTENCES), "wb") as file, pa.ipc.new_file(file, sentences.schema) as writer:
        writer.write_table(sentences.combine_chunks())


def _read_captions(folder: Path, clip_ids: list[str], langs: Sequence[str]) -> CaptionTable:
    def mapped(name: str) -> npt.NDArray[np.generic]:
        return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))

    by_lang = {}
    for lang in langs:
        arrays = {name: mapped(f"{lang}-{name}") for name in _OF_LANG}
        by_lang[lang] = LangCaptions(first_row=int(mapped(f"{lang}-first_row")), **arrays)  # type: ignore[arg-type]
    with pa.ipc.open_file(pa.memory_map(str(folder / _SENTENCES))) as reader:
        sentence_ids = reader.read_all()["caption_id"].combine_chunks()
    return CaptionTable(
        clip_ids=clip_ids,
        sentence_ids=sentence_ids,
        first_sentence_C=mapped("first_sentence_C").astype(np.int64, copy=False),
        tokens=Tokens(
            ids=mapped("ids").astype(np.int32, copy=False), offsets=mapped("offsets").astype(np.int64, copy=False)
        ),
        weight_N=mapped("weight_N").astype(np.float32, copy=False),
        by_lang=by_lang,
    )


def _write_frames(folder: Path, clip_ids: Sequence[str], features: FeatureStore, video: VideoTower) -> None:
    """Write the frames of a few clips at a time, so that their number is no matter."""
    counts = np.array([len(frame_positions(len(features[clip_id]), video.settings)) for clip_id in clip_ids])
    shape = (len(clip_ids), int(counts.max()), features.dim)
    video_CTD = np.lib.format.open_memmap(folder / "video.npy", mode="w+", dtype=np.float32, shape=shape)
    mask_CT = np.lib.format.open_memmap(folder / "mask.npy", mode="w+", dtype=np.bool_, shape=shape[:2])
    for first in range(0, len(clip_ids), _CLIPS_AT_ONCE):
        part = slice(first, first + _CLIPS_AT_ONCE)
        frames_CTD, there_CT = video.frames([features[clip_id] for clip_id in clip_ids[part]])
        longest = frames_CTD.shape[1]
        video_CTD[part, :longest], mask_CT[part, :longest] = frames_CTD.numpy(), there_CT.numpy()
