"""Import the data files that the reference implementation of C2KD publishes, read safely.

A clip keeps its id, its captions and its features together, whatever the other clips have, so a clip without features
of one kind cannot shift those of the clips behind it (the reference reads two lists by one index). A language that a
clip lacks stays absent; the reference fills it with another's caption.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed
from pathlib import Path

from polyreel.data.clips import Clip
from polyreel.data.dataset import PIVOT_LANG, Dataset
from polyreel.data.importers.dataset_folder import check_free, write_dataset
from polyreel.data.importers.feature_files import FeatureFiles
from polyreel.data.importers.reference_entries import Entry, read_entries
from polyreel.errors import DataError
from polyreel.progress import Progress, silent

_SPLIT_WORDS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def import_reference(
    source: Path | str | Sequence[Path | str],
    output: Path | str,
    *,
    splits: Sequence[str | None] | None = None,
    extractors: Mapping[str, str] | None = None,
    human_langs: Iterable[str] = (),
    replace: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Make a dataset folder of one or several pickles of the reference implementation.

    Args:
        source: the files, such as one to train on and one to test on.
        output: the dataset folder to make.
        splits: the split of each file; None, for one or all: what the file's name says (train, val, test).
        extractors: what to call the features under a key of the files, such as `{"2d": "clip-vit-b-32"}`; they are
            called like their key if not said. A name promises that the same extractor made all features of it.
        human_langs: languages beside English whose captions people wrote, such as `["zh"]` for VATEX; others count as
            machine-translated, but for RUDDER's, which are all human.
        replace: delete a dataset that is already there, with all its features.
        progress: told what is being read and written.

    Returns:
        The dataset; what was left out is among its recorded warnings.

    Raises:
        DataError: a file cannot be used, or `output` is taken.
    """
    files = [Path(source)] if isinstance(source, Path | str) else [Path(file) for file in source]
    output = Path(output).resolve()
    check_free(output, files, replace)
    if absent := [file for file in files if not file.is_file()]:
        raise DataError(f"{absent[0]} is no file; name a pickle, as the reference implementation's data comes")
    said = splits or [None] * len(files)
    if len(said) != len(files):
        raise ValueError(f"there are {len(files)} files and {len(said)} splits; give one for each file, or none")
    entries: list[Entry] = []
    for done, (file, split) in enumerate(zip(files, said, strict=True)):
        progress(done, len(files), f"reading {file.name}")
        entries += read_entries(file, split or _split_of(file))
    stores = _stores(entries, extractors or {})
    dataset = _dataset(output.name, entries, frozenset({PIVOT_LANG, *human_langs}))
    dataset = changed(dataset, recorded_warnings=(*dataset.recorded_warnings, *_warnings(entries, dataset, stores)))
    return write_dataset(dataset, stores, output, progress)


def _split_of(file: Path) -> str:
    words = re.split(r"[^a-z]+", file.stem.lower())
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    if len(found) != 1:
        raise DataError(
            f"{file.name} does not say in its name which split it is (found {', '.join(sorted(found)) or 'none'} of "
            f"{', '.join(_SPLIT_WORDS)}); say it behind the name, as in {file.name}:test"
        )
    return found.pop()


def _dataset(name: str, entries: Sequence[Entry], human_langs: frozenset[str]) -> Dataset:
    clips = [
        Clip(clip_id=entry.clip_id, video=entry.clip_id, split=entry.split, source=entry.clip_id) for entry in entries
    ]
    captions = [(entry, caption) for entry in entries for caption in entry.captions(human_langs)]
    return Dataset.build(
        name,
        clips,
        [caption for _, caption in captions],
        clip_name=lambda row: entries[row].place,
        caption_name=lambda row: captions[row][0].place,
    )


def _stores(entries: Sequence[Entry], extractors: Mapping[str, str]) -> dict[str, FeatureFiles]:
    """Gather the features by extractor, each with the id of its clip."""
    found: dict[str, list[tuple[Entry, str]]] = {}
    for entry in entries:
        for key in entry.features():
            found.setdefault(key, []).append((entry, key))
    for key in extractors:
        if key not in found:
            raise DataError(f"no clip has features under the key {key!r}; there are {', '.join(found) or 'none'}")
    named: dict[str, list[tuple[Entry, str]]] = {}
    for key, owners in found.items():
        named.setdefault(extractors.get(key, key), []).extend(owners)
    return {name: _feature_files(owners) for name, owners in named.items()}


def _feature_files(owners: Sequence[tuple[Entry, str]]) -> FeatureFiles:
    return FeatureFiles(
        clip_ids=[entry.clip_id for entry, _ in owners],
        place=lambda position: f"{owners[position][0].place}, {owners[position][1]!r}",
        rows=lambda position: owners[position][0].features()[owners[position][1]],
    )


def _warnings(entries: Sequence[Entry], dataset: Dataset, stores: Mapping[str, FeatureFiles]) -> list[str]:
    """Say what the files hold that the dataset does not, and what some clips lack."""
    found = []
    for name, files in stores.items():
        owners = set(files.clip_ids)
        lacking = [clip_id for clip_id in dataset.clip_ids if clip_id not in owners]
        if lacking:
            found.append(f"{len(lacking)} clip(s) have no features {name!r}, the first is {lacking[0]!r}")
    captioned = set(dataset.captions["clip_id"].to_pylist())
    silent_clips = [clip_id for clip_id in dataset.clip_ids if clip_id not in captioned]
    if silent_clips:
        found.append(f"{len(silent_clips)} clip(s) have no captions, the first is {silent_clips[0]!r}")
    unread = Counter(key for entry in entries for key in entry.unread_keys())
    return found + [f"the key {key!r} of {count} clip(s) was left out" for key, count in sorted(unread.items())]
