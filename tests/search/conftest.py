"""A small encoder that honestly works, and a library it can be tried on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageColor

from polyreel.search.encoder import SearchEncoder
from polyreel.similarity import Embeddings, unit
from polyreel.storage import fingerprint
from polyreel.video.decode import FrameBatch
from polyreel.video.extractors.pixels import SIDE, PixelExtractor

WORDS = {"red": "red", "rot": "red", "green": "green", "grün": "green", "blue": "blue", "modrá": "blue"}


class ColourModel:
    """Knows colour words in three languages: a word stands where a picture of its colour does.

    Clips and words go through one random projection of the mean row of features.
    """

    extractor = "pixels"

    def __init__(self, seed: int = 0, dim: int = 48) -> None:
        self.fingerprint = fingerprint("colours", seed, dim)
        self.projection = np.random.default_rng(seed).normal(size=(PixelExtractor.dim, dim))

    def encode_clips(self, features: Sequence[np.ndarray]) -> Embeddings:
        return unit(np.stack([rows.mean(axis=0) for rows in features]) @ self.projection)

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        return unit(np.stack([self._picture_of(text) for text in texts]) @ self.projection)

    def _picture_of(self, text: str) -> np.ndarray:
        colours = [ImageColor.getrgb(WORDS[word]) for word in text.split() if word in WORDS] or [(128, 128, 128)]
        frames = np.stack([np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in colours])
        return PixelExtractor()(FrameBatch(frames=frames, pts_seconds=np.zeros(len(frames)))).mean(axis=0)


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
