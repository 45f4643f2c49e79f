import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
    paint(library / "new.mp4", "green", seconds_each=3.0)
    assert update_library(index, library, encoder) == LibraryUpdate(num_indexed=2, num_removed=1, num_unchanged=1)
    assert sorted(index.file_stamps()) == ["more/both.mp4", "new.mp4", "red.mp4"]
    assert len(index) == 2 + 1 + 3


def test_a_touched_file_keeps_its_embeddings(index: Index, library: Path, encoder: SearchEncoder) -> None:
    update_library(index, library, encoder)
    before = next(index.sequences(["red.mp4"]))
    os.utime(library / "red.mp4", ns=(1, 10**18))
    update = LibraryUpdate(num_indexed=0, num_removed=0, num_unchanged=2, num_reused=1)
    assert update_library(index, library, encoder) == update
    assert update_library(index, library, encoder).num_unchanged == 3
    after = next(index.sequences(["red.mp4"]))
    np.testing.assert_array_equal(after.embeddings_ND, before.embeddings_ND)
    assert after.clips[0].date_seconds == 1e9


def test_a_moved_file_is_not_decoded_again_and_is_never_there_twice(
    index: Index, library: Path, encoder: SearchEncoder
) -> None:
    update_library(index, library, encoder)
    table = index.store
    (library / "deep").mkdir()
    (library / "more" / "both.mp4").rename(library / "deep" / "renamed.mp4")
    (library / "more" / "note.txt").touch()
    version = table._table.version
    update = LibraryUpdate(num_indexed=0, num_removed=0, num_unchanged=2, num_reused=1)
    assert update_library(index, library, encoder) == update
    assert sorted(index.file_stamps()) == ["deep/renamed.mp4", "it's green.mp4", "red.mp4"]
    assert index.search("blue", k=1)[0].clip_id == "deep/renamed.mp4#4"
    rows = [index.store._table.checkout(at) or len(index) for at in range(version, version + 1)]
    assert rows == [4]


def test_a_copy_of_a_file_is_not_decoded_and_files_that_exchanged_names_are(
    index: Index, library: Path, encoder: SearchEncoder
) -> None:
    update_library(index, library, encoder)
    shutil.copy(library / "red.mp4", library / "red too.mp4")
    assert update_library(index, library, encoder).num_reused == 1
    red, green = library / "red.mp4", library / "it's green.mp4"
    red.rename(library / "aside")
    green.rename(red)
    (library / "aside").rename(green)
    assert update_library(index, library, encoder).num_reused == 2
    assert index.search("green", k=1)[0].video == red


def test_a_file_that_left_a_folder_that_is_still_there_is_dropped(
    index: Index, library: Path, encoder: SearchEncoder
) -> None:
    update_library(index, library, encoder)
    (library / "red.mp4").unlink()
    assert update_library(index, library, encoder).num_removed == 1


@pytest.mark.parametrize("is_emptied", [False, True])
def test_videos_whose_whole_folder_is_gone_or_empty_stay_until_pruned(
    index: Index, library: Path, encoder: SearchEncoder, is_emptied: bool
) -> None:
    update_library(index, library, encoder)
    shutil.rmtree(library / "more")
    if is_emptied:
        (library / "more").mkdir()
    assert update_library(index, library, encoder).missing == ("more/both.mp4",)
    assert index.search("blue", k=1)[0].video.name == "both.mp4"
    assert update_library(index, library, encoder, prune=True).num_removed == 1
    assert sorted(index.file_stamps()) == ["it's green.mp4", "red.mp4"]


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
    assert update_library(index, library, encoder, prune=True).num_removed == 3
    assert len(index) == 0


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


def test_subtitles_are_read_and_their_change_decodes_nothing(
    index: Index, library: Path, encoder: SearchEncoder
) -> None:
    update_library(index, library, encoder)
    lines = "1\n00:00:04,500 --> 00:00:06,000\nЗдравствуй, кит!\n\n2\n00:00:01,000 --> 00:00:02,000\n你好鲸鱼\n"
    (library / "more" / "both.ru.srt").write_text(lines)
    update = LibraryUpdate(num_indexed=0, num_removed=0, num_unchanged=2, num_reused=1)
    assert update_library(index, library, encoder) == update
    found = index.find_speech("кит", k=1)[0]
    assert (found.hit.clip_id, found.lines[0].text) == ("more/both.mp4#4", "Здравствуй, кит!")
    assert index.find_speech("鲸鱼", k=1)[0].hit.clip_id == "more/both.mp4#0"
    assert update_library(index, library, encoder).num_unchanged == 3
    (library / "more" / "both.ru.srt").unlink()
    assert update_library(index, library, encoder).num_reused == 1
    assert index.find_speech("кит", k=1) == []


def test_rows_say_how_long_a_video_lasts_and_when_it_was_taken(
    index: Index, library: Path, encoder: SearchEncoder
) -> None:
    os.utime(library / "red.mp4", ns=(1, 10**18))
    update_library(index, library, encoder)
    clip = next(index.sequences(["red.mp4"])).clips[0]
    assert (clip.video_seconds, clip.date_seconds) == (pytest.approx(2.0, abs=0.1), 1e9)
