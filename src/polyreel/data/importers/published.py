"""What a publisher's files say, on its way into a dataset folder: clips, captions, video files, features.

The importers of public data sets differ in what they read and share what follows: the publisher's split is kept, files
are found by name, features are added by clip id, and a fault found late still names file and place.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.data.clips import CAPTION_SCHEMA, Clip, Origin
from polyreel.data.dataset import Dataset
from polyreel.data.importers.dataset_folder import check_free, write_dataset
from polyreel.data.importers.feature_files import FeatureFiles, open_features
from polyreel.data.importers.layout import FeatureLayout
from polyreel.errors import DataError
from polyreel.progress import Progress

Features = Mapping[str, FeatureLayout]


class CaptionRows:
    """Captions as they are read, kept as tuples, because translated data sets have millions."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str, str, float]] = []
        self._places: list[str] = []

    def add(self, place: str, *, caption_id: str, clip_id: str, lang: str, text: str, origin: Origin = "human") -> None:
        """Add one caption and where it stands."""
        self._rows.append((caption_id, clip_id, lang, text, origin, 1.0))
        self._places.append(place)

    def table(self) -> pa.Table:
        """Return the captions in the columns of `Caption`."""
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(CAPTION_SCHEMA)
        return pa.table([list(column) for column in columns], schema=CAPTION_SCHEMA)

    def place(self, row: int) -> str:
        """Say where a caption stands, for messages."""
        return self._places[row]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a publisher's files say, not checked yet.

    Attributes:
        clips: the clips to keep.
        captions: their captions.
        clip_places: where each clip stands, for messages.
        left_out: ids of clips that were published but are not wanted; features of theirs are passed over.
        warnings: what was odd and was let pass.
    """

    clips: Sequence[Clip]
    captions: CaptionRows
    clip_places: Sequence[str]
    left_out: AbstractSet[str] = frozenset()
    warnings: tuple[str, ...] = ()


def import_published(
    read: Callable[[], Published],
    output: Path | str,
    *,
    needed: Sequence[Path],
    videos: Path | str | None,
    features: Features | None,
    replace_existing: bool,
    progress: Progress,
) -> Dataset:
    """Make a dataset folder of what a publisher's files say.

    Args:
        read: reads the files; called once the output folder is known to be free.
        output: the dataset folder to make.
        needed: the files read from.
        videos: folder of video files; None if there are none.
        features: features to add, by the name of their extractor.
        replace_existing: delete a dataset that is already there.
        progress: told what is being read and written.

    Raises:
        DataError: the data cannot be used, or `output` is taken.
    """
    output = Path(output).resolve()
    videos = None if videos is None else Path(videos)
    layouts = features or {}
    used = [*needed, *([videos] if videos else []), *(Path(layout.file) for layout in layouts.values())]
    check_free(output, used, replace_existing)
    progress(0, 2, "reading")
    published = read()
    clips, missing = (published.clips, ()) if videos is None else _with_files(published.clips, videos)
    progress(1, 2, "checking")
    dataset = Dataset.build(
        output.name,
        clips,
        published.captions.table(),
        videos_folder=videos,
        has_publisher_splits=True,
        clip_name=published.clip_places.__getitem__,
        caption_name=published.captions.place,
    )
    dataset = replace(dataset, recorded_warnings=(*dataset.recorded_warnings, *published.warnings, *missing))
    files = {name: _of_clips(open_features(Path(), layout), published.left_out) for name, layout in layouts.items()}
    progress(2, 2, "writing")
    return write_dataset(dataset, files, output, progress)


def _with_files(clips: Sequence[Clip], videos: Path) -> tuple[list[Clip], tuple[str, ...]]:
    """Find each clip's file by name, with any suffix and in any subfolder.

    A file called like the clip is the clip itself, cut already; a file called like its video is the whole video, in
    which the clip's times apply. Videos vanish from the web, so a clip without a file is kept with a warning.
    """
    files = _files_by_stem(videos)
    found, absent = [], []
    for clip in clips:
        if clip.clip_id in files:
            found.append(replace(clip, video=files[clip.clip_id], start_seconds=None, end_seconds=None))
        else:
            found.append(replace(clip, video=files.get(clip.video, clip.video)))
            absent += [clip.clip_id] if clip.video not in files else []
    if len(absent) == len(clips):
        raise DataError(
            f"{videos} has no file for any of the {len(clips)} clips; expected files called like the clip, such as "
            f"{absent[0]!r}, or like its video, such as {clips[0].video!r}, with any suffix"
        )
    warning = f"{len(absent)} of {len(clips)} clips have no video file, the first is {absent[0]!r}" if absent else ""
    return found, (warning,) if warning else ()


def _files_by_stem(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the folder of the video files")
    by_stem: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.stem in by_stem:
            raise DataError(f"{folder} has two files called {path.stem!r}: {by_stem[path.stem]}, {name}; keep one")
        by_stem[path.stem] = name
    return by_stem


def _of_clips(files: FeatureFiles, left_out: AbstractSet[str]) -> FeatureFiles:
    """Return the features, each `[T, D]`, without those of clips that a list left out."""
    kept = [position for position, clip_id in enumerate(files.clip_ids) if clip_id not in left_out]
    return FeatureFiles(
        clip_ids=[files.clip_ids[position] for position in kept],
        place=lambda position: files.place(kept[position]),
        rows=lambda position: _without_lone_axis(files.rows(kept[position])),
    )


def _without_lone_axis(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return `[T, D]` of `[1, T, D]`, as VATEX's authors write the features of a clip."""
    return rows[0] if rows.ndim == 3 and len(rows) == 1 else rows
