"""Looking after stores: small shards become one, stores become one, altered rows are found."""

from pathlib import Path

import numpy as np
import pytest

from polyreel.data.feature_care import describe_store, merge_stores, tidy, verify_store
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.feature_shards import Origin, writing_shard
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.errors import DataError, FingerprintError

SETTINGS = FeatureSettings(extractor="net", extractor_fingerprint="0", dim=3, source="onnx:net.onnx")


def rows(seed: int, num_rows: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_rows, 3)).astype(np.float32)


def write(folder: Path, *seeds: int, dtype: str = "float32") -> FeatureStore:
    """Write clips `clipN` of videos `vN` in shards of one clip each, the last first."""
    with FeatureWriter(folder, SETTINGS) as writer:
        for seed in sorted(seeds, reverse=True):
            with writing_shard(folder, writer.free_number(), 3, dtype) as shard:
                shard.add(f"clip{seed}", rows(seed), [0.0, 1.0], Origin(video=f"v{seed}", video_identity=str(seed)))
            writer.commit(shard.entries)
    return FeatureStore.open(folder)


def test_a_shard_that_grew_row_by_row_is_a_plain_numpy_file(tmp_path: Path) -> None:
    with writing_shard(tmp_path, 7, 3, "float16") as shard:
        for seed in range(40):
            shard.add(f"clip{seed}", rows(seed, 3).astype(np.float16), None)
    wanted = np.concatenate([rows(seed, 3) for seed in range(40)]).astype(np.float16)
    np.testing.assert_array_equal(np.load(tmp_path / "shard-00007.npy", mmap_mode="r"), wanted)
    assert [entry.first_row for entry in shard.entries] == list(range(0, 120, 3))


def test_tidying_puts_small_shards_together_in_the_videos_order(tmp_path: Path) -> None:
    before = write(tmp_path, 3, 1, 2)
    with FeatureWriter(tmp_path, SETTINGS) as writer:
        tidy(writer)
    after = FeatureStore.open(tmp_path)
    assert after.clip_ids == ["clip1", "clip2", "clip3"]
    assert [path.name for path in tmp_path.glob("*.npy")] == ["shard-00003.npy"]
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after["clip2"], rows(2))


def test_full_shards_and_those_in_use_stay(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    with FeatureWriter(tmp_path, SETTINGS) as writer:
        tidy(writer, shard_bytes=50)
        assert writer.shard_numbers() == [0, 1]
        tidy(writer, in_use=[0])
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["shard-00000.npy", "shard-00002.npy"]


def test_clips_that_share_rows_go_on_sharing_them(tmp_path: Path) -> None:
    store = write(tmp_path, 1, 2)
    entry = next(iter(store.manifest.to_pylist()))
    with FeatureWriter(tmp_path, SETTINGS) as writer:
        copied = writer.manifest.slice(0, 1).set_column(0, "clip_id", [["copy"]])
        writer.commit_table(copied.cast(writer.manifest.schema))
        tidy(writer)
    after = FeatureStore.open(tmp_path)
    np.testing.assert_array_equal(after["copy"], after[entry["clip_id"]])
    assert describe_store(after).num_rows == 6
    assert np.load(next(tmp_path.glob("*.npy"))).shape == (4, 3)


def test_stores_made_alike_become_one(tmp_path: Path) -> None:
    merged = merge_stores([write(tmp_path / "a", 3, 1), write(tmp_path / "b", 2, 3)], tmp_path / "all")
    assert merged.clip_ids == ["clip1", "clip2", "clip3"]
    assert [path.name for path in (tmp_path / "all").glob("*.npy")] == ["shard-00000.npy"]
    for seed in (1, 2, 3):
        np.testing.assert_array_equal(merged[f"clip{seed}"], rows(seed))
    assert verify_store(merged) == {}
    again = merge_stores([FeatureStore.open(tmp_path / "a"), write(tmp_path / "c", 4)], tmp_path / "all")
    assert again.clip_ids == ["clip1", "clip2", "clip3", "clip4"]


def test_half_and_whole_precision_keep_their_own_shards(tmp_path: Path) -> None:
    half = write(tmp_path / "half", 1, dtype="float16")
    merged = merge_stores([half, write(tmp_path / "whole", 2)], tmp_path / "all")
    assert [merged[clip].dtype.name for clip in merged.clip_ids] == ["float16", "float32"]
    assert describe_store(merged).number_types == {"float16": 1, "float32": 1}


def test_stores_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    store = write(tmp_path / "a", 1)
    with FeatureWriter(tmp_path / "b", SETTINGS) as writer:
        writer.add("clip1", rows(9))
    with pytest.raises(DataError, match="b has other rows for clip 'clip1' than a store before it"):
        merge_stores([store, FeatureStore.open(tmp_path / "b")], tmp_path / "all")
    with FeatureWriter(tmp_path / "c", SETTINGS.model_copy(update={"extractor_fingerprint": "1"})) as writer:
        writer.add("clip2", rows(2))
    with pytest.raises(FingerprintError, match=r"c was made otherwise than .*: extractor_fingerprint '0' instead of"):
        merge_stores([store, FeatureStore.open(tmp_path / "c")], tmp_path / "all")


def test_altered_and_lost_rows_are_found(tmp_path: Path) -> None:
    store = write(tmp_path, 1, 2, 3)
    shards = {clip: tmp_path / f"shard-{shard:05d}.npy" for clip, shard in zip(store.clip_ids, range(3), strict=True)}
    content = bytearray(shards["clip1"].read_bytes())
    content[-1] ^= 1
    shards["clip1"].write_bytes(content)
    shards["clip3"].unlink()
    faults = verify_store(FeatureStore.open(tmp_path))
    assert sorted(faults) == ["clip1", "clip3"]
    assert "its rows in shard-00002.npy were altered; extract this clip again" in faults["clip1"]
    assert "shard-00000.npy is missing or was cut short" in faults["clip3"]


def test_a_description_counts(tmp_path: Path) -> None:
    store = write(tmp_path, 1, 2, 3)
    described = describe_store(store)
    assert (described.num_clips, described.num_videos, described.num_rows, described.num_shards) == (3, 3, 6, 3)
    assert described.num_lost_bytes == 0
    with FeatureWriter(tmp_path, SETTINGS) as writer, writing_shard(tmp_path, 9, 3, "float32") as shard:
        shard.add("other", rows(5), None)
        shard.add("clip1", rows(6), None)
    with FeatureWriter(tmp_path, SETTINGS) as writer:
        writer.commit(shard.entries[1:])
    assert describe_store(FeatureStore.open(tmp_path)).num_lost_bytes == 2 * 3 * 4
    assert "clips      3 of 2 videos, 6 rows" in describe_store(FeatureStore.open(tmp_path)).lines()


def test_a_store_of_an_earlier_polyreel_can_be_added_to(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = write(tmp_path, 1)
    old = store.manifest.select(["clip_id", "shard", "first_row", "num_rows", "checksum", "frame_seconds"])
    pq.write_table(old, tmp_path / "manifest.parquet")
    with FeatureWriter(tmp_path, SETTINGS) as writer:
        writer.add("new", rows(2))
    after = FeatureStore.open(tmp_path)
    assert after.clip_ids == ["clip1", "new"]
    np.testing.assert_array_equal(after["clip1"], rows(1))
