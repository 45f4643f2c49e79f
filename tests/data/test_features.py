"""Feature stores: what goes in comes out, whoever is killed in between."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.errors import DataError, FingerprintError


def writer(folder, dim=3, extractor="pixels", mark="0", shard_bytes=2**20):
    return FeatureWriter(folder, extractor=extractor, extractor_fingerprint=mark, dim=dim, shard_bytes=shard_bytes)


def rows(num_rows, seed=0, dim=3):
    return np.random.default_rng(seed).normal(size=(num_rows, dim)).astype(np.float32)


def test_what_goes_in_comes_out(tmp_path):
    with writer(tmp_path) as store:
        store.add("b", rows(4), frame_seconds=[0, 1, 2, 3])
        store.add("a", rows(1, seed=1))
    store = FeatureStore.open(tmp_path)
    assert (store.extractor, store.extractor_fingerprint, store.dim, len(store)) == ("pixels", "0", 3, 2)
    assert store.clip_ids == ["b", "a"]
    assert list(store.iter_lengths()) == [4, 1]
    np.testing.assert_array_equal(store["b"], rows(4))
    np.testing.assert_array_equal(store["a"], rows(1, seed=1))
    assert "a" in store and "c" not in store
    assert store.missing(["a", "c"]) == ["c"]


def test_shards_fill_up_and_a_writer_appends(tmp_path):
    for start in (0, 5):
        with writer(tmp_path, shard_bytes=50) as store:
            for number in range(start, start + 5):
                store.add(f"clip{number}", rows(2, seed=number))
    store = FeatureStore.open(tmp_path)
    assert len(list(tmp_path.glob("shard-*.npy"))) == 4
    for number in range(10):
        np.testing.assert_array_equal(store[f"clip{number}"], rows(2, seed=number))


def test_features_are_views_of_a_mapped_file(tmp_path):
    with writer(tmp_path) as store:
        store.add("a", rows(2))
    found = FeatureStore.open(tmp_path)["a"]
    assert isinstance(found, np.memmap) and not found.flags.writeable


def test_the_callers_buffer_may_be_reused(tmp_path):
    buffer = rows(2)
    with writer(tmp_path) as store:
        store.add("a", buffer)
        buffer[:] = 0
    np.testing.assert_array_equal(FeatureStore.open(tmp_path)["a"], rows(2))


def test_half_precision_is_kept_and_other_numbers_become_float32(tmp_path):
    with writer(tmp_path) as store:
        store.add("half", rows(2).astype(np.float16))
        store.add("double", rows(2).astype(np.float64))
        store.add("whole", np.arange(6).reshape(2, 3))
    store = FeatureStore.open(tmp_path)
    assert [store[name].dtype.name for name in store.clip_ids] == ["float16", "float32", "float32"]


def test_the_fingerprint_sees_content_not_the_order_of_writing(tmp_path):
    marks = []
    for number, order in enumerate([(0, 1), (1, 0), (0, 2)]):
        with writer(tmp_path / str(number)) as store:
            for seed in order:
                store.add(f"clip{min(seed, 1)}", rows(2, seed=seed))
        marks.append(FeatureStore.open(tmp_path / str(number)).fingerprint)
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((2, 4)), r"clip 'a' has features of shape \[2, 4\]; expected \[T, 3\] with T at least 1"),
        (np.ones((0, 3)), r"shape \[0, 3\]"),
        (np.ones(3), r"shape \[3\]"),
        (np.array([[1.0, 2, 3], [1, np.nan, 3]]), r"clip 'a' has NaN or infinity in its features \(first in frame 1\)"),
        (np.array([[1.0, np.inf, 3]]), "NaN or infinity"),
        (np.array([[1.0, 1e300, 3]]), "NaN or infinity"),
        (np.array([["x", "y", "z"]]), "clip 'a' has features of type <U1; expected numbers"),
    ],
)
def test_unusable_features_are_refused(tmp_path, features, message):
    with writer(tmp_path) as store, pytest.raises(DataError, match=message):
        store.add("a", features)
    assert len(FeatureStore.open(tmp_path)) == 0


def test_a_clip_is_written_once(tmp_path):
    with writer(tmp_path) as store:
        store.add("a", rows(1))
        with pytest.raises(DataError, match=r"clip 'a' already has features in .*; a clip is written once"):
            store.add("a", rows(1))
    with writer(tmp_path) as store:
        assert "a" in store


@pytest.mark.parametrize("other", [{"extractor": "clip"}, {"mark": "1"}, {"dim": 4}])
def test_another_extractor_is_refused(tmp_path, other):
    with writer(tmp_path):
        pass
    with pytest.raises(FingerprintError, match=r"holds features of 'pixels' \(0, width 3\), not of"):
        writer(tmp_path, **other)


def test_unknown_clips_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"is no feature store: it has no store.json"):
        FeatureStore.open(tmp_path)
    with writer(tmp_path):
        pass
    with pytest.raises(DataError, match="clip 'a' has no features in"):
        FeatureStore.open(tmp_path)["a"]


def test_a_killed_writer_can_be_followed_by_another(tmp_path):
    code = (
        "import os, signal, sys, numpy as np; from polyreel.data import features\n"
        "store = features.FeatureWriter(sys.argv[1], extractor='pixels', extractor_fingerprint='0', dim=3)\n"
        "store.add('a', np.ones((2, 3)))\n"
        "store.flush()\n"
        "store.add('b', np.ones((2, 3)))\n"
        "features.pq.write_table = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.flush()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "shard-00001.npy").exists()
    assert FeatureStore.open(tmp_path).clip_ids == ["a"]
    with writer(tmp_path) as store:
        store.add("b", rows(3))
    np.testing.assert_array_equal(FeatureStore.open(tmp_path)["b"], rows(3))
