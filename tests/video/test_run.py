"""A run as a whole: batches, several extractors, what is done again and what not, kills, URLs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from networks import Broken, Means, Rises

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_care import merge_stores
from polyreel.data.feature_settings import Sampling
from polyreel.data.features import FeatureStore
from polyreel.data.remote import open_stores
from polyreel.errors import DataError, FingerprintError, ItemsFailedError, VideoError
from polyreel.video import plan
from polyreel.video.decode import open_video
from polyreel.video.extract import ExtractionSettings, clip_features, extract, extract_together, plan_extraction
from polyreel.video.extractors.pixels import PixelExtractor

WriteVideo = Callable[..., Path]
DEFAULTS = ExtractionSettings()
LEVELS = {"a.mp4": 40, "b.mp4": 90, "more/c.mp4": 200}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Three greys that grow lighter by one level a frame, 2 seconds each."""
    folder = tmp_path_factory.mktemp("greys")
    for name, level in LEVELS.items():
        ramp = level + np.arange(20, dtype=np.uint8)
        write_video(folder / name, np.broadcast_to(ramp[:, None, None, None], (20, 48, 64, 3)), np.arange(20) / 10)
    return folder


@pytest.fixture
def copy(library: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(library, tmp_path / "videos"))


def verdicts(videos: Path, store: Path, settings: ExtractionSettings = DEFAULTS) -> dict[str, str]:
    return {file.name: verdict for file, verdict in plan_extraction(videos, [Means()], [store], settings).verdicts}


