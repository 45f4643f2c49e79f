"""Import anyone's own tables and features into a dataset folder, as a layout describes them."""

from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.data.importers.caption_rows import read_captions
from polyreel.data.importers.clip_rows import clips_of_captions, read_clips, with_video_files
from polyreel.data.importers.dataset_folder import check_free, write_dataset
from polyreel.data.importers.feature_files import open_features
from polyreel.data.importers.layout import Layout, load_layout
from polyreel.progress import Progress, silent


def import_tables(
    source: Path | str,
    output: Path | str,
    *,
    layout: Path | str | None = None,
    replace: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Make a dataset folder of a folder of tables and features.

    The dataset is written aside and renamed, so a failing import leaves nothing, or what was there before.

    Args:
        source: the folder with the files; names in the layout start from it.
        output: the dataset folder to make.
        layout: what the files hold: a TOML file or the name of a shipped layout; None means `source/import.toml`.
        replace: delete a dataset that is already there, with all its features.
        progress: told what is being read and written.

    Raises:
        DataError: the layout or the data cannot be used; or `output` is taken.
    """
    source, output = Path(source), Path(output).resolve()
    described = load_layout(source, layout)
    check_free(output, [source, source / (described.videos or "")], replace)
    dataset = _read(source, described, described.name or output.name, progress)
    features = {name: open_features(source, files) for name, files in described.features.items()}
    return write_dataset(dataset, features, output, progress)


def _read(source: Path, layout: Layout, name: str, progress: Progress) -> Dataset:
    progress(0, 2, "reading captions")
    captions = read_captions(source, layout.captions)
    progress(1, 2, "reading clips")
    has_files = layout.clips[0].file is not None
    clips = read_clips(source, layout.clips) if has_files else clips_of_captions(captions, layout.clips[0])
    if layout.videos is not None:
        clips = with_video_files(clips, source, layout.videos)
    progress(2, 2, "checking")
    return Dataset.build(
        name,
        clips.table,
        captions.table,
        videos_folder=None if layout.videos is None else source / layout.videos,
        has_publisher_splits=layout.publisher_splits,
        clip_name=clips.place,
        caption_name=captions.place,
    )
