import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import LibraryUpdate, update_library
from polyreel.search.watching import Settling, watch_library


@pytest.fixture
def index(tmp_path: Path, library: Path, encoder: SearchEncoder) -> Index:
    index = Index.create(library / ".polyreel", encoder, library)
    update_library(index, library, encoder)
    return index


@contextmanager
def followed(index: Index, library: Path, encoder: SearchEncoder) -> Iterator[list[LibraryUpdate]]:
    """Follow a folder in a thread until the test is over."""
    stop, updates = threading.Event(), []
    arguments = {"report": updates.append, "stop": stop, "settle_seconds": 0.6}
    thread = threading.Thread(target=watch_library, args=(index, library, encoder), kwargs=arguments)
    thread.start()
    try:
        time.sleep(0.5)
        yield updates
    finally:
        stop.set()
        thread.join()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.05)


def test_a_file_settles_when_it_has_looked_the_same_for_a_while(tmp_path: Path):
    now, file = [0.0], tmp_path / "a.mp4"
    settling = Settling(2.0, clock=lambda: now[0])
    seen = []
    for at, content in ((0, "a"), (1, "a"), (1.9, "ab"), (3, "ab"), (3.8, "ab"), (4, "ab")):
        now[0] = at
        if not file.exists() or file.read_text() != content:
            file.write_text(content)
        seen.append(settling.is_settled(file))
    assert seen == [False, False, False, False, False, True]


def test_what_comes_moves_and_goes_is_followed(index: Index, library: Path, encoder: SearchEncoder, paint, tmp_path):
    blue = paint(tmp_path / "blue.mp4", "blue", "blue", "blue")
    with followed(index, library, encoder) as updates:
        shutil.copy(blue, library / "new.mp4")
        until(lambda: "new.mp4" in index.file_stamps())
        assert index.search("blue", k=1)[0].video.name in ("new.mp4", "both.mp4")
        (library / "new.mp4").rename(library / "renamed.mp4")
        until(lambda: "renamed.mp4" in index.file_stamps())
        assert "new.mp4" not in index.file_stamps()
        (library / "renamed.mp4").unlink()
        until(lambda: "renamed.mp4" not in index.file_stamps())
        (library / "broken.mp4").write_text("no video")
        until(lambda: any(update.failures for update in updates))
    changes = [(one.num_indexed, one.num_reused, one.num_removed) for one in updates if not one.failures]
    assert changes == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert [list(one.failures) for one in updates if one.failures] == [["broken.mp4"]]


def test_a_file_that_is_still_growing_waits(index: Index, library: Path, encoder: SearchEncoder, paint, tmp_path):
    content = paint(tmp_path / "blue.mp4", "blue", "blue").read_bytes()
    with followed(index, library, encoder) as updates, (library / "growing.mp4").open("wb") as file:
        for start in range(0, len(content), len(content) // 8 + 1):
            file.write(content[start : start + len(content) // 8 + 1])
            file.flush()
            time.sleep(0.3)
            assert updates == []
        file.close()
        until(lambda: "growing.mp4" in index.file_stamps())
    assert [update.failures for update in updates] == [{}]


def test_a_disk_that_goes_and_comes_back_changes_nothing(
    index: Index, library: Path, encoder: SearchEncoder, paint, tmp_path
):
    with followed(index, library, encoder):
        library.rename(tmp_path / "away")
        time.sleep(1.5)
        (tmp_path / "away").rename(library)
        paint(library / "blue.mp4", "blue")
        until(lambda: "blue.mp4" in index.file_stamps())
    assert len(index.file_stamps()) == 4
