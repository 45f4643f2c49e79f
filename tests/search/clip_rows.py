"""Clips without videos, for tests of what keeps and finds them."""

import numpy as np

from polyreel.search.rows import IndexedClip
from polyreel.similarity import Embeddings, unit


def some_clips(*videos: str, clips_each: int = 1, stamp: str = "one") -> list[IndexedClip]:
    return [
        IndexedClip(
            clip_id=f"{video}#{4 * i}", video=video, start_seconds=4 * i, end_seconds=4 * i + 4, file_stamp=stamp
        )
        for video in videos
        for i in range(clips_each)
    ]


def some_embeddings(num_clips: int, dim: int = 48, seed: int = 0) -> Embeddings:
    return unit(np.random.default_rng(seed).normal(size=(num_clips, dim)))
