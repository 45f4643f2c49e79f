"""Feature stores: what goes in comes out, whoever is killed in between."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.data.features import FeatureStore, FeatureWriter, link_store
from polyreel.errors import DataError, FingerprintError

SETTINGS = FeatureSettings(
    extractor="net", extractor_fingerprint="0", dim=3, source="onnx:net.onnx", sampling=Sampling(frames_per_second=2)
)


def writer(folder, shard_bytes=2**20, **changes):
    return FeatureWriter(folder, SETTINGS.model_copy(update=changes), shard_bytes=shard_bytes)


def rows(num_rows, seed=0, dim=3):
    return np.random.default_rng(seed).normal(size=(num_rows, dim)).astype(np.float32)


def test_what_goes_in_comes_out(tmp_path):
    with writer(tmp_path) as store:
        store.add("b", rows(4), frame_seconds=[0, 1, 2, 3])
        store.add("a", rows(1, seed=1))
    store = FeatureStore.open(tmp_path)
    assert (store.settings, store.extractor, store.dim, len(store)) == (SETTINGS, "net", 3, 2)
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


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"extractor": "clip"}, "extractor 'net' instead of 'clip'"),
        ({"extractor_fingerprint": "1"}, "extractor_fingerprint '0' instead of '1'"),
        ({"dim": 4}, "dim 3 instead of 4"),
        ({"sampling": Sampling()}, r"frames_per_second 2\.0 instead of 1\.0"),
    ],
)
def test_features_made_otherwise_do_not_go_into_the_same_store(tmp_path, other, difference):
    with writer(tmp_path):
        pass
    message = f"made otherwise: {difference}; name another folder, or delete this"
    with pytest.raises(FingerprintError, match=message), writer(tmp_path, **other):
        pass
    assert FeatureStore.open(tmp_path).settings == SETTINGS


def test_one_process_writes_at_a_time(tmp_path):
    code = (
        "import sys; from polyreel.data import features\n"
        "settings = features.FeatureSettings.model_validate_json(sys.argv[2])\n"
        "with features.FeatureWriter(sys.argv[1], settings): pass"
    )
    other = [sys.executable, "-c", code, str(tmp_path), SETTINGS.model_dump_json()]
    with writer(tmp_path) as store:
        store.add("a", rows(1))
        refused = subprocess.run(other, check=False, capture_output=True, text=True)
        assert f"DataError: another process is writing to {tmp_path}; wait until it is done" in refused.stderr
    subprocess.run(other, check=True)
    assert FeatureStore.open(tmp_path).clip_ids == ["a"]


def test_a_folder_of_something_else_is_not_written_to(tmp_path):
    (tmp_path / "clips.parquet").touch()
    with pytest.raises(DataError, match=r"holds 'clips.parquet' and is no feature store"), writer(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["clips.parquet"]


def test_files_that_are_gone_or_cut_short_are_named(tmp_path):
    with writer(tmp_path) as store:
        store.add("a", rows(9))
    shard, manifest = tmp_path / "shard-00000.npy", tmp_path / "manifest.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"shard-00000\.npy is missing or was cut short .*; delete its folder"):
        FeatureStore.open(tmp_path)["a"]
    manifest.write_bytes(manifest.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"manifest\.parquet is no sound Parquet file, perhaps cut short"):
        FeatureStore.open(tmp_path)


def test_an_extractor_that_moved_is_followed(tmp_path):
    with writer(tmp_path) as store:
        store.add("a", rows(1))
    before = FeatureStore.open(tmp_path).fingerprint
    with writer(tmp_path, source="onnx:moved/net.onnx"):
        pass
    after = FeatureStore.open(tmp_path)
    assert (after.settings.source, after.fingerprint, after.clip_ids) == ("onnx:moved/net.onnx", before, ["a"])


def test_the_fingerprint_sees_what_made_the_features(tmp_path):
    marks = set()
    for number, changes in enumerate([{}, {"extractor_fingerprint": "1"}, {"sampling": Sampling()}]):
        with writer(tmp_path / str(number), **changes) as store:
            store.add("a", rows(1))
        marks.add(FeatureStore.open(tmp_path / str(number)).fingerprint)
    assert len(marks) == 3


def test_an_edited_header_is_said(tmp_path):
    with writer(tmp_path):
        pass
    header = tmp_path / "store.json"
    header.write_text(header.read_text().replace('"dim"', '"dims"'))
    with pytest.raises(
        DataError, match=r"store\.json: the key 'dim' is missing; unknown key 'dims'; did you mean 'dim'"
    ):
        FeatureStore.open(tmp_path)


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
        "settings = features.FeatureSettings.model_validate_json(sys.argv[2])\n"
        "store = features.FeatureWriter(sys.argv[1], settings).__enter__()\n"
        "store.add('a', np.ones((2, 3)))\n"
        "store.flush()\n"
        "store.add('b', np.ones((2, 3)))\n"
        "features.pq.write_table = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.flush()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), SETTINGS.model_dump_json()], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "shard-00001.npy").exists()
    assert FeatureStore.open(tmp_path).clip_ids == ["a"]
    with writer(tmp_path) as store:
        store.add("b", rows(3))
    np.testing.assert_array_equal(FeatureStore.open(tmp_path)["b"], rows(3))


def test_a_linked_store_is_a_second_place_and_takes_its_own_way(tmp_path):
    with writer(tmp_path / "store") as store:
        store.add("a", rows(2))
    link_store(tmp_path / "store", tmp_path / "linked")
    assert (tmp_path / "linked" / "shard-00000.npy").samefile(tmp_path / "store" / "shard-00000.npy")
    with writer(tmp_path / "linked") as store:
        store.add("b", rows(1))
    link_store(tmp_path / "store", tmp_path / "linked")
    assert FeatureStore.open(tmp_path / "linked").clip_ids == ["a", "b"]
    assert FeatureStore.open(tmp_path / "store").clip_ids == ["a"]
