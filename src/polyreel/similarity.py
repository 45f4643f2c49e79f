"""Cosine similarity between texts and clips, and the best few of it.

Evaluation and search both rank by these functions, so that a number in a report and a score on a search page are the
same thing. Rows are texts, columns are clips, everywhere. numpy only.

Shapes: Q texts (queries), C clips, D dimensions, N rows of either, K best.
"""

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
"""One vector a row, `[N, D]`."""
Floats = npt.NDArray[np.floating]


def unit(rows_ND: Floats) -> Embeddings:
    """Scale each row to length 1; rows of zeros stay zeros.

    Args:
        rows_ND: matrix `[N, D]`.
    """
    norms_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND, dtype=np.float64))
    scaled_ND = rows_ND / np.where(norms_N > 0, norms_N, 1.0)[:, None]
    return scaled_ND.astype(np.float32)


def similarities(texts_QD: Floats, clips_CD: Floats) -> npt.NDArray[np.float32]:
    """Return cosine similarities `[Q, C]` of unit-length rows (see `unit`): `sims[q, c] = texts[q] · clips[c]`.

    Args:
        texts_QD: unit-length embeddings of texts, `[Q, D]`.
        clips_CD: unit-length embeddings of clips, `[C, D]`.

    Raises:
        ValueError: the two have different widths.
    """
    if texts_QD.shape[1] != clips_CD.shape[1]:
        raise ValueError(
            f"texts have width {texts_QD.shape[1]} and clips {clips_CD.shape[1]}; embed both with one model"
        )
    sims_QC: npt.NDArray[np.float32] = np.asarray(texts_QD, np.float32) @ np.asarray(clips_CD, np.float32).T
    return sims_QC


def top_k(sims_QC: Floats, k: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Find the k most similar clips of each text, best first; among tied clips the earlier column comes first.

    Args:
        sims_QC: similarities `[Q, C]`.
        k: how many, 1 or more; all clips where there are fewer.

    Returns:
        Columns `[Q, K]` and their similarities `[Q, K]`.

    Raises:
        ValueError: k is below 1, or a similarity is NaN.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more")
    if np.isnan(sims_QC).any():
        raise ValueError("a similarity is NaN; the embeddings it was made of are broken")
    k = min(k, sims_QC.shape[1])
    if k == 0:
        return np.empty((len(sims_QC), 0), np.int64), sims_QC
    positions_QK = np.array([_best(sims_C, k) for sims_C in sims_QC], np.int64).reshape(-1, k)
    return positions_QK, np.take_along_axis(sims_QC, positions_QK, axis=1)


def _best(sims_C: Floats, k: int) -> npt.NDArray[np.int64]:
    threshold = np.partition(sims_C, -k)[-k]
    candidates = np.flatnonzero(sims_C >= threshold)  # ascending, so a stable sort keeps tied clips in their order
    return candidates[np.argsort(-sims_C[candidates], kind="stable")][:k]