def test_batches_are_full_and_cross_file_boundaries(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LEAST_PORTIONS", 1)
    means = Means()
    store = extract(library, means, tmp_path / "store", ExtractionSettings(num_workers=1))
    assert means.batches == [5] * 5  # 24 rows
    for name, level in LEVELS.items():
        assert store[name].shape == (8, 3)
        np.testing.assert_allclose(store[name].mean(), level + 9.5, atol=2)


def test_rows_of_a_clip_do_not_depend_on_its_neighbours(library: Path, tmp_path: Path) -> None:
    store = extract(library, Means(), tmp_path / "store")
    with open_video(library / "b.mp4") as video:
        ((_, alone),) = clip_features(video, [(0.0, video.probe.duration_seconds)], Means(), Sampling())
    np.testing.assert_array_equal(alone.rows, store["b.mp4"])


def test_several_extractors_give_what_each_gives_alone(library: Path, tmp_path: Path) -> None:
    extractors = [Means(), Rises(), PixelExtractor()]
    places = [tmp_path / one.name for one in extractors]
    for store, extractor in zip(extract_together(library, extractors, places), extractors, strict=True):
        alone = extract(library, extractor, tmp_path / "alone" / extractor.name)
        assert store.fingerprint == alone.fingerprint


def test_a_row_of_several_frames_sees_them_around_its_moment_and_within_its_clip(library: Path, tmp_path: Path) -> None:
    clips = [
        Clip(clip_id=f"{start}", video="a.mp4", start_seconds=start, end_seconds=start + 1, split="train", source="a")
        for start in (0.0, 0.5)
    ]
    dataset = Dataset.build("greys", clips, [], videos_folder=library)
    settings = ExtractionSettings(sampling=Sampling(frames_per_second=4, min_frames=4))
    store = extract(dataset, Rises(), tmp_path / "store", settings)
    # moments 0.125, 0.375, 0.625, 0.875 into each clip: the frames 0.2 s before and after, but never outside the clip
    np.testing.assert_allclose(store["0.0"][:, 0], [3, 4, 4, 3], atol=1.6)
    np.testing.assert_allclose(store["0.5"][:, 0], [3, 4, 4, 3], atol=1.6)
    assert [len(store[clip]) for clip in store.clip_ids] == [4, 4]


def test_what_has_not_changed_is_left_alone(copy: Path, tmp_path: Path) -> None:
    means, store = Means(), tmp_path / "store"
    before = extract(copy, means, store)
    rows = {name: np.array(before[name]) for name in before.clip_ids}
    num_batches = len(means.batches)
    os.utime(copy / "a.mp4", ns=(1, 1))
    (copy / "b.mp4").rename(copy / "moved.mp4")
    shutil.copy(copy / "more/c.mp4", copy / "copied.mp4")
    assert verdicts(copy, store) == {
        "a.mp4": "touched",
        "copied.mp4": "moved or copied",
        "more/c.mp4": "unchanged",
        "moved.mp4": "moved or copied",
    }
    after = extract(copy, means, store)
    assert len(means.batches) == num_batches
    assert sorted(after.clip_ids) == ["a.mp4", "copied.mp4", "more/c.mp4", "moved.mp4"]
    for new, old in (("a.mp4", "a.mp4"), ("moved.mp4", "b.mp4"), ("copied.mp4", "more/c.mp4")):
        np.testing.assert_array_equal(after[new], rows[old])
    assert set(verdicts(copy, store).values()) == {"unchanged"}


def test_a_changed_file_is_done_again(copy: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = extract(copy, Means(), store)
    old = np.array(first["a.mp4"])
    shutil.copy(copy / "more/c.mp4", copy / "b.mp4")
    (copy / "a.mp4").write_bytes((copy / "a.mp4").read_bytes() + b"\0" * 9)
    assert verdicts(copy, store) == {"a.mp4": "changed", "b.mp4": "moved or copied", "more/c.mp4": "unchanged"}
    second = extract(copy, Means(), store)
    np.testing.assert_array_equal(second["a.mp4"], old)
    np.testing.assert_array_equal(second["b.mp4"], second["more/c.mp4"])
    assert len(second) == 3
    assert set(verdicts(copy, store).values()) == {"unchanged"}


def test_a_change_between_the_samples_is_seen_by_the_whole_hash(copy: Path, tmp_path: Path) -> None:
    big = copy / "a.mp4"
    big.write_bytes(big.read_bytes() + b"\0" * 2**20)
    whole = ExtractionSettings(is_whole=True)
    for name, settings in (("sampled", ExtractionSettings()), ("whole", whole)):
        extract(copy, Means(), tmp_path / name, settings)
    status = big.stat()
    with big.open("r+b") as stream:
        stream.seek(-(2**19) - 7, os.SEEK_END)
        stream.write(b"\1")
    os.utime(big, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verdicts(copy, tmp_path / "sampled")["a.mp4"] == "unchanged"
    assert verdicts(copy, tmp_path / "whole", whole)["a.mp4"] == "changed"
    assert verdicts(copy, tmp_path / "whole", whole)["b.mp4"] == "unchanged"


def test_a_dry_run_writes_nothing(library: Path, tmp_path: Path) -> None:
    assert set(verdicts(library, tmp_path / "store").values()) == {"new"}
    assert not (tmp_path / "store").exists()
    extract(library, PixelExtractor(), tmp_path / "store")
    with pytest.raises(FingerprintError, match="store holds features made otherwise: extractor 'pixels' instead of"):
        plan_extraction(library, [Means()], [tmp_path / "store"])


def test_half_precision_by_choice(library: Path, tmp_path: Path) -> None:
    whole = extract(library, Means(), tmp_path / "whole")
    half = extract(library, Means(), tmp_path / "half", ExtractionSettings(number_type="float16"))
    assert (half["a.mp4"].dtype, whole["a.mp4"].dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(half["a.mp4"], whole["a.mp4"].astype(np.float16))


def test_the_log_has_a_line_a_file(copy: Path, tmp_path: Path) -> None:
    (copy / "bad.mp4").write_text("no video")
    with pytest.raises(ItemsFailedError, match="extracting means features: 1 failed"):
        extract(copy, Means(), tmp_path / "store")
    (log,) = (tmp_path / "store" / "log").iterdir()
    lines = {line["video"]: line for line in map(json.loads, log.read_text().splitlines())}
    assert {name: (line["status"], line["rows"]) for name, line in lines.items()} == {
        "a.mp4": ("done", 8), "b.mp4": ("done", 8), "bad.mp4": ("failed", 0), "more/c.mp4": ("done", 8),
    }  # fmt: skip
    assert "bad.mp4 cannot be decoded" in lines["bad.mp4"]["failures"]["bad.mp4"]
    assert lines["a.mp4"]["video_seconds"] == pytest.approx(2, abs=0.1)
    assert verdicts(copy, tmp_path / "store")["bad.mp4"] == "new"


def test_rows_that_are_no_numbers_cost_their_own_clip(library: Path, tmp_path: Path) -> None:
    with pytest.raises(ItemsFailedError, match=r"clip 'more/c.mp4' has NaN or infinity in its features"):
        extract(library, Broken(), tmp_path / "store")
    assert FeatureStore.open(tmp_path / "store").clip_ids == ["a.mp4", "b.mp4"]


def test_extractors_called_alike_are_refused(library: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two of the extractors are called alike: means, means"):
        extract_together(library, [Means(), Means()], [tmp_path / "1", tmp_path / "2"])


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(library: Path, tmp_path: Path, copy: Path) -> None:
    for number in range(6):
        shutil.copy(copy / "b.mp4", copy / f"b{number}.mp4")
        (copy / f"b{number}.mp4").write_bytes((copy / "b.mp4").read_bytes() + bytes(number + 1))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from networks import Means; from polyreel.video import extract, plan, run\n"
        "plan.PORTION_FILES, plan.LEAST_PORTIONS, run.COMMIT_SECONDS = 2, 1, 0\n"
        "settings = extract.ExtractionSettings(num_workers=1)\n"
        "extract.extract(sys.argv[2], Means(float(sys.argv[4])), sys.argv[3], settings)"
    )
    call = [sys.executable, "-c", code, str(Path(__file__).parent), str(copy)]
    killed = subprocess.Popen([*call, str(tmp_path / "killed"), "0.3"])
    manifest = tmp_path / "killed" / "manifest.parquet"
    deadline = time.monotonic() + 60
    while not manifest.is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = FeatureStore.open(tmp_path / "killed").clip_ids
    assert 0 < len(done) < 9
    subprocess.run([*call, str(tmp_path / "killed"), "0"], check=True)
    subprocess.run([*call, str(tmp_path / "whole"), "0"], check=True)
    resumed, whole = (FeatureStore.open(tmp_path / name) for name in ("killed", "whole"))
    assert resumed.fingerprint == whole.fingerprint
    assert (resumed.manifest["checksum"], resumed.clip_ids) == (whole.manifest["checksum"], whole.clip_ids)
    assert not list((tmp_path / "killed").glob(".*.part"))


def test_a_run_between_urls(library: Path, tmp_path: Path) -> None:
    bucket = fsspec.filesystem("memory")
    bucket.put(str(library), "/bucket/videos", recursive=True)
    means = Means()
    settings = ExtractionSettings(num_workers=2)
    extract("memory://bucket/videos", means, "memory://bucket/features", settings)
    num_batches = len(means.batches)
    names = sorted(path.rpartition("/")[2] for path in bucket.ls("/bucket/features", detail=False))
    shards = [f"shard-0000{number}.npy" for number in range(3)]  # one a portion; nothing is put together there
    assert names == ["log", "manifest.parquet", *shards, "store.json"]
    again = extract("memory://bucket/videos", means, "memory://bucket/features", settings)
    assert (len(means.batches), len(again)) == (num_batches, 3)
    with open_stores(["memory://bucket/features"]) as stores:
        merged = merge_stores(stores, tmp_path / "merged")
    assert merged.fingerprint == extract(library, Means(), tmp_path / "local", settings).fingerprint
    with pytest.raises(VideoError, match="memory://bucket/none has no video files"):
        extract("memory://bucket/none", means, "memory://bucket/features")
    with pytest.raises(DataError, match=r"nosuch://x cannot be opened .*; install what fsspec needs for such URLs"):
        extract("nosuch://x", means, "memory://bucket/features")
