"""A model in a folder, untrained."""

from polyreel.data.feature_settings import Sampling
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.pixels import PixelExtractor


def small_retriever(embed_dim: int) -> Retriever:
    """Of the pixels of videos, and of words that say little."""
    return Retriever.build(
        TextSettings(width=8, vocab_size=60),
        VideoSettings(pooling="mean"),
        feature_settings(PixelExtractor(), Sampling()),
        embed_dim=embed_dim,
        langs=["en"],
        training_texts=["a red video", "a blue video"],
    )
