"""Small networks for tests of a run: real extractors, whose rows can be told by hand."""

import time

import numpy as np

from polyreel.video.decode import FrameBatch
from polyreel.video.extractors.batches import run_in_batches


class Means:
    """The mean colour of a frame; it remembers how large the batches were."""

    name = "means"
    source = "means"
    fingerprint = "1"
    dim = 3
    frame_size = (8, 8)
    fit = "squeeze"
    frame_offsets: tuple[float, ...] = (0.0,)
    batch_size = 5

    def __init__(self, seconds_a_batch: float = 0.0) -> None:
        self.batches: list[int] = []
        self._seconds = seconds_a_batch

    def __call__(self, batch: FrameBatch) -> np.ndarray:
        return run_in_batches(self, batch.frames)

    def run(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(self._seconds)
        self.batches.append(len(frames))
        return frames.mean(axis=(1, 2, 3), dtype=np.float32)


class Rises(Means):
    """How much the green of three frames, 0.2 seconds apart, rises from the first to the last."""

    name = "rises"
    fingerprint = "2"
    dim = 1
    frame_offsets = (-0.2, 0.0, 0.2)

    def run(self, frames: np.ndarray) -> np.ndarray:
        self.batches.append(len(frames))
        green = frames[..., 1].mean(axis=(2, 3), dtype=np.float32)
        return green[:, 2:] - green[:, :1]


class Broken(Means):
    """Gives no number for light frames."""

    name = "broken"
    fingerprint = "3"

    def run(self, frames: np.ndarray) -> np.ndarray:
        rows = super().run(frames)
        return np.where(rows > 150, np.nan, rows).astype(np.float32)
