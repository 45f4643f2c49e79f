"""The lists of MSR-VTT's clips that retrieval work trains and tests on: CSV files with a `video_id` a row."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from polyreel.data.importers.source_table import SourceTable, read_table
from polyreel.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Which clips are wanted; false if there are no lists, and then all are.

    Attributes:
        split_of: split of every clip in a list.
        asked: for clips of a test list with sentences, the one caption that is asked.
        file: name of the test list.
    """

    split_of: Mapping[str, str]
    asked: Mapping[str, str]
    file: str = ""

    def __bool__(self) -> bool:
        return bool(self.split_of)


def read_lists(train_list: Path | None, test_list: Path | None, known: AbstractSet[str]) -> Lists:
    """Read a list of training clips, of test clips, both or neither.

    Args:
        train_list: CSV with a column `video_id`.
        test_list: CSV with a column `video_id`, and perhaps `sentence`.
        known: ids of the clips there are.

    Raises:
        DataError: a list is empty, names a clip twice or one that is unknown, or both name the same.
    """
    split_of: dict[str, str] = {}
    place_of: dict[str, str] = {}
    asked: dict[str, str] = {}
    for split, file in (("train", train_list), ("test", test_list)):
        table = None if file is None else _read(file)
        if table is None:
            continue
        for row, clip_id in enumerate(table.texts("video_id").to_pylist()):
            if clip_id not in known:
                raise DataError(
                    f"{table.place(row)} names the video {clip_id!r}, which is not among the {len(known)} of the JSON "
                    "files; do list and files belong to the same data set, and are all files there?"
                )
            if clip_id in split_of:
                raise DataError(
                    f"{table.place(row)} names the video {clip_id!r}, which {place_of[clip_id]} names already; "
                    "a clip stands in one list, once"
                )
            split_of[clip_id], place_of[clip_id] = split, table.place(row)
        if split == "test" and "sentence" in table:
            asked = dict(zip(table.texts("video_id").to_pylist(), table.texts("sentence").to_pylist(), strict=True))
    return Lists(split_of=split_of, asked=asked, file="" if test_list is None else test_list.name)


def _read(file: Path) -> SourceTable:
    table = read_table(file.parent, file.name)
    if not len(table):
        raise DataError(f"{file.name} lists no videos; expected a video_id a row")
    return table
