"""MSR-VTT as its authors publish it, with the lists and the translations that others made for it.

`videodatainfo` files of 2016 and 2017 hold `videos` (`video_id`, `url`, `start time`, `end time`, `split`) and
`sentences` (`video_id`, `sen_id`, `caption`). The lists of retrieval work are CSV files with a `video_id` a row
(ArrowLuo/CLIP4Clip, msrvtt_data.zip): MSRVTT_train.7k.csv or MSRVTT_train.9k.csv, and MSRVTT_JSFUSION_test.csv, the
test of 1k-A, whose `sentence` is the one caption that is asked. Clips of one YouTube video straddle both the authors'
split and 1k-A; that is recorded with the dataset.
"""

from collections.abc import Mapping
from pathlib import Path

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.importers.msrvtt_lists import Lists, read_lists
from polyreel.data.importers.msrvtt_sentences import Sentences, add_translation
from polyreel.data.importers.published import CaptionRows, Features, Published, import_published
from polyreel.data.importers.publisher_json import Record, as_record, publisher_files, read_document
from polyreel.errors import DataError
from polyreel.languages import check_lang
from polyreel.progress import Progress, silent

FILES = (
    "train_val_videodatainfo.json",
    "test_videodatainfo.json",
    "videodatainfo_2017.json",
    "test_videodatainfo_2017.json",
    "MSRVTT_data.json",
)
_SPLITS = {"train": "train", "validate": "val", "test": "test"}


def import_msrvtt(
    source: Path | str,
    output: Path | str,
    *,
    train_list: Path | str | None = None,
    test_list: Path | str | None = None,
    translations: Mapping[str, Path] | None = None,
    videos: Path | str | None = None,
    features: Features | None = None,
    replace: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Make a dataset folder of MSR-VTT's JSON files.

    Args:
        source: the folder with the files of one year, or one file.
        output: the dataset folder to make.
        train_list: CSV of the training clips; with a list, clips in no list are left out.
        test_list: CSV of the test clips, and of the caption that is asked for each if it has a column `sentence`.
        translations: files of machine translations by language code (docs/datasets.md shows their layouts).
        videos: folder of video files, called like the clips (`video0`), as they are distributed.
        features: features to add, by the name of their extractor.
        replace: delete a dataset that is already there, with all its features.
        progress: told what is being read and written.

    Raises:
        DataError: a file or field is missing or not as published, a list or a translation does not fit; or `output`
            is taken.
    """
    files = publisher_files(Path(source), FILES, "MSR-VTT")
    by_lang = {_translated(lang): Path(file) for lang, file in (translations or {}).items()}
    lists = [None if file is None else Path(file) for file in (train_list, test_list)]
    return import_published(
        lambda: read_msrvtt(files, lists[0], lists[1], by_lang),
        output,
        needed=[*files, *by_lang.values(), *filter(None, lists)],
        videos=videos,
        features=features,
        replace_existing=replace,
        progress=progress,
    )


def read_msrvtt(
    files: list[Path], train_list: Path | None, test_list: Path | None, translations: Mapping[str, Path]
) -> Published:
    """Read clips and captions.

    Raises:
        DataError: see `import_msrvtt`.
    """
    documents = [as_record(read_document(file), file.name) for file in files]
    videos = [record for document in documents for record in document.records("videos")]
    lists = read_lists(train_list, test_list, {record.text("video_id") for record in videos})
    clips: list[Clip] = []
    places: list[str] = []
    left_out: set[str] = set()
    for record in videos:
        clip = _clip(record, lists)
        if clip is None:
            left_out.add(record.text("video_id"))
        else:
            clips.append(clip)
            places.append(record.place)
    captions = CaptionRows()
    sentences = Sentences()
    for document in documents:
        sentences.read(document.records("sentences"))
    warnings = list(sentences.add_to(captions, lists, left_out))
    for lang, file in translations.items():
        warnings += add_translation(captions, sentences, lang, file)
    return Published(clips=clips, captions=captions, clip_places=places, left_out=left_out, warnings=tuple(warnings))


def _translated(lang: str) -> str:
    if check_lang(lang, "a translation of MSR-VTT") == "en":
        raise DataError("a translation of MSR-VTT has language 'en'; the English captions come with the data set")
    return lang


def _clip(record: Record, lists: Lists) -> Clip | None:
    """Return the clip of a video record; None if the lists leave it out."""
    clip_id = record.text("video_id")
    split = record.text("split")
    if split not in _SPLITS:
        raise DataError(f"{record.place} has the split {split!r}; expected {', '.join(_SPLITS)}")
    placed = lists.split_of.get(clip_id) if lists else _SPLITS[split]
    if placed is None:
        return None
    video = record.text("url").rpartition("v=")[2]
    return Clip(
        clip_id=clip_id,
        video=video,
        start_seconds=record.number("start time"),
        end_seconds=record.number("end time"),
        split=placed,
        source=video,
    )
