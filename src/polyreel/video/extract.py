"""Videos to features: one row a chosen moment, kept by clip.

Each video is decoded once for all its clips and all extractors. What is in the stores already and has not changed is
passed over, so a run that was stopped, at any moment and in any way, goes on where it was; a file that cannot be used
costs only its own clips.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import Sampling
from polyreel.data.feature_shards import Origin, Rows
from polyreel.data.features import FeatureStore
from polyreel.errors import ItemsFailedError
from polyreel.progress import Progress, silent
from polyreel.video.bench import Bench, ClipRows, Target
from polyreel.video.decode import Video
from polyreel.video.extractors import Extractor
from polyreel.video.listing import list_clips
from polyreel.video.plan import Plan, make_plan
from polyreel.video.portion import frames_onto
from polyreel.video.run import DEFAULTS, ExtractionSettings, feature_settings, manifest_at, run_plan
from polyreel.video.sampling import choose_moments
from polyreel.video.windows import Span

__all__ = [
    "ClipFeatures",
    "ExtractionSettings",
    "clip_features",
    "extract",
    "extract_together",
    "feature_settings",
    "plan_extraction",
]


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """What an extractor says about one clip.

    Attributes:
        rows: features of its frames, `[T, D]`.
        frame_seconds: when each frame is shown, seconds from the video's start, `[T]`.
    """

    rows: npt.NDArray[np.float32]
    frame_seconds: npt.NDArray[np.float64]


def extract(
    videos: Path | str | Dataset,
    extractor: Extractor,
    store: Path | str | None = None,
    settings: ExtractionSettings = DEFAULTS,
    *,
    progress: Progress = silent,
) -> FeatureStore:
    """Write the features of clips to a store, and return it opened.

    Args:
        videos: a folder or a URL, each of whose video files is one clip named by its path there; or a dataset, whose
            clips are cut from the files in its `videos_folder`.
        extractor: what makes rows of frames.
        store: where to write, a folder or a URL (of which only the manifest is opened); None means the dataset's own
            folder.
        settings: which frames, and how the work is done.
        progress: told after every file how much is done, in gigabytes of video files.

    Raises:
        ItemsFailedError: some clips failed, with reasons by clip id; the others are written.
        DataError: the dataset has no video files, or the store is something else.
        VideoError: the folder has no video files.
        FingerprintError: the store holds features of another extractor, or of frames chosen otherwise.
        ValueError: no store is named for a folder of videos.
    """
    return extract_together(videos, [extractor], None if store is None else [store], settings, progress=progress)[0]


def extract_together(
    videos: Path | str | Dataset,
    extractors: Sequence[Extractor],
    stores: Sequence[Path | str] | None = None,
    settings: ExtractionSettings = DEFAULTS,
    *,
    progress: Progress = silent,
) -> list[FeatureStore]:
    """Do the same with several extractors, each with a store of its own; videos are decoded once for all of them."""
    listing = list_clips(videos)
    opened, failures = run_plan(listing, extractors, _places(videos, extractors, stores), settings, progress)
    if failures:
        raise ItemsFailedError(f"extracting {' and '.join(one.name for one in extractors)} features", failures)
    return opened


def plan_extraction(
    videos: Path | str | Dataset,
    extractors: Sequence[Extractor],
    stores: Sequence[Path | str] | None = None,
    settings: ExtractionSettings = DEFAULTS,
) -> Plan:
    """Say what `extract_together` would do, and do nothing."""
    manifests = [
        manifest_at(place, feature_settings(extractor, settings.sampling))
        for extractor, place in zip(extractors, _places(videos, extractors, stores), strict=True)
    ]
    return make_plan(list_clips(videos), manifests, is_whole=settings.is_whole)


def clip_features(
    video: Video, spans: Sequence[Span], extractor: Extractor, sampling: Sampling
) -> Iterator[tuple[int, ClipFeatures]]:
    """Extract the features of several clips of one video, decoding it once.

    Args:
        video: the open file.
        spans: the clips, within the video.
        extractor: what makes rows of frames.
        sampling: which frames.

    Yields:
        A clip's position in `spans` and its features, in the order in which they are complete.

    Raises:
        VideoError: the video cannot be decoded.
        DataError: the extractor gives rows that cannot be used.
    """
    basket = _Basket()
    bench = Bench(Target(extractor=extractor), basket, _at_once)
    asked = []
    for position, (span, moments) in enumerate(zip(spans, choose_moments(video, spans, sampling), strict=True)):
        clip = Clip(clip_id=str(position), video="video", split="all", source="video")
        asked += bench.ask(ClipRows(clip, Origin(), len(moments)), span, moments)
    for _ in frames_onto(video, asked, sampling):
        yield from basket.emptied()
    bench.finish()
    yield from basket.emptied()


class _Basket:
    """Takes finished clips, by position."""

    def __init__(self) -> None:
        self._clips: list[tuple[int, ClipFeatures]] = []

    def add(self, clip_id: str, rows: Rows, frame_seconds: Sequence[float] | None, origin: Origin) -> None:
        times = np.array(frame_seconds, np.float64)
        self._clips.append((int(clip_id), ClipFeatures(rows=rows.astype(np.float32), frame_seconds=times)))

    def emptied(self) -> list[tuple[int, ClipFeatures]]:
        clips, self._clips = self._clips, []
        return clips


def _at_once(
    run: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]], frames: npt.NDArray[np.uint8]
) -> "Future[npt.NDArray[np.float32]]":
    future: Future[npt.NDArray[np.float32]] = Future()
    future.set_result(run(frames))
    return future


def _places(
    videos: Path | str | Dataset, extractors: Sequence[Extractor], stores: Sequence[Path | str] | None
) -> Sequence[Path | str]:
    if len({one.name for one in extractors}) < len(extractors):
        raise ValueError(f"two of the extractors are called alike: {', '.join(one.name for one in extractors)}")
    if stores is not None:
        return stores
    if isinstance(videos, Dataset):
        return [videos.features_folder(one.name) for one in extractors]
    raise ValueError(f"{videos} is no dataset, which would have a place for features; name a store for them (-o STORE)")
