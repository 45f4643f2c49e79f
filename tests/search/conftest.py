"""A small encoder that honestly works, and a library it can be tried on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from colour_model import ColourModel
from PIL import ImageColor

from polyreel.search.encoder import SearchEncoder
from polyreel.video.extractors.pixels import PixelExtractor


@pytest.fixture
def encoder() -> SearchEncoder:
    return SearchEncoder(model=ColourModel(), extractor=PixelExtractor())


@pytest.fixture
def other_encoder() -> SearchEncoder:
    return SearchEncoder(model=ColourModel(seed=1), extractor=PixelExtractor())


@pytest.fixture
def paint(write_video: Callable[..., Path]) -> Callable[..., Path]:
    """Write a video that shows one colour after another, each for so many seconds."""

    def write(path: Path, *colours: str, seconds_each: float = 4.0) -> Path:
        frames = [np.full((32, 32, 3), ImageColor.getrgb(colour), np.uint8) for colour in colours]
        times = [i * seconds_each + step for i in range(len(frames)) for step in (0, seconds_each - 0.04)]
        return write_video(path, np.repeat(frames, 2, axis=0), times)

    return write


@pytest.fixture
def library(tmp_path: Path, paint: Callable[..., Path]) -> Path:
    """Three videos: a short red one, a green one, and one that is red and then blue."""
    folder = tmp_path / "library"
    paint(folder / "red.mp4", "red", seconds_each=2.0)
    paint(folder / "it's green.mp4", "green")
    paint(folder / "more" / "both.mp4", "red", "blue")
    return folder
