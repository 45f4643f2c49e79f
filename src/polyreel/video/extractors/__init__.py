"""What turns frames into features, by name.

A new one is a class in a file beside this one and a line in `open_extractor`. Anyone's class fits that has what
`Extractor` lists; nothing needs to be inherited.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polyreel.video.decode import FrameBatch, Size


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
        """Return one row a frame, `[T, D]`; `batch` holds the frames of one clip in their order."""


def open_extractor(name: str) -> Extractor:
    """Open an extractor by name.

    Args:
        name: "pixels" (no weights, runs anywhere), or "onnx:PATH/model.onnx" (an image network in an ONNX file).

    Raises:
        ValueError: there is none of this name.
        DataError: the file it names is missing or cannot be used.
    """
    if name == "pixels":
        from polyreel.video.extractors.pixels import PixelExtractor

        return PixelExtractor()
    kind, _, path = name.partition(":")
    if kind == "onnx" and path:
        from polyreel.video.extractors.onnx import OnnxExtractor

        return OnnxExtractor(Path(path))
    raise ValueError(f"there is no extractor {name!r}; expected 'pixels' or 'onnx:PATH/model.onnx'")
