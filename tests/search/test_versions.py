"""Which commit is the newest: never one that is not, and LanceDB is asked only where there may be another."""

import os
from pathlib import Path

import pytest
from clip_rows import some_clips, some_embeddings

from polyreel.search.rows import make_rows
from polyreel.search.table import ClipTable
from polyreel.search.versions import NewestVersion

DIM = 8
LONG_AGO, FAR_AHEAD = 1_000_000_000, 9_000_000_000  # seconds since 1970


def commit(table: ClipTable, video: str) -> None:
    table.put(make_rows(some_clips(video, clips_each=2), some_embeddings(2, DIM, seed=ord(video)), DIM))


class Asked:
    """Stands before a table, and counts who asks it for its version."""

    def __init__(self, table: ClipTable) -> None:
        self._table, self.times = table, 0

    @property
    def version(self) -> int:
        self.times += 1
        return int(self._table._table.version)


def test_every_commit_of_another_is_seen_at_once(tmp_path: Path) -> None:
    writer = ClipTable.create(tmp_path, DIM)
    reader = ClipTable(tmp_path, DIM)
    for video in "abcdefghijkl":
        commit(writer, video)
        assert reader.state() == int(writer._table.version)
        assert len(reader.nearest(some_embeddings(1, DIM, seed=0)[0], 100, None)) == len(writer)


def test_a_table_at_rest_is_asked_once(tmp_path: Path) -> None:
    table = ClipTable.create(tmp_path, DIM)
    commit(table, "a")
    asked, newest, commits = Asked(table), NewestVersion(tmp_path / "clips.lance"), tmp_path / "clips.lance/_versions"
    os.utime(commits, (LONG_AGO, LONG_AGO))
    assert {newest.of(asked) for _ in range(5)} == {int(table._table.version)}
    assert asked.times == 1
    commit(table, "b")
    assert newest.of(asked) == int(table._table.version)


def test_a_table_that_changed_just_now_is_asked_again(tmp_path: Path) -> None:
    """Another commit within the same tick of the file system's clock would not show."""
    table = ClipTable.create(tmp_path, DIM)
    commit(table, "a")
    asked, newest, commits = Asked(table), NewestVersion(tmp_path / "clips.lance"), tmp_path / "clips.lance/_versions"
    os.utime(commits, (FAR_AHEAD, FAR_AHEAD))
    for _ in range(3):
        newest.of(asked)
    assert asked.times == 3


@pytest.mark.parametrize("folder", [None, Path("nowhere.lance")])
def test_without_a_folder_of_commits_a_table_is_always_asked(tmp_path: Path, folder: Path | None) -> None:
    asked = Asked(ClipTable.create(tmp_path, DIM))
    newest = NewestVersion(folder)
    assert [newest.of(asked) for _ in range(3)] == [asked.version] * 3
    assert asked.times == 4
