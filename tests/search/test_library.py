import os
from collections.abc import Callable
from pathlib import Path

import pytest

from polyreel.errors import DataError, FingerprintError, ItemsFailedError, VideoError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import LibraryUpdate, open_library, update_library

Paint = Callable[..., Path]


@pytest.fixture
def index(tmp_path: Path, library: Path, encoder: SearchEncoder) -> Index:
    return Index.create(tmp_path / "index", encoder, library)


def test_no_index_is_made_for_a_folder_without_videos(tmp_path: Path, encoder: SearchEncoder) -> None:
    """A slip in the folder's name must not leave an index that belongs to it."""
    with pytest.raises(VideoError, match="vidoes is no folder"):
        open_library(tmp_path / "index", tmp_path / "vidoes", encoder)
    assert not (tmp_path / "index").exists()


def test_queries_in_three_languages_find_the_moment(index: Index, library: Path, encoder: SearchEncoder) -> None:
    update_library(index, library, encoder)
    best = {word: index.search(word, k=1)[0] for word in ("red", "grün", "modrá")}
    assert best["modrá"].video == library / "more" / "both.mp4"
    assert (best["modrá"].start_seconds, best["modrá"].end_seconds) == (4.0, pytest.approx(8.0, abs=0.1))
    assert best["grün"].video.name == "it's green.mp4"
    assert {hit.clip_id for hit in index.search("rot", k=2)} == {"red.mp4#0", "more/both.mp4#0"}


def test_an_update_does_what_is_new_and_no_more(
    index: Index, library: Path, encoder: SearchEncoder, paint: Paint
) -> None:
    assert update_library(index, library, encoder) == LibraryUpdate(num_indexed=3, num_removed=0, num_unchanged=0)
    assert update_library(index, library, encoder) == LibraryUpdate(num_indexed=0, num_removed=0, num_unchanged=3)
    paint(library / "red.mp4", "blue", "blue", "blue")
    (library / "it's green.mp4").unlink()
    paint(library / "new.mp4", "green")
    assert update_library(index, library, encoder) == LibraryUpdate(num_indexed=2, num_removed=1, num_unchanged=1)
    assert sorted(index.file_stamps()) == ["more/both.mp4", "new.mp4", "red.mp4"]
    assert len(index) == 2 + 1 + 3


def test_a_touched_file_is_indexed_again(index: Index, library: Path, encoder: SearchEncoder) -> None:
    update_library(index, library, encoder)
    os.utime(library / "red.mp4", ns=(1, 1))
    assert update_library(index, library, encoder).num_indexed == 1


def test_other_windows_make_other_clips(index: Index, library: Path, encoder: SearchEncoder) -> None:
    update_library(index, library, encoder)
    num_clips = len(index)
    assert update_library(index, library, encoder, window_seconds=2.0).num_indexed == 3
    assert len(index) > num_clips


def test_bad_files_are_listed_and_the_rest_is_done(
    index: Index, library: Path, encoder: SearchEncoder, paint: Paint
) -> None:
    update_library(index, library, encoder)
    (library / "red.mp4").write_text("no video any more")
    (library / "broken.mp4").write_text("no video")
    paint(library / "plain.mp4", "green").rename(library / os.fsdecode(b"latin-\xe9.mp4"))
    paint(library / "zebra.mp4", "blue")
    with pytest.raises(ItemsFailedError, match="3 failed, the rest is done") as caught:
        update_library(index, library, encoder)
    assert sorted(caught.value.failures) == ["broken.mp4", "latin-\udce9.mp4", "red.mp4"]
    assert "cannot be decoded" in caught.value.failures["broken.mp4"]
    assert sorted(index.file_stamps()) == ["it's green.mp4", "more/both.mp4", "zebra.mp4"]


def test_progress_counts_videos_to_do(index: Index, library: Path, encoder: SearchEncoder) -> None:
    calls: list[tuple[float, float, str]] = []
    update_library(index, library, encoder, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3, "it's green.mp4"), (2, 3, "more/both.mp4"), (3, 3, "red.mp4")]


def test_an_empty_folder_does_not_empty_the_index(index: Index, library: Path, encoder: SearchEncoder) -> None:
    """A disk that is not mounted looks like this."""
    update_library(index, library, encoder)
    library.rename(library.parent / "away")
    library.mkdir()
    with pytest.raises(VideoError, match="library has no video files"):
        update_library(index, library, encoder)
    assert len(index) == 4


def test_an_index_belongs_to_one_folder(index: Index, library: Path, encoder: SearchEncoder) -> None:
    with pytest.raises(DataError, match=r"is the index of .*library, not of .*more; make one for that"):
        update_library(index, library / "more", encoder)


def test_another_encoder_is_refused(index: Index, library: Path, other_encoder: SearchEncoder) -> None:
    with pytest.raises(FingerprintError, match="holds embeddings of encoder"):
        update_library(index, library, other_encoder)


def test_an_index_moves_with_its_library(
    index: Index, library: Path, encoder: SearchEncoder, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    update_library(index, library, encoder)
    moved = tmp_path_factory.mktemp("elsewhere") / "all"
    tmp_path.rename(moved)
    opened = Index.open(moved / "index", encoder)
    assert opened.search("grün", k=1)[0].video == moved / "library" / "it's green.mp4"
    assert update_library(opened, moved / "library", encoder).num_unchanged == 3
