"""What clips and texts go through before a network sees them: frames chosen and padded, batches of similar length.

Needs numpy alone, so a model exported to ONNX is fed exactly as the one it was exported from, without torch.

Shapes: `C` clips, `T` frames, `D` dims, `N` texts or clips.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.feature_shards import check_features
from polyreel.data.features import FeatureStore
from polyreel.errors import FingerprintError
from polyreel.models.settings import VideoSettings

Features = Sequence[npt.NDArray[np.floating]]


def frame_positions(num_frames: int, settings: VideoSettings) -> npt.NDArray[np.int64]:
    """Choose which of a clip's frames are read: all, or `max_frames` of them in rising order.

    `uniform` cuts the clip into `max_frames` equal parts and reads the frame in the middle of each.
    """
    limit = settings.max_frames
    if num_frames <= limit or settings.frame_sampling == "first":
        return np.arange(min(num_frames, limit))
    return (2 * np.arange(limit) + 1) * num_frames // (2 * limit)


def padded_frames(features: Features, settings: VideoSettings) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Choose each clip's frames and pad to the longest clip.

    Args:
        features: one matrix `[T, D]` a clip.
        settings: which frames.

    Returns:
        Frames `[C, T, D]`, zero where there is none, and the mask `[C, T]`, true where there is one.
    """
    chosen = [rows[frame_positions(len(rows), settings)] for rows in features]
    lengths = np.array([len(rows) for rows in chosen])
    video_CTD = np.zeros((len(chosen), lengths.max(), chosen[0].shape[1]), np.float32)
    for frames, rows in zip(video_CTD, chosen, strict=True):
        frames[: len(rows)] = rows
    return video_CTD, np.arange(lengths.max()) < lengths[:, None]


def by_length(lengths: npt.NDArray[np.integer], batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the positions of what is encoded together: similar lengths, so that little is padded."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def check_clips(features: Features, dim: int) -> None:
    """Refuse clips whose features a model cannot read.

    Raises:
        DataError: a matrix of another width, without rows, or with NaN.
    """
    for number, matrix in enumerate(features):
        check_features(f"#{number}", matrix, dim)


def check_store(store: FeatureStore, trained_on: FeatureSettings) -> None:
    """Refuse features a model was not trained for.

    Raises:
        FingerprintError: their extractor, its fingerprint, their width or the sampling of their frames is another.
    """
    if difference := store.settings.difference(trained_on):
        raise FingerprintError(
            f"{store.folder} holds other features than this model was trained on: {difference}; extract those, or "
            "train a model on these"
        )
