"""An index of ids finds what a dictionary finds."""

import numpy as np
import pyarrow as pa
import pytest

from polyreel.data.id_index import IdIndex
from polyreel.data.mapped import Texts

IDS = [f"vidéo{number * 7}#{number % 13}" for number in range(300)] + ["", "a", "vidéo0#0"]
WANTED = ["a", "stranger", "", "vidéo2093#0", *IDS[100:140], "vidéo0#0", "vidéo0#0"]


def expected():
    return [IDS.index(one) if one in IDS else -1 for one in WANTED]


@pytest.mark.parametrize("at_once", [7, 2**20])
@pytest.mark.parametrize("chunks", [[303], [1, 0, 100, 202]])
def test_ids_are_found_at_their_first_place_and_strangers_nowhere(tmp_path, monkeypatch, at_once, chunks):
    monkeypatch.setattr("polyreel.data.id_index._SORTED_AT_ONCE", at_once)
    ends = np.cumsum(chunks)
    column = pa.chunked_array(
        [pa.array(IDS[end - size : end], pa.string()) for end, size in zip(ends, chunks, strict=True)]
    )
    index = IdIndex(Texts(column), tmp_path / "index")
    assert index.places(pa.array(["before", *WANTED]).slice(1)).tolist() == expected()
    assert index.places(pa.array([], pa.string())).tolist() == []


def test_ids_of_one_digest_are_told_apart(monkeypatch):
    monkeypatch.setattr("polyreel.data.id_index._digests", lambda ids: np.full(len(ids), 5, np.uint64))
    assert IdIndex.nameless(Texts(IDS)).places(pa.array(WANTED)).tolist() == expected()


def test_an_index_of_nothing_knows_nothing():
    assert IdIndex.nameless(Texts([])).places(pa.array(["a"])).tolist() == [-1]
