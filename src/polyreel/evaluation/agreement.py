"""How alike two languages rank the same clips, where nobody knows which clip is right.

A sentence pair has no video, so recall cannot be measured of it. What can: whether the sentence in the new language
finds first what the English one finds first, how alike their whole rankings are, and whether the two sentences find
each other among the others. A model that ranks like English and is wrong where English is wrong scores full marks.

Shapes: `P` pairs, `C` clips, `D` dims.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from polyreel.evaluation.metrics import t2v_ranks
from polyreel.similarity import Embeddings
from polyreel.storage import Json

TOP = (1, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What two languages have in common over some pairs.

    Attributes:
        num_pairs: P.
        num_clips: C.
        top_1: percent of pairs whose English sentence's first clip is the other sentence's first.
        top_5: percent where it is among the other's first five.
        top_10: among its first ten.
        rank_correlation: Spearman's, of the two rankings of all clips, mean over pairs.
        text_to_text: R@1 in percent of the English sentence among all, asked by the other one.
        text_to_text_10: the same, R@10.
    """

    num_pairs: int
    num_clips: int
    top_1: float
    top_5: float
    top_10: float
    rank_correlation: float
    text_to_text: float
    text_to_text_10: float

    @classmethod
    def from_json(cls, values: Json) -> "Agreement":
        """Read what `to_json` gave."""
        assert isinstance(values, Mapping)
        numbers = {name: float(str(value)) for name, value in values.items()}
        counts = {name: int(numbers.pop(name)) for name in ("num_pairs", "num_clips")}
        return cls(**counts, **numbers)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Json]:
        """Return all figures, rounded to what a reader can use."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def agreement(english_PD: Embeddings, texts_PD: Embeddings, clips_CD: Embeddings) -> Agreement:
    """Compare how sentences and their translations rank clips, and one another.

    Args:
        english_PD: unit embeddings of the English sentences, best distinct.
        texts_PD: of the same sentences in another language.
        clips_CD: of the clips.
    """
    theirs_PC, ours_PC = english_PD @ clips_CD.T, texts_PD @ clips_CD.T
    of_clips = t2v_ranks(ours_PC, theirs_PC.argmax(axis=1))
    of_texts = t2v_ranks(texts_PD @ english_PD.T, np.arange(len(texts_PD)))
    recalls = [100 * float(of_clips.recall(k).mean()) for k in TOP]
    return Agreement(
        num_pairs=len(texts_PD),
        num_clips=len(clips_CD),
        top_1=recalls[0],
        top_5=recalls[1],
        top_10=recalls[2],
        rank_correlation=float(_spearman(theirs_PC, ours_PC).mean()),
        text_to_text=100 * float(of_texts.recall(1).mean()),
        text_to_text_10=100 * float(of_texts.recall(10).mean()),
    )


def _spearman(one_PC: Embeddings, other_PC: Embeddings) -> Embeddings:
    """Correlation of the ranks of each row; ties, which floats hardly have, are broken by position."""
    ranks = [matrix.argsort(axis=1, kind="stable").argsort(axis=1).astype(np.float64) for matrix in (one_PC, other_PC)]
    first, second = (rank - (rank.shape[1] - 1) / 2 for rank in ranks)
    correlation: Embeddings = (first * second).sum(axis=1) / np.maximum((first * first).sum(axis=1), 1e-12)
    return correlation
