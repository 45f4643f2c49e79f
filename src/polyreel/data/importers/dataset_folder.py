"""Writing what an import has read: the dataset folder with its features, whole or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.data.importers.feature_files import FeatureFiles, import_features
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import write_aside


def check_free(output: Path, needed: Sequence[Path], replace: bool) -> None:
    """Refuse an output folder whose replacement would delete what nobody said may be deleted.

    Args:
        output: the dataset folder to make.
        needed: files and folders that are read from.
        replace: a dataset that is already there may go.

    Raises:
        DataError: `output` is taken.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / "dataset.json").is_file():
        raise DataError(f"{output} exists and is no dataset; name another folder")
    inside = [path for path in needed if path.resolve().is_relative_to(output.resolve())]
    if inside:
        raise DataError(f"{output} holds the files to import ({inside[0]}); name another folder")
    if not replace:
        stores = ", ".join(Dataset.open(output).extractors) or "none"
        raise DataError(
            f"{output} already is a dataset (features: {stores}); name another folder, or say --replace to delete it"
        )


def write_dataset(
    dataset: Dataset, features: Mapping[str, FeatureFiles], output: Path, progress: Progress = silent
) -> Dataset:
    """Write a dataset and features of its clips to a folder, aside and renamed, and open it there.

    Raises:
        DataError: features without a clip, of a wrong width, or with NaN.
    """
    with write_aside(output, is_expendable=True) as aside:  # `check_free` has asked
        unfinished = dataset.save(aside)
        for extractor, files in features.items():
            import_features(files, extractor, dataset.clip_ids, unfinished.features_folder(extractor), progress)
    return Dataset.open(output)
