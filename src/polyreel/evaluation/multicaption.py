"""Several captions of one clip: what counts as one query, and when it is answered.

| how | a query is | it is found when |
| --- | --- | --- |
| each | a caption | its clip is |
| any | a clip | the best of its captions finds it; the best of them is found |
| all | a clip | the worst of its captions finds it; the worst of them is found |
| average | a clip, asked by the mean of its captions' embeddings | the clip is; that mean is |

The first half of the last column is text to video, the second video to text, where "each" counts like "any".

Shapes: `Q` captions, `C` clips, `D` dims.
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from polyreel.evaluation.metrics import Counted, Ranks
from polyreel.similarity import Embeddings, unit

Captions = Literal["each", "any", "all", "average"]
CAPTIONS: tuple[Captions, ...] = get_args(Captions)


def counted_text(captions: Captions) -> Counted:
    """Return which of a clip's own texts is waited for when texts are ranked for it."""
    return "worst" if captions == "all" else "best"


def as_queries(ranks: Ranks, captions: Captions) -> tuple[Ranks, npt.NDArray[np.int64]]:
    """Make the ranks of captions (t2v) those of queries.

    Returns:
        The ranks, and the row of the caption each of them is taken from.
    """
    if captions in ("each", "average"):
        return ranks, np.arange(len(ranks))
    mean_Q = ranks.mean_rank()
    order = np.argsort(mean_Q if captions == "any" else -mean_Q, kind="stable")
    _, first = np.unique(ranks.clip_ids[order], return_index=True)
    rows = np.sort(order[first])
    chosen = replace(
        ranks,
        query_ids=ranks.clip_ids[rows],
        clip_ids=ranks.clip_ids[rows],
        sources=ranks.sources[rows],
        num_better=ranks.num_better[rows],
        num_tied_wrong=ranks.num_tied_wrong[rows],
        num_tied_right=ranks.num_tied_right[rows],
        num_right=ranks.num_right[rows],
    )
    return chosen, rows


def one_text_a_clip(texts_QD: Embeddings, own_Q: npt.NDArray[np.int64]) -> tuple[Embeddings, npt.NDArray[np.int64]]:
    """Return the mean of each clip's captions, scaled to length 1, and the clip of each, in the order of the clips."""
    clips, place_Q = np.unique(own_Q, return_inverse=True)
    sums_CD = np.zeros((len(clips), texts_QD.shape[1]))
    np.add.at(sums_CD, place_Q, texts_QD)
    return unit(sums_CD), clips
