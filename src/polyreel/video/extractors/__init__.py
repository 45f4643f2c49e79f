"""What turns frames into features, by name.

A new one is a class in a file beside this one and a line in `open_extractor`. Anyone's class fits that has what
`Extractor` lists; nothing needs to be inherited. A network, whose rows know nothing of one another, offers what
`Network` lists too: then rows of several clips and files share its batches, which are always full.

Shapes: B rows of a batch, F frames that a row is made of, T rows of a clip, H height, W width, D width of a row.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from polyreel.errors import saying_which_extra
from polyreel.video.decode import Fit, FrameBatch, Size

KINDS = "'pixels', 'onnx:PATH/model.onnx', 'clip:MODEL', 'clip-bf16:MODEL' or 's3d:PATH/s3d_howto100m.pth'"


class Extractor(Protocol):
    """Turns frames into rows of numbers."""

    @property
    def name(self) -> str:
        """What feature stores and models call it; part of a folder's name, so without slashes."""

    @property
    def source(self) -> str:
        """What `open_extractor` takes to open the same one again, from any folder."""

    @property
    def fingerprint(self) -> str:
        """Digest of its weights and settings: two with the same give the same rows."""

    @property
    def dim(self) -> int:
        """Width D of a row."""

    @property
    def frame_size(self) -> Size:
        """Width and height of the frames it wants."""

    def __call__(self, batch: FrameBatch) -> npt.NDArray[np.float32]:
        """Return features `[T, D]`; `batch` holds the frames of one clip in their order, F consecutive ones a row."""


@runtime_checkable
class Network(Extractor, Protocol):
    """An extractor whose rows know nothing of one another, so that those of several files can share a batch."""

    @property
    def fit(self) -> Fit:
        """How frames come into `frame_size`."""

    @property
    def frame_offsets(self) -> tuple[float, ...]:
        """When the F frames of a row are shown, seconds around the row's moment, ascending; (0.0,) is one frame."""

    @property
    def batch_size(self) -> int:
        """How many rows B it makes at a time; numbers depend on it in their last digits, so it is always the same."""

    def run(self, frames_BFHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return rows `[B, D]` of exactly `batch_size` rows' frames; may be called by several threads at a time."""


def open_extractor(name: str, device: str | None = None) -> Extractor:
    """Open an extractor by name.

    Args:
        name: "pixels" (no weights, runs anywhere); "onnx:PATH/model.onnx" (an image network in an ONNX file);
            "clip:MODEL" (the image tower of CLIP, SigLIP, MetaCLIP 2 or another model of their kind, a hub name or a
            folder), "clip-bf16:MODEL" (the same in half the bytes); "s3d:PATH" (MIL-NCE's S3D, weights of 2020).
        device: where those of torch compute, as torch calls it; None: a GPU, if there is one.

    Raises:
        ValueError: there is none of this name.
        DataError: what it names is missing or cannot be used.
        MissingExtraError: it needs torch, and torch is not installed.
    """
    kind, _, where = name.partition(":")
    if name == "pixels":
        from polyreel.video.extractors.pixels import PixelExtractor

        return PixelExtractor()
    if kind == "onnx" and where:
        from polyreel.video.extractors.onnx import OnnxExtractor

        return OnnxExtractor(Path(where))
    if kind in ("clip", "clip-bf16") and where:
        with saying_which_extra("the extractor 'clip'"):
            from polyreel.video.extractors.clip import ClipExtractor

        return ClipExtractor(where, precision="bfloat16" if kind == "clip-bf16" else "float32", device=device)
    if kind == "s3d" and where:
        with saying_which_extra("the extractor 's3d'"):
            from polyreel.video.extractors.s3d import S3dExtractor

        return S3dExtractor(Path(where), device=device)
    raise ValueError(f"there is no extractor {name!r}; expected {KINDS}")
