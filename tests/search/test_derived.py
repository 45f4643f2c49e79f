"""What is derived from a table: always the newest version's answers, k of them, and never the truth."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clip_rows import some_clips, some_embeddings

from polyreel.errors import DataError
from polyreel.search.derived import Sizes
from polyreel.search.filter import Filter
from polyreel.search.layers import are_among, hits_at
from polyreel.search.rows import make_rows
from polyreel.search.table import ClipTable
from polyreel.similarity import Embeddings
from polyreel.storage import only_writer

DIM = 16
SMALL = Sizes(exact_rows=300, filtered_rows=20)


def fill(table: ClipTable, *videos: str, clips_each: int = 100, seed: int = 0) -> Embeddings:
    embeddings = some_embeddings(len(videos) * clips_each, DIM, seed)
    table.put(make_rows(some_clips(*videos, clips_each=clips_each), embeddings, DIM))
    return embeddings


@pytest.fixture
def table(tmp_path: Path) -> ClipTable:
    """A table of more clips than a matrix is made of."""
    made = ClipTable.create(tmp_path, DIM)
    fill(made, *"abcde")
    return ClipTable(tmp_path, DIM, sizes=SMALL)


def ids(table: ClipTable, query: Embeddings, k: int, wanted: Filter | None = None, is_exact: bool = False) -> list[str]:
    return [str(row["clip_id"]) for row in table.nearest(query, k, wanted, is_exact=is_exact)]


def recall(table: ClipTable, wanted: Filter | None = None) -> float:
    queries = some_embeddings(20, DIM, seed=9)
    pairs = [({*ids(table, q, 10, wanted)}, {*ids(table, q, 10, wanted, is_exact=True)}) for q in queries]
    return float(np.mean([len(found & exact) / len(exact) for found, exact in pairs]))


def test_answers_are_exact_before_anything_is_derived(table: ClipTable) -> None:
    assert table._view() is None
    assert recall(table) == 1.0


def test_files_are_derived_once_and_mapped_by_others(table: ClipTable) -> None:
    header = table.catch_up(some_embeddings(30, DIM, seed=9))
    assert header is not None
    assert header.recall >= 0.995
    assert header.num_rows == 500
    assert table.catch_up() is None
    other = ClipTable(table.folder, DIM, sizes=SMALL)
    assert other.catch_up() is None
    assert recall(other) >= 0.98


@pytest.mark.parametrize("videos", [("c",), ("a", "d"), tuple("abcd")])
@pytest.mark.parametrize("k", [1, 10, 95])
def test_there_are_k_hits_whenever_k_clips_may_be_found(table: ClipTable, videos: tuple[str, ...], k: int) -> None:
    table.catch_up()
    wanted = Filter(videos=videos)
    for query in some_embeddings(5, DIM, seed=3):
        found = table.nearest(query, k, wanted)
        assert len(found) == k
        assert {row["video"] for row in found} <= {*videos}
    assert recall(table, wanted) >= 0.98


def test_newer_rows_are_found_and_older_ones_are_not(table: ClipTable) -> None:
    table.catch_up()
    added = fill(table, "new", clips_each=5, seed=5)
    assert ids(table, added[3], 1) == ["new#12"]
    assert ids(table, added[3], 1, Filter(videos=("new",))) == ["new#12"]
    replaced = fill(table, "a", clips_each=2, seed=6)
    assert ids(table, replaced[1], 1) == ["a#4"]
    assert sorted(ids(table, replaced[1], 600, Filter(videos=("a",)))) == ["a#0", "a#4"]
    table.remove(["b"])
    assert ids(table, added[0], 600, Filter(videos=("b",))) == []
    assert len(ids(table, added[0], 600)) == len(table) == 500 + 5 - 98 - 100
    assert recall(table) >= 0.98


def test_many_newer_rows_are_derived_anew(table: ClipTable) -> None:
    table.catch_up()
    fill(table, "few", clips_each=5, seed=5)
    assert table.catch_up() is None
    fill(table, "many", clips_each=200, seed=6)
    assert recall(table) >= 0.98
    header = table.catch_up()
    assert header is not None
    assert header.num_rows == len(table)
    assert recall(table) >= 0.98


def test_what_is_derived_may_be_deleted_at_any_time(table: ClipTable) -> None:
    table.catch_up()
    reader = ClipTable(table.folder, DIM, sizes=SMALL)
    query = some_embeddings(1, DIM, seed=9)[0]
    before = ids(reader, query, 10)
    shutil.rmtree(table.folder / "derived")
    assert ids(reader, query, 10) == before
    late = ClipTable(table.folder, DIM, sizes=SMALL)
    assert late._view() is None
    assert late.catch_up() is not None
    (table.folder / "derived" / "derived.json").write_text("{}")
    assert ClipTable(table.folder, DIM, sizes=SMALL).catch_up() is not None


def test_a_matrix_follows_many_small_commits(tmp_path: Path) -> None:
    table = ClipTable.create(tmp_path, DIM)
    everything = {}
    for number in range(12):
        rows = fill(table, f"v{number}", clips_each=2, seed=number)
        everything |= {f"v{number}#0": rows[0], f"v{number}#4": rows[1]}
        if number % 3 == 2:
            table.remove([f"v{number - 1}"])
            everything = {name: row for name, row in everything.items() if not name.startswith(f"v{number - 1}#")}
        assert {*ids(table, rows[0], 99)} == {*everything}
        assert ids(table, rows[0], 1) == [f"v{number}#0"]


def test_two_do_not_derive_at_once(table: ClipTable) -> None:
    with only_writer(table.folder / "derived.lock"), pytest.raises(DataError, match="another process is writing to"):
        table.catch_up()


def test_many_commits_are_compacted(tmp_path: Path) -> None:
    table = ClipTable.create(tmp_path, DIM)
    for number in range(33):
        fill(table, f"v{number}", clips_each=1, seed=number)
    assert len(table) == 33
    assert table._table.stats()["fragment_stats"]["num_fragments"] < 5


@pytest.mark.parametrize("num_others", [0, 1, 50, 80])
def test_keys_are_found_among_others(num_others: int) -> None:
    random = np.random.default_rng(num_others)
    keys = random.integers(-(2**62), 2**62, 80)
    others = random.permutation(np.concatenate([keys, random.integers(-(2**62), 2**62, 80)]))[:num_others]
    assert are_among(keys, others).tolist() == [key in set(others.tolist()) for key in keys.tolist()]
    assert are_among(keys, random.permutation(keys)).all()
    assert are_among(keys[:0], others).tolist() == []


def test_hits_lie_where_their_clips_do() -> None:
    names = pa.chunked_array([["a", "b"], ["c"], ["d", "e", "f"]])
    times = pa.chunked_array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    rows = pa.table({"video": names, "start_seconds": times, "end_seconds": times, "clip_id": names, "other": names})
    assert hits_at(rows, np.array([5, 0]), np.array([0.75, 0.5], np.float32)) == [
        {"clip_id": "f", "video": "f", "start_seconds": 5.0, "end_seconds": 5.0, "_score": 0.75},
        {"clip_id": "a", "video": "a", "start_seconds": 0.0, "end_seconds": 0.0, "_score": 0.5},
    ]
    assert hits_at(rows, np.array([], np.int64), np.array([], np.float32)) == []
