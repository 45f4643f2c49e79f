"""A small dataset in three languages, and a model that finds its clips more or less well."""

import hashlib

import numpy as np

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.similarity import unit

DIM = 12


class NoisyReader:
    """Reads a text "LANG clip NUMBER ..." as that clip's features, with as much noise as its language has."""

    fingerprint = "f" * 24

    def __init__(self, noise, seed=0):
        self.noise, self.seed = noise, seed

    def encode_text(self, texts):
        return unit(np.stack([self._read(text) for text in texts]))

    def encode_clips(self, features):
        return unit(np.stack([rows.mean(axis=0) for rows in features]))

    def check_features(self, store):
        assert store.extractor == "toy"

    def _read(self, text):
        digest = hashlib.blake2b(f"{self.seed}{text}".encode(), digest_size=4).digest()
        drawn = np.random.default_rng(list(digest)).standard_normal(DIM)
        lang, _, number = text.split()[:3]
        return clip_vector(int(number)) + self.noise[lang] * drawn


def clip_vector(number):
    return np.random.default_rng(number).standard_normal(DIM)


def toy_dataset(num_clips=24):
    clips = [
        Clip(clip_id=f"c{i}", video=f"v{i}.mp4", split="test" if i % 4 else "train", source=f"source {i // 2}")
        for i in range(num_clips)
    ]
    captions = [
        Caption(caption_id=f"c{i}#{j}", clip_id=f"c{i}", lang=lang, text=f"{lang} clip {i} sentence {j}", origin=origin)
        for i in range(num_clips)
        for j in range(2)
        for lang, origin in (("en", "human"), ("de", "machine-translated"), ("sw", "machine-translated"))
        if lang != "sw" or (i % 3 and j == 0)
    ]
    return Dataset.build("toy", clips, captions, has_publisher_splits=True)
