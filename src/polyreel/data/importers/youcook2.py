"""YouCook2 as its authors publish it: cooking videos, their steps, an English sentence a step.

`youcookii_annotations_trainval.json` holds `{"database": {VIDEO: {"subset": "training" or "validation", "annotations":
[{"id": 0, "segment": [start, end], "sentence": ...}]}}}`. The sentences of the test videos were never published, so
retrieval is measured on the validation videos (antoine77340/howto100m, README.md); they become the split `test`, and a
`val` for choosing is split off the training videos.
"""

from pathlib import Path

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.importers.published import CaptionRows, Features, Published, import_published
from polyreel.data.importers.publisher_json import Record, as_record, publisher_files, read_document
from polyreel.errors import DataError
from polyreel.progress import Progress, silent

ANNOTATIONS = "youcookii_annotations_trainval.json"
SPLIT_OF_SUBSET = {"training": "train", "validation": "test"}


def import_youcook2(
    source: Path | str,
    output: Path | str,
    *,
    videos: Path | str | None = None,
    features: Features | None = None,
    replace: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Make a dataset folder of YouCook2's annotations.

    Args:
        source: the annotations file, or the folder with it.
        output: the dataset folder to make.
        videos: folder of video files, called like the videos or like the clips (`VIDEO_STEP`).
        features: features to add, by the name of their extractor.
        replace: delete a dataset that is already there, with all its features.
        progress: told what is being read and written.

    Raises:
        DataError: a file or field is missing or not as published; or `output` is taken.
    """
    files = publisher_files(Path(source), [ANNOTATIONS], "YouCook2")
    return import_published(
        lambda: read_youcook2(files[0]),
        output,
        needed=files,
        videos=videos,
        features=features,
        replace_existing=replace,
        progress=progress,
    )


def read_youcook2(file: Path) -> Published:
    """Read clips and captions; a clip is a step.

    Raises:
        DataError: see `import_youcook2`.
    """
    database = as_record(read_document(file), file.name).value("database")
    videos = as_record(database, f"{file.name}, database").fields
    clips: list[Clip] = []
    places: list[str] = []
    captions = CaptionRows()
    for video, value in videos.items():
        record = as_record(value, f"{file.name}, video {video!r}")
        split = _split_of(record)
        for step in record.records("annotations"):
            clips.append(_clip(step, video, split))
            places.append(step.place)
            clip_id = clips[-1].clip_id
            captions.add(step.place, caption_id=f"{clip_id}#0", clip_id=clip_id, lang="en", text=step.text("sentence"))
    return Published(clips=clips, captions=captions, clip_places=places)


def _split_of(record: Record) -> str:
    subset = record.text("subset")
    if subset not in SPLIT_OF_SUBSET:
        raise DataError(f"{record.place} has the subset {subset!r}; expected {' or '.join(SPLIT_OF_SUBSET)}")
    return SPLIT_OF_SUBSET[subset]


def _clip(step: Record, video: str, split: str) -> Clip:
    start, end = step.span("segment")
    return Clip(
        clip_id=f"{video}_{step.number('id'):g}",
        video=video,
        start_seconds=start,
        end_seconds=end,
        split=split,
        source=video,
    )
