"""Running a network on one clip in batches that are always full, as a run over many files does.

A network's numbers depend, in their last digits, on how many rows are computed at a time. So a batch always has the
same size, and where rows are lacking it is filled up with black frames whose rows are thrown away.

Shapes: B rows of a batch, F frames of a row, T rows of a clip, H height, W width, D width of a row.
"""

import numpy as np
import numpy.typing as npt

from polyreel.video.extractors import Network


def run_in_batches(network: Network, frames_NHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return rows `[T, D]` of T * F frames, F consecutive ones a row.

    Raises:
        ValueError: the number of frames is no multiple of F.
    """
    frames_per_row, batch_size = len(network.frame_offsets), network.batch_size
    num_rows, rest = divmod(len(frames_NHW3), frames_per_row)
    if rest:
        raise ValueError(f"{len(frames_NHW3)} frames; {network.name} makes a row of {frames_per_row} frames each")
    frames_TFHW3 = frames_NHW3.reshape(num_rows, frames_per_row, *frames_NHW3.shape[1:])
    parts = []
    for first in range(0, num_rows, batch_size):
        part_BFHW3 = frames_TFHW3[first : first + batch_size]
        parts.append(network.run(filled_up(part_BFHW3, batch_size))[: len(part_BFHW3)])
    return np.concatenate(parts)


def filled_up(frames_BFHW3: npt.NDArray[np.uint8], batch_size: int) -> npt.NDArray[np.uint8]:
    """Add black frames until there are those of `batch_size` rows."""
    lacking = batch_size - len(frames_BFHW3)
    if lacking == 0:
        return frames_BFHW3
    black = np.zeros((lacking, *frames_BFHW3.shape[1:]), np.uint8)
    return np.concatenate([frames_BFHW3, black])
