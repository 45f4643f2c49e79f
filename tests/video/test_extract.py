import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError, FingerprintError, ItemsFailedError, VideoError
from polyreel.video.extract import ExtractionSettings, extract
from polyreel.video.extractors import open_extractor
from polyreel.video.extractors.pixels import PixelExtractor

WriteVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Two videos of 2 seconds, dark and light, in a folder of folders."""
    folder = tmp_path_factory.mktemp("library")
    for name, level in (("dark.mp4", 40), ("more/light.mp4", 200)):
        ramp = level + np.arange(20, dtype=np.uint8)
        write_video(folder / name, np.broadcast_to(ramp[:, None, None, None], (20, 48, 64, 3)), np.arange(20) / 10)
    return folder


def dataset_of(videos: Path | None, *clips: Clip) -> Dataset:
    return Dataset.build("greys", clips, [], videos_folder=videos)


def clip(clip_id: str, video: str, start: float | None = None, end: float | None = None) -> Clip:
    return Clip(clip_id=clip_id, video=video, start_seconds=start, end_seconds=end, split="train", source=video)


def sampled(**choices: float) -> ExtractionSettings:
    return ExtractionSettings(sampling=Sampling(**choices))


def mean_level(rows: np.ndarray) -> float:
    """Undo the first group of the pixels features: the mean grey of a clip, 0 to 255."""
    return float((rows[:, :192].mean() * 4 + 0.5) * 255)


def test_a_folder_is_one_clip_a_file(videos: Path, tmp_path: Path) -> None:
    store = extract(videos, PixelExtractor(), tmp_path / "store")
    assert sorted(store.clip_ids) == ["dark.mp4", "more/light.mp4"]
    assert store["dark.mp4"].shape == (8, 678)  # 2 seconds are few, so the least number of frames is taken
    assert mean_level(store["dark.mp4"]) == pytest.approx(50, abs=3)
    assert mean_level(store["more/light.mp4"]) == pytest.approx(210, abs=3)


def test_a_dataset_is_cut_at_its_clips(videos: Path, tmp_path: Path) -> None:
    clips = [clip("all", "dark.mp4"), clip("end", "dark.mp4", 1.5, 99.0), clip("start", "dark.mp4", None, 0.5)]
    dataset = dataset_of(videos, *clips).save(tmp_path / "greys")
    store = extract(dataset, PixelExtractor(), settings=sampled(frames_per_second=10, min_frames=2))
    assert store.folder == tmp_path / "greys" / "features" / "pixels"
    assert [len(store[name]) for name in ("all", "end", "start")] == [19, 4, 5]  # the video ends at 1.94 s
    assert mean_level(store["start"]) < mean_level(store["all"]) < mean_level(store["end"])
    assert dataset.features("pixels").fingerprint == store.fingerprint
    times = dict(zip(store.clip_ids, store.manifest["frame_seconds"].to_pylist(), strict=True))
    np.testing.assert_allclose(times["end"], [1.5, 1.6, 1.7, 1.8], atol=1e-3)


def test_what_is_there_is_skipped(videos: Path, tmp_path: Path) -> None:
    first = extract(dataset_of(videos, clip("dark", "dark.mp4")), PixelExtractor(), tmp_path / "store")
    both = dataset_of(videos, clip("dark", "dark.mp4"), clip("light", "more/light.mp4"))
    second = extract(both, PixelExtractor(), tmp_path / "store")
    assert second.clip_ids == ["dark", "light"]
    assert second.manifest["shard"].to_pylist() == [3, 3]  # the shards of both runs were put together
    np.testing.assert_array_equal(first["dark"], second["dark"])


def test_bad_files_do_not_stop_the_others(videos: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "a-broken.mp4").write_text("no video")
    for name in ("b.mp4", os.fsdecode(b"latin-\xe9.mp4")):
        (library / name).write_bytes((videos / "dark.mp4").read_bytes())
    with pytest.raises(ItemsFailedError, match="extracting pixels features: 2 failed, the rest is done") as caught:
        extract(library, PixelExtractor(), tmp_path / "store")
    broken, nameless = caught.value.failures.values()
    assert "a-broken.mp4 cannot be decoded" in broken
    assert "has a name that is not UTF-8, which no table can hold; rename the file" in nameless
    assert FeatureStore.open(tmp_path / "store").clip_ids == ["b.mp4"]


def test_a_clip_after_the_end_and_a_missing_file_fail_alone(videos: Path, tmp_path: Path) -> None:
    clips = [clip("late", "dark.mp4", 5, 9), clip("good", "dark.mp4", 0, 1), clip("gone", "gone.mp4")]
    with pytest.raises(ItemsFailedError) as caught:
        extract(dataset_of(videos, *clips), PixelExtractor(), tmp_path / "store")
    assert caught.value.failures["late"].startswith("starts at 5 s, but")
    assert "gone.mp4 does not exist" in caught.value.failures["gone"]
    assert FeatureStore.open(tmp_path / "store").clip_ids == ["good"]


def test_progress_counts_files_hours_and_speed(videos: Path, tmp_path: Path) -> None:
    calls: list[tuple[float, float, str]] = []
    alone = ExtractionSettings(num_workers=1)
    extract(videos, PixelExtractor(), tmp_path / "store", alone, progress=lambda *call: calls.append(call))
    total = float(f"{sum(path.stat().st_size for path in videos.rglob('*.mp4')) / 1e9:.4g}")
    assert {call[1] for call in calls} == {total} and calls[-1][0] == total
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)
    assert re.fullmatch(r"0/2 files, 0\.00 h of video, [\d.e+,]+ x real time, dark\.mp4", calls[0][2])
    assert calls[-1][2].startswith("2/2 files") and calls[-1][2].endswith("more/light.mp4")


def test_other_frames_do_not_go_into_the_same_store(videos: Path, tmp_path: Path) -> None:
    extract(videos, PixelExtractor(), tmp_path / "store")
    with pytest.raises(FingerprintError, match=r"made otherwise: frames_per_second 1\.0 instead of 8\.0; name another"):
        extract(videos, PixelExtractor(), tmp_path / "store", sampled(frames_per_second=8))


def test_a_store_says_how_to_make_it_again(videos: Path, tmp_path: Path) -> None:
    store = extract(
        videos, PixelExtractor(), tmp_path / "store", sampled(frames_per_second=3, min_frames=2, max_frames=4)
    )
    assert store.settings == FeatureSettings(
        extractor="pixels",
        extractor_fingerprint=PixelExtractor.fingerprint,
        dim=PixelExtractor.dim,
        source="pixels",
        sampling=Sampling(frames_per_second=3, min_frames=2, max_frames=4),
    )
    assert set(store.iter_lengths()) == {4}


def test_frames_that_cannot_be_chosen_are_refused(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="min_frames is 8 and max_frames 4; expected min <= max"):
        extract(videos, PixelExtractor(), tmp_path / "store", sampled(max_frames=4))


def test_a_dataset_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dataset 'greys' names no folder of video files"):
        extract(dataset_of(None, clip("a", "a.mp4")), PixelExtractor(), tmp_path / "store")


def test_a_dataset_whose_files_are_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 1 videos of dataset 'greys' is there; the first was looked"):
        extract(dataset_of(tmp_path, clip("a", "a.mp4")), PixelExtractor(), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_folder_needs_a_store(videos: Path) -> None:
    with pytest.raises(ValueError, match=r"is no dataset, .*; name a store for them \(-o STORE\)"):
        extract(videos, PixelExtractor())


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="has no video files"):
        extract(tmp_path, PixelExtractor(), tmp_path / "store")


@pytest.mark.slow
def test_real_clips_through_a_real_network(shared: Path, tmp_path: Path) -> None:
    mobilenet = open_extractor(f"onnx:{shared / 'models/mobilenet_v2/mobilenet_v2.onnx'}")
    store = extract(shared / "data" / "clips", mobilenet, tmp_path / "store")
    assert (len(store), store.dim) == (16, 1280)
    assert min(store.iter_lengths()) >= 8
