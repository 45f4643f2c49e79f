"""Import anyone's own tables and features into a dataset folder, as a layout describes them."""

from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.data.importers.caption_rows import read_captions
from polyreel.data.importers.clip_rows import clips_of_captions, read_clips, with_video_files
from polyreel.data.importers.feature_files import import_features, open_features
from polyreel.data.importers.layout import Layout, load_layout
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import write_aside


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
    _check_free(output, [source, source / (described.videos or "")], replace)
    dataset = _read(source, described, described.name or output.name, progress)
    features = {name: open_features(source, files) for name, files in described.features.items()}
    with write_aside(output) as aside:
        unfinished = dataset.save(aside)
        for extractor, files in features.items():
            store = unfinished.features_folder(extractor)
            import_features(files, extractor, dataset.clip_ids, store, progress)
    return Dataset.open(output)


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


def _check_free(output: Path, needed: list[Path], replace: bool) -> None:
    """Refuse an output folder whose replacement would delete what nobody said may be deleted."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / "dataset.json").is_file():
        raise DataError(f"{output} exists and is no dataset; name another folder")
    inside = [path for path in needed if path.resolve().is_relative_to(output)]
    if inside:
        raise DataError(f"{output} holds the files to import ({inside[0]}); name another folder")
    if not replace:
        stores = ", ".join(Dataset.open(output).extractors) or "none"
        raise DataError(
            f"{output} already is a dataset (features: {stores}); name another folder, or say --replace to delete it"
        )
