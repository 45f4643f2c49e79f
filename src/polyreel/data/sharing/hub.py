"""A dataset as the Hugging Face hub shows it: Parquet a table and split, and a card that says what is in it.

`captions` has a row a caption with what is known about its clip, so the hub's viewer shows something to read; `clips`
has a row a clip, also those without captions; `translations` every text a model gave, with its provenance. Features
do not travel this way (`shards.py`). Anybody reads it with `datasets.load_dataset(NAME, "captions")`.
"""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polyreel.data.clips import CLIP_SCHEMA
from polyreel.data.dataset import Dataset
from polyreel.data.importers.dataset_folder import check_free
from polyreel.data.sharing.card import dataset_card
from polyreel.data.translations import FOLDER, TRANSLATION_SCHEMA, read_translations, write_translations
from polyreel.errors import DataError, saying_which_extra
from polyreel.storage import is_vacant, write_aside, write_text

if TYPE_CHECKING:
    import datasets

_OF_CLIP = ("video", "start_seconds", "end_seconds", "source")


def write_hub_folder(dataset: Dataset, output: Path | str, *, license_name: str = "unknown") -> Path:
    """Write a dataset as the hub shows it.

    Args:
        dataset: what to share; its videos and features stay here.
        output: a new folder.
        license_name: the hub's name of the licence the captions are under, such as `cc-by-4.0`.

    Raises:
        DataError: the folder is taken.
    """
    output = Path(output)
    if not is_vacant(output):
        raise DataError(f"{output} exists; name another folder")
    translations = TRANSLATION_SCHEMA.empty_table() if dataset.folder is None else read_translations(dataset.folder)
    splits = _split_files(dataset.splits)
    with write_aside(output, is_expendable=True) as aside:
        for name, file in splits.items():
            part = dataset.split(name)
            _write(aside / "captions" / f"{file}.parquet", _with_clips(part))
            _write(aside / "clips" / f"{file}.parquet", part.clips)
        if translations.num_rows:
            _write(aside / FOLDER / "every.parquet", translations)
        write_text(aside / "README.md", dataset_card(dataset, translations, list(splits.values()), license_name))
    return output


def push_hub_folder(folder: Path, name: str, *, token: str | None = None) -> str:
    """Upload what `write_hub_folder` wrote to the hub, and return its address there.

    Args:
        folder: what to upload.
        name: OWNER/NAME.
        token: of the account; None: the one `hf auth login` has left.
    """
    from huggingface_hub import HfApi

    hub = HfApi(token=token)
    hub.create_repo(name, repo_type="dataset", exist_ok=True)
    return str(hub.upload_folder(repo_id=name, folder_path=folder, repo_type="dataset").repo_url)


def import_hub(source: str, output: Path | str, *, replace: bool = False) -> Dataset:
    """Make a dataset folder of what `write_hub_folder` wrote, from a folder or from the hub.

    Args:
        source: a folder, or OWNER/NAME on the hub.
        output: the dataset folder to make.
        replace: delete a dataset that is already there.

    Raises:
        DataError: `source` is no such dataset, or `output` is taken.
        MissingExtraError: the library `datasets` is not installed.
    """
    output = Path(output)
    check_free(output, [Path(source)], replace)
    with saying_which_extra("polyreel import hub"):
        tables = _load(source)
    further = [name for name in _OF_CLIP if name in tables["captions"].column_names]
    dataset = Dataset.build(
        Path(source).name, tables["clips"], tables["captions"].drop_columns(further), has_publisher_splits=True
    )
    with write_aside(output, is_expendable=True) as aside:  # `check_free` has asked
        dataset.save(aside)
        if FOLDER in tables:
            write_translations(aside, tables[FOLDER])
    return Dataset.open(output)


def _load(source: str) -> dict[str, pa.Table]:
    """Read the tables of a shared dataset, all splits of each in one."""
    import datasets

    try:
        names = set(datasets.get_dataset_config_names(source))
        if not names >= {"clips", "captions"}:
            raise DataError(
                f"{source} has {', '.join(sorted(names))}, and no 'clips' and 'captions' as `polyreel share` writes "
                "them; download its Parquet files, and bring them in with `polyreel import tables`"
            )
        with tempfile.TemporaryDirectory() as cache:
            return {
                name: _joined(datasets.load_dataset(source, name, cache_dir=cache))
                for name in sorted(names & {"clips", "captions", FOLDER})
            }
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source} is no dataset that can be loaded ({str(error).splitlines()[0]})") from None


def _split_files(splits: Sequence[str]) -> dict[str, str]:
    """Name a file for each split as the hub allows: letters, digits, underscores, and never `all`."""
    files: dict[str, str] = {}
    for name in splits:
        file = re.sub(r"\W", "_", name)
        files[name] = f"{file}_{len(files)}" if file == "all" or file in files.values() else file
    return files


def _joined(splits: "datasets.DatasetDict") -> pa.Table:
    tables = [split.with_format("arrow")[:] for split in splits.values()]
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def _with_clips(part: Dataset) -> pa.Table:
    """Return captions with what is known about their clips, clip by clip."""
    places = pc.index_in(part.captions["clip_id"], value_set=part.clips["clip_id"].combine_chunks())
    table = part.captions
    for name in _OF_CLIP:
        if name not in table.column_names:
            table = table.append_column(CLIP_SCHEMA.field(name), part.clips[name].take(places))
    return table


def _write(file: Path, table: pa.Table) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(None), file, compression="zstd")
