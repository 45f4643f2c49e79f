"""What training reads over and over, prepared once and kept beside the dataset: tokens of captions, frames of clips.

With them lie where the teachers' bank has a sentence, and which clips they score highest for it. Tokenising, scaling
and ranking give the same every time, so a run finds what an earlier one has made, named by the fingerprint
of what it was made from, and maps the files: a step reads its own rows, and they need no memory of their own. Where
nothing can be written beside the dataset, files of no name take their place. `DATASET/prepared` may be deleted.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.id_index import IdIndex
from polyreel.data.mapped import Ints, Texts, blocks, prepared_folder
from polyreel.models.frames import frame_positions
from polyreel.models.text import TextTower
from polyreel.models.video import VideoTower
from polyreel.storage import Json, fingerprint, write_aside, write_json
from polyreel.training.batches import CaptionTable
from polyreel.training.candidates import Ints32, clips_to_rank, rank_clips
from polyreel.training.captions import new_array, read_captions, write_captions
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import TeacherBank

_CLIPS_AT_ONCE = 1024
Made = TypeVar("Made")


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
    return _made(
        dataset,
        "captions",
        made_from,
        lambda folder: write_captions(folder, dataset, langs, text.tokenize),
        lambda folder: read_captions(folder, dataset, langs),
    )


def prepare_bank_rows(dataset: Dataset, table: CaptionTable, bank: TeacherBank) -> Ints:
    """Return which row of the teachers' bank each sentence has `[S]`, -1 where they have not read it.

    Args:
        dataset: the clips to train on.
        table: their captions.
        bank: the teachers' answers.
    """

    def write(folder: Path) -> None:
        with TemporaryDirectory(dir=folder) as scratch:
            index = IdIndex(bank.sentence_ids, Path(scratch))
            rows_S, first = new_array(folder / "rows.npy", np.int64, len(table.sentence_ids)), 0
            for part in blocks(table.sentence_ids.column):
                rows_S[first : first + len(part)] = index.places(part)
                first += len(part)

    made_from: dict[str, Json] = {"bank": bank.sentence_ids.fingerprint, "sentences": table.sentence_ids.fingerprint}
    return _made(dataset, "bank-rows", made_from, write, lambda folder: np.load(folder / "rows.npy", mmap_mode="r"))


def prepare_hard_clips(
    dataset: Dataset, bank: TeacherBank, recipe: Recipe, inputs: Mapping[str, Json]
) -> Ints32 | None:
    """Return the clips that the teachers score highest for each of the bank's sentences `[Q, H]`, in no order.

    Args:
        dataset: the clips to train on.
        bank: what the teachers say of them, and of captions or pairs.
        recipe: how many, and among which they are sought.
        inputs: fingerprints of what the bank was made from.

    Returns:
        None where the recipe wants none.
    """
    settings, pooling = recipe.bank, recipe.objective.teacher_pooling
    if settings.sample is None or settings.hard == 0:
        return None
    clips_M = clips_to_rank(len(bank.clip_ids), settings.ranked_among, recipe.seed)
    shape = bank.num_sentences, min(settings.hard, len(clips_M))

    def write(folder: Path) -> None:
        hard_QH = np.lib.format.open_memmap(folder / "hard.npy", mode="w+", dtype=np.int32, shape=shape)
        rank_clips(bank, pooling, clips_M, hard_QH)

    made_from: dict[str, Json] = {
        **inputs,
        "asked": [bank.clip_ids.fingerprint, bank.sentence_ids.fingerprint, recipe.teachers.lang],
        "ranked": [pooling, shape[1], fingerprint(clips_M.tobytes())],
    }
    found: Ints32 = _made(dataset, "hard", made_from, write, lambda folder: np.load(folder / "hard.npy", mmap_mode="r"))
    return found


def prepare_frames(dataset: Dataset, features: FeatureStore, video: VideoTower) -> tuple[Tensor, Tensor]:
    """Return all clips' frames `[C, T, D]` and their mask `[C, T]`, as `VideoTower.frames` gives them.

    Args:
        dataset: the clips.
        features: of the clips.
        video: chooses frames.
    """
    settings = video.settings
    made_from: dict[str, Json] = {
        "clips": Texts(dataset.clips["clip_id"]).fingerprint,
        "features": features.fingerprint,
        "frames": [settings.max_frames, settings.frame_sampling],
    }
    clip_ids = Texts(dataset.clips["clip_id"])
    return _made(
        dataset, "frames", made_from, lambda folder: _write_frames(folder, clip_ids, features, video), _read_frames
    )


def _made(
    dataset: Dataset,
    kind: str,
    made_from: Mapping[str, Json],
    write: Callable[[Path], None],
    read: Callable[[Path], Made],
) -> Made:
    """Return what `read` maps of the files that `write` has written now, or in an earlier run."""
    folder = None if dataset.folder is None else prepared_folder(dataset.folder)
    if folder is None:
        with TemporaryDirectory(prefix="polyreel-", ignore_cleanup_errors=True) as nameless:
            write(Path(nameless))
            return read(Path(nameless))
    place = folder / f"{kind}-{fingerprint(dict(made_from))}"
    if not place.is_dir():
        with write_aside(place) as aside:
            aside.mkdir()
            write(aside)
            write_json(aside / "made_from.json", made_from)
    return read(place)


def _write_frames(folder: Path, clip_ids: Texts, features: FeatureStore, video: VideoTower) -> None:
    """Write the frames of a few clips at a time, so that their number is no matter."""
    longest, size = 0, len(clip_ids)
    for first in range(0, size, _CLIPS_AT_ONCE):
        rows = features.of_clips(clip_ids[first : first + _CLIPS_AT_ONCE])
        longest = max(longest, *(len(frame_positions(len(one), video.settings)) for one in rows))
    video_CTD, mask_CT = (
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, dtype, shape in (
            ("video", np.float32, (size, longest, features.dim)),
            ("mask", np.bool_, (size, longest)),
        )
    )
    for first in range(0, size, _CLIPS_AT_ONCE):
        frames_CTD, there_CT = video.frames(features.of_clips(clip_ids[first : first + _CLIPS_AT_ONCE]))
        part, width = slice(first, first + _CLIPS_AT_ONCE), frames_CTD.shape[1]
        video_CTD[part, :width], mask_CT[part, :width] = frames_CTD.numpy(), there_CT.numpy()


def _read_frames(folder: Path) -> tuple[Tensor, Tensor]:
    # mapped to be read; torch wants arrays that could be written, and so gets pages of its own if it ever does
    video_CTD, mask_CT = (np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("video", "mask"))
    return torch.from_numpy(video_CTD), torch.from_numpy(mask_CT)
