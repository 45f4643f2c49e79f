"""MIL-NCE's S3D network: a row is what it sees in 32 frames, 10 a second, around the row's moment (3.2 seconds).

The weights are the file `s3d_howto100m.pth` of antoine77340/S3D_HowTo100M, or one with the same names in it; its pickle
is read without running anything in it. The row is the pooled `mixed_5c`, 1024 numbers.

Shapes: B rows, F = 32 frames of a row, H = W = 224, D = 1024.
"""

from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from polyreel.errors import DataError
from polyreel.safe_pickle import ForeignTensor, open_checkpoint
from polyreel.storage import fingerprint, fingerprint_files
from polyreel.video.decode import Fit, FrameBatch, Size
from polyreel.video.extractors.batches import run_in_batches
from polyreel.video.extractors.s3d_network import DIM, S3dNetwork, fit_weights

NUM_FRAMES, FRAMES_PER_SECOND, SIDE = 32, 10, 224
VERSION = 1


class S3dExtractor:
    """S3D run with torch; row t is what it sees in the 32 frames around moment t.

    Attributes:
        source: "s3d:" and the full path of the weights.
        fingerprint: digest of the weights' bytes and of how frames are chosen.
    """

    name = "s3d"
    dim = DIM
    frame_size: Size = (SIDE, SIDE)
    fit: Fit = "crop"
    frame_offsets = tuple((i - (NUM_FRAMES - 1) / 2) / FRAMES_PER_SECOND for i in range(NUM_FRAMES))
    batch_size = 2  # more frames at a time than other networks get, and as much memory

    def __init__(self, weights: Path, *, device: str | None = None) -> None:
        """Load weights.

        Args:
            weights: a checkpoint with the names that `s3d_network` lists.
            device: where it computes, as torch calls it; None: a GPU, if there is one.

        Raises:
            DataError: the file is missing, is no checkpoint, or holds another network.
        """
        self.source = f"s3d:{weights.absolute()}"
        self._network = _load(weights)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = self._network.to(self._device).eval()
        self.fingerprint = fingerprint(
            "s3d", VERSION, fingerprint_files([weights]), NUM_FRAMES, FRAMES_PER_SECOND, SIDE
        )

    def __call__(self, batch: FrameBatch) -> npt.NDArray[np.float32]:
        """Return features `[T, 1024]` of T * 32 frames, 32 consecutive ones a row."""
        return run_in_batches(self, batch.frames)

    def run(self, frames_BFHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return features `[B, 1024]` of B rows' frames."""
        video_B3FHW = torch.from_numpy(frames_BFHW3).to(self._device).permute(0, 4, 1, 2, 3).float() / 255
        with torch.inference_mode():
            rows_BD = self._network(video_B3FHW)
        return cast("npt.NDArray[np.float32]", rows_BD.cpu().numpy())


def _load(path: Path) -> S3dNetwork:
    with open_checkpoint(path) as content:
        table = content.get("state_dict", content) if isinstance(content, dict) else {}
        weights: dict[str, Tensor] = {
            name.removeprefix("module."): torch.from_numpy(np.array(weight.numpy()))
            for name, weight in table.items()
            if isinstance(name, str) and isinstance(weight, ForeignTensor)
        }
    network = S3dNetwork()
    if faults := fit_weights(network, weights):
        raise DataError(f"{path} holds no weights of S3D: {faults[0]}, and {len(faults) - 1} more do not fit")
    return network
