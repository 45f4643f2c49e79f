"""VATEX as its authors publish it: ten English and ten Chinese captions a clip, five of them translation pairs.

A file is a list of `{"videoID": "ID_START_END", "enCap": [...], "chCap": [...]}`; the name says the split:
`vatex_training_v1.0.json`, `vatex_validation_v1.0.json`, `vatex_public_test_english_v1.1.json`. Which captions are
translations of one another is not in the files. The authors' own reader for translation takes the last five of each
list, pair by pair, as source and target (eric-xw/Video-guided-Machine-Translation, dataloader.py, `[5:]`); so do we.
"""

import re
from pathlib import Path

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.importers.published import CaptionRows, Features, Published, import_published
from polyreel.data.importers.publisher_json import Record, as_records, publisher_files, read_document
from polyreel.errors import DataError
from polyreel.progress import Progress, silent

FIELDS = {"en": "enCap", "zh": "chCap"}
CAPTIONS_A_LANG = 10
FIRST_TRANSLATION = 5
_SPLITS = {"training": "train", "validation": "val", "test": "test"}
_PATTERNS = ("vatex_training*.json", "vatex_validation*.json", "vatex_public_test*.json")
_VIDEO_ID = re.compile(r"(?P<video>.+)_(?P<start>\d+)_(?P<end>\d+)")


def import_vatex(
    source: Path | str,
    output: Path | str,
    *,
    videos: Path | str | None = None,
    features: Features | None = None,
    replace: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Make a dataset folder of VATEX's JSON files, version 1.0 or 1.1.

    Args:
        source: the folder with the files, or one of them; the file names say the splits.
        output: the dataset folder to make.
        videos: folder of video files, called like the clips (`ID_START_END`) or like the videos (`ID`).
        features: features to add, by the name of their extractor.
        replace: delete a dataset that is already there, with all its features.
        progress: told what is being read and written.

    Raises:
        DataError: a file or field is missing or not as published; or `output` is taken.
    """
    files = publisher_files(Path(source), _PATTERNS, "VATEX")
    return import_published(
        lambda: read_vatex(files),
        output,
        needed=files,
        videos=videos,
        features=features,
        replace_existing=replace,
        progress=progress,
    )


def read_vatex(files: list[Path]) -> Published:
    """Read clips and captions; English and Chinese captions of a clip may stand in files of their own.

    Raises:
        DataError: see `import_vatex`.
    """
    clips: dict[str, Clip] = {}
    places: list[str] = []
    captions = CaptionRows()
    for file in files:
        split = _split_of(file)
        for record in as_records(read_document(file), file.name):
            clip = _clip(record, split)
            if clip.clip_id not in clips:
                clips[clip.clip_id] = clip
                places.append(record.place)
            elif clips[clip.clip_id] != clip:
                raise DataError(
                    f"{record.place} has {clip.clip_id!r} in the split {split!r}, but it is in "
                    f"{clips[clip.clip_id].split!r} already; a clip belongs to one split"
                )
            _add_captions(captions, record, clip.clip_id)
    return Published(clips=list(clips.values()), captions=captions, clip_places=places)


def _split_of(file: Path) -> str:
    splits = [split for word, split in _SPLITS.items() if word in file.stem]
    if len(splits) != 1:
        raise DataError(
            f"{file.name} does not say its split; expected a name with {', '.join(_SPLITS)}, as published, "
            "such as vatex_training_v1.0.json"
        )
    return splits[0]


def _clip(record: Record, split: str) -> Clip:
    clip_id = record.text("videoID")
    match = _VIDEO_ID.fullmatch(clip_id)
    if match is None:
        raise DataError(
            f"{record.place} has videoID {clip_id!r}; expected ID_START_END, such as 'Ab3dEf_000010_000020'"
        )
    return Clip(
        clip_id=clip_id,
        video=match["video"],
        start_seconds=float(match["start"]),
        end_seconds=float(match["end"]),
        split=split,
        source=match["video"],
    )


def _add_captions(captions: CaptionRows, record: Record, clip_id: str) -> None:
    langs = [lang for lang, field in FIELDS.items() if field in record.fields]
    if not langs:
        raise DataError(
            f"{record.place} has no captions; expected 'enCap', 'chCap' or both; the private test is published without"
        )
    for lang in langs:
        field = FIELDS[lang]
        texts = record.texts(field)
        if len(texts) != CAPTIONS_A_LANG:
            raise DataError(
                f"{record.place} has {len(texts)} captions in {field!r}; expected {CAPTIONS_A_LANG}, because their "
                "order alone says which are translations"
            )
        for number, text in enumerate(texts):
            own = "" if number >= FIRST_TRANSLATION else lang
            captions.add(
                f"{record.place}, {field}[{number}]",
                caption_id=f"{clip_id}#{own}{number}",
                clip_id=clip_id,
                lang=lang,
                text=text,
            )
