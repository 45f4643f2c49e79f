"""A model that honestly works, and needs no training."""

from collections.abc import Sequence

import numpy as np
from PIL import ImageColor

from polyreel.data.feature_settings import Sampling
from polyreel.similarity import Embeddings, unit
from polyreel.storage import fingerprint
from polyreel.video.decode import FrameBatch
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.pixels import SIDE, PixelExtractor

EVERY_SECOND = Sampling()
WORDS = {"red": "red", "rot": "red", "green": "green", "grün": "green", "blue": "blue", "modrá": "blue"}


class ColourModel:
    """Knows colour words in three languages: a word stands where a picture of its colour does.

    Clips and words go through one random projection of the mean row of features.
    """

    langs = ("en", "de", "cs")

    def __init__(self, seed: int = 0, dim: int = 48, sampling: Sampling = EVERY_SECOND) -> None:
        self.features = feature_settings(PixelExtractor(), sampling)
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
