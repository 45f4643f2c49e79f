"""How right an index's answers are: the share of the exact ten best that a search finds."""

from dataclasses import dataclass

import numpy as np

from polyreel.search.index import Index
from polyreel.search.queries import captions_like
from polyreel.similarity import Embeddings

_K, _NEAR_TIE = 10, 1e-4
_VIDEOS = 100


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What comparing searches with exact ones showed.

    Attributes:
        recall: share of the ten best found; a clip whose score is within 1e-4 of the tenth counts as one of them.
        num_queries: how many searches were compared.
        num_clips: how many clips the index has.
        asked: what was asked: "captions" of the model's query bank, or "clips" of the index where there is none.
    """

    recall: float
    num_queries: int
    num_clips: int
    asked: str


def verify(index: Index, num_queries: int = 100) -> Verification:
    """Compare searches with exact ones, which look at every clip and may take seconds each in a large index.

    Args:
        index: what is asked.
        num_queries: how many searches at most.
    """
    captions_ND = captions_like(lambda: index.encoder)
    queries_QD = _some_clips(index) if captions_ND is None else captions_ND
    queries_QD = queries_QD[:: max(1, len(queries_QD) // num_queries)][:num_queries]
    shares = [_share_found(index, query_D) for query_D in queries_QD]
    return Verification(
        recall=float(np.mean(shares)) if shares else 1.0,
        num_queries=len(shares),
        num_clips=len(index),
        asked="clips" if captions_ND is None else "captions",
    )


def _share_found(index: Index, query_D: Embeddings) -> float:
    exact, found = (
        [float(str(row["_score"])) for row in index.store.nearest(query_D, _K, None, is_exact=is_exact)]
        for is_exact in (True, False)
    )
    return sum(score >= exact[-1] - _NEAR_TIE for score in found) / len(exact) if exact else 1.0


def _some_clips(index: Index) -> Embeddings:
    videos = sorted(index.file_stamps())
    chosen = videos[:: max(1, len(videos) // _VIDEOS)][:_VIDEOS]
    rows = [sequence.embeddings_ND[:1] for sequence in index.sequences(chosen)]
    return np.concatenate(rows) if rows else np.empty((0, index.header.dim), np.float32)
