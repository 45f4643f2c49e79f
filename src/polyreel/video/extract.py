"""Videos to features: one row a chosen frame, kept by clip.

Each video is decoded once for all its clips. Clips that are in the store already are skipped, so a run that was stopped
goes on where it was; a file that cannot be used costs only its own clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import numpy.typing as npt

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.errors import DataError, ItemsFailedError, VideoError
from polyreel.progress import Progress, silent
from polyreel.video.decode import FrameRequest, Video, find_videos, open_video, read_frames
from polyreel.video.extractors import Extractor
from polyreel.video.sampling import choose_moments
from polyreel.video.windows import Span

_SAMPLING = Sampling()
_FLUSH_SECONDS = 60.0  # a process that is killed loses at most so much work


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
    videos: Path | Dataset,
    extractor: Extractor,
    store: Path | None = None,
    *,
    frames_per_second: float = _SAMPLING.frames_per_second,
    min_frames: int = _SAMPLING.min_frames,
    max_frames: int = _SAMPLING.max_frames,
    progress: Progress = silent,
) -> FeatureStore:
    """Write the features of clips to a store, and return it opened.

    Args:
        videos: a folder, each of whose video files is one clip named by its path in the folder; or a dataset, whose
            clips are cut from the files in its `videos_folder`.
        extractor: what makes rows of frames.
        store: where to write; clips that are there already are skipped, even if their video is another now. None means
            the dataset's own folder.
        frames_per_second: frames looked at a second of a clip.
        min_frames: frames looked at in a short clip at least.
        max_frames: frames looked at in a long clip at most.
        progress: told after every video how many clips are done.

    Raises:
        ItemsFailedError: some clips failed, with reasons by clip id; the others are written.
        DataError: the dataset has no video files.
        VideoError: the folder has no video files.
        FingerprintError: the store holds features of another extractor, or of frames chosen otherwise.
        ValueError: a number is out of range, or no store is named for a folder of videos.
    """
    sampling = Sampling(frames_per_second=frames_per_second, min_frames=min_frames, max_frames=max_frames)
    clips_by_video = _clips_of_dataset(videos) if isinstance(videos, Dataset) else _clips_of_folder(videos)
    if store is None:
        if not isinstance(videos, Dataset):
            raise ValueError(
                f"{videos} is no dataset, which would have a place for features; name a store for them (-o STORE)"
            )
        store = videos.features_folder(extractor.name)
    with FeatureWriter(store, feature_settings(extractor, sampling)) as writer:
        failures = _extract_all(clips_by_video, extractor, sampling, writer, progress)
    if failures:
        raise ItemsFailedError(f"extracting {extractor.name} features", failures)
    return FeatureStore.open(store)


def feature_settings(extractor: Extractor, sampling: Sampling) -> FeatureSettings:
    """Describe the features that an extractor makes of frames chosen so."""
    return FeatureSettings(
        extractor=extractor.name,
        extractor_fingerprint=extractor.fingerprint,
        dim=extractor.dim,
        source=extractor.source,
        sampling=sampling,
    )


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
        A clip's position in `spans` and its features, in the order in which the clips end.

    Raises:
        VideoError: the video cannot be decoded.
    """
    moments = choose_moments(video, spans, sampling)
    requests = [FrameRequest(seconds=seconds, size=extractor.frame_size) for seconds in moments]
    for position, batch in read_frames(video, requests, only_references=sampling.frames == "references"):
        yield position, ClipFeatures(rows=extractor(batch), frame_seconds=batch.pts_seconds)


def _clips_of_folder(folder: Path) -> dict[Path, list[Clip]]:
    clips: dict[Path, list[Clip]] = {}
    for path in find_videos(folder):
        name = path.relative_to(folder).as_posix()
        clips[path] = [Clip(clip_id=name, video=name, split="all", source=name)]
    return clips


def _clips_of_dataset(dataset: Dataset) -> dict[Path, list[Clip]]:
    if dataset.videos_folder is None:
        raise DataError(
            f"dataset {dataset.name!r} names no folder of video files, so there is nothing to extract from; import it "
            "with its videos, or import features that were made elsewhere"
        )
    clips: dict[Path, list[Clip]] = {}
    for clip in dataset.iter_clips():
        clips.setdefault(dataset.videos_folder / clip.video, []).append(clip)
    if not any(path.is_file() for path in clips):
        raise DataError(
            f"none of the {len(clips)} videos of dataset {dataset.name!r} is there; the first was looked for at "
            f"{next(iter(clips))}; put the publisher's files in this folder"
        )
    return clips


def _extract_all(
    clips_by_video: dict[Path, list[Clip]],
    extractor: Extractor,
    sampling: Sampling,
    writer: FeatureWriter,
    progress: Progress,
) -> dict[str, str]:
    """Extract what the writer does not have yet, and return why clips failed, by clip id."""
    failures: dict[str, str] = {}
    total = sum(map(len, clips_by_video.values()))
    done, flushed_at = 0, monotonic()
    for video, clips in clips_by_video.items():
        todo = [clip for clip in clips if clip.clip_id not in writer]
        if todo:
            failures |= _extract_video(video, todo, extractor, sampling, writer)
        if monotonic() - flushed_at > _FLUSH_SECONDS:
            writer.flush()
            flushed_at = monotonic()
        done += len(clips)
        progress(done, total, video.name)
    return failures


def _extract_video(
    video: Path, clips: Sequence[Clip], extractor: Extractor, sampling: Sampling, writer: FeatureWriter
) -> dict[str, str]:
    try:
        with open_video(video) as opened:
            duration = opened.probe.duration_seconds
            late = [clip for clip in clips if (clip.start_seconds or 0.0) >= duration]
            inside = [clip for clip in clips if clip not in late]
            spans = [_span(clip, duration) for clip in inside]
            for position, features in clip_features(opened, spans, extractor, sampling):
                writer.add(inside[position].clip_id, features.rows, features.frame_seconds.tolist())
    except (VideoError, DataError) as error:
        return {clip.clip_id: str(error) for clip in clips if clip.clip_id not in writer}
    return {clip.clip_id: f"starts at {clip.start_seconds:g} s, but {video} ends at {duration:g} s" for clip in late}


def _span(clip: Clip, duration_seconds: float) -> Span:
    start = clip.start_seconds or 0.0
    return start, duration_seconds if clip.end_seconds is None else min(clip.end_seconds, duration_seconds)
