"""One contract for every store: LanceDB in a folder and on an S3 server of this machine, Qdrant in memory and live.

A live Qdrant is asked where POLYREEL_QDRANT_URL names one, such as http://127.0.0.1:6333.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from clip_rows import some_clips, some_embeddings
from test_filter import ALL, VIDEOS, filtered_clips, speech_of_clips

from polyreel.errors import DataError
from polyreel.search.filter import Filter
from polyreel.search.rows import make_rows
from polyreel.search.store import ClipStore, check_location, create_store, open_store
from polyreel.search.table import ClipTable

DIM = 48
STORES = [
    "lance",
    pytest.param("s3", marks=pytest.mark.slow),
    pytest.param("qdrant", marks=pytest.mark.filterwarnings("ignore:(Payload indexes|Local mode)")),
    pytest.param("live", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def s3_bucket() -> Iterator[str]:
    """An S3 server on the loopback address, and a bucket in it."""
    if find_spec("moto") is None or find_spec("flask") is None:
        pytest.skip("needs moto[server]")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        request = urllib.request.Request(f"{endpoint}/clips", method="PUT")
        for _ in range(600):
            try:
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield "s3://clips"
    server.kill()
    server.wait()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClipStore]:
    if request.param in ("lance", "s3"):
        location = None if request.param == "lance" else f"{request.getfixturevalue('s3_bucket')}/{uuid.uuid4().hex}"
        create_store(tmp_path, location, DIM)
        yield open_store(tmp_path, location, DIM)
        return
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    from qdrant_client import QdrantClient

    from polyreel.search.qdrant import QdrantStore

    if request.param == "qdrant":
        made = QdrantStore(QdrantClient(":memory:"), "clips", DIM)
        made.make(0)
        yield made
        return
    if "POLYREEL_QDRANT_URL" not in os.environ:
        pytest.skip("POLYREEL_QDRANT_URL names no server")
    location = f"qdrant://{urlsplit(os.environ['POLYREEL_QDRANT_URL']).netloc}/polyreel-{uuid.uuid4().hex}"
    create_store(tmp_path, location, DIM)
    live = QdrantStore.at(location, DIM)
    yield live
    live._client.delete_collection(live._name)


def ids(rows: list) -> list[str]:
    return [row["clip_id"] for row in rows]


def test_an_empty_store_answers_nothing(store: ClipStore) -> None:
    assert len(store) == 0
    assert store.file_stamps() == {}
    assert store.nearest(some_embeddings(1)[0], 3, None) == []
    assert store.nearest_ids(some_embeddings(2)) == []
    np.testing.assert_array_equal(store.mean_D(), np.zeros(DIM))


def test_the_nearest_are_those_of_the_slow_loop(store: ClipStore) -> None:
    clips, embeddings = some_clips("a", "b", clips_each=20), some_embeddings(40)
    store.put(make_rows(clips, embeddings, DIM))
    query = some_embeddings(1, seed=7)[0]
    scores = {
        clip.clip_id: float(sum(x * y for x, y in zip(row, query, strict=True)))
        for clip, row in zip(clips, embeddings, strict=True)
    }
    for is_exact in (False, True):
        found = store.nearest(query, 7, None, is_exact=is_exact)
        assert ids(found) == sorted(scores, key=lambda name: -scores[name])[:7]
        assert [row["_score"] for row in found] == pytest.approx([scores[name] for name in ids(found)], abs=1e-5)
    assert store.nearest_ids(embeddings[[3, 30]]) == [clips[3].clip_id, clips[30].clip_id]
    assert store.mean_D() == pytest.approx(embeddings.mean(axis=0), abs=1e-5)


def test_a_video_put_again_takes_the_place_of_its_clips(store: ClipStore) -> None:
    store.put(make_rows(some_clips("it's a", "b", clips_each=3), some_embeddings(6), DIM))
    before = store.state()
    store.put(make_rows(some_clips("it's a", clips_each=2, stamp="two"), some_embeddings(2, seed=1), DIM))
    assert store.state() != before
    assert len(store) == 5
    assert store.file_stamps() == {"it's a": "two", "b": "one"}
    assert len(ids(store.nearest(some_embeddings(1)[0], 9, None))) == 5
    store.compact()
    store.remove(["it's a", "never there"])
    store.remove([])
    assert store.file_stamps() == {"b": "one"}


@pytest.fixture
def filtered(store: ClipStore) -> ClipStore:
    store.put(make_rows(filtered_clips(), some_embeddings(6), DIM, speech_of_clips()))
    return store


def test_filters_mean_the_same_everywhere(filtered: ClipStore) -> None:
    query = some_embeddings(1, seed=5)[0]
    for wanted, expected in ALL:
        for is_exact in (False, True):
            found = filtered.nearest(query, 6, wanted, is_exact=is_exact)
            assert {VIDEOS.index(name.removesuffix("#0")) for name in ids(found)} == expected, wanted


def test_rows_come_in_the_order_asked_for(filtered: ClipStore) -> None:
    wanted = [f"{video}#0" for video in reversed(VIDEOS)]
    rows = filtered.rows(wanted, ["clip_id", "video", "start_seconds", "end_seconds", "vector", "lines"])
    assert ids(rows) == wanted
    np.testing.assert_allclose(np.array([row["vector"] for row in rows]), some_embeddings(6)[::-1], atol=1e-6)
    assert [len(row["lines"]) for row in rows] == [0, 1, 1, 0, 2, 1]
    with pytest.raises(KeyError, match="there is no clip 'nothing'"):
        filtered.rows(["nothing"], ["clip_id"])


def test_what_a_store_cannot_do_it_declares(filtered: ClipStore) -> None:
    if filtered.abilities.full_text:
        assert {row["video"] for row in filtered.find_speech("words", 9, None)} == {VIDEOS[i] for i in (0, 1, 3, 4)}
        assert len(filtered.find_speech("words", 9, Filter(langs=("fr",)))) == 1
    else:
        with pytest.raises(DataError, match="finds no words; what is said needs a LanceDB store"):
            filtered.find_speech("words", 9, None)
    filtered.put(make_rows(some_clips("p"), some_embeddings(1), DIM, thumbnails={"p#0": b"jpeg"}))
    picture = filtered.rows(["p#0"], ["thumbnail"])[0]["thumbnail"]
    assert picture == (b"jpeg" if filtered.abilities.thumbnails else None)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_nothing_is_written_over(tmp_path: Path) -> None:
    ClipTable.create(tmp_path, DIM)
    with pytest.raises(DataError, match=r"cannot hold a new table: .*already exists"):
        ClipTable.create(tmp_path, DIM)
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    from qdrant_client import QdrantClient

    from polyreel.search.qdrant import QdrantStore

    store = QdrantStore(QdrantClient(":memory:"), "clips", DIM)
    store.make(0)
    with pytest.raises(DataError, match="there is a collection 'clips' already; name another, or delete it there"):
        store.make(0)


@pytest.mark.parametrize("location", ["ftp://host/name", "qdrant://host:6333", "s3:///name", "somewhere"])
def test_locations_of_no_known_kind_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"is no store; expected qdrant://HOST:6333/NAME or s3://BUCKET/NAME"):
        check_location(location)


def test_settings_of_a_collection_follow_from_its_size() -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    from polyreel.search.qdrant import collection_settings

    small, large = collection_settings(512, 100_000), collection_settings(512, 100_000_000)
    assert (small["vectors_config"].on_disk, small["quantization_config"], small["shard_number"]) == (False, None, None)
    assert large["vectors_config"].on_disk
    assert large["quantization_config"].scalar.always_ram
    assert (large["shard_number"], large["replication_factor"]) == (10, 2)
