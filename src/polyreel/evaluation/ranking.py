"""Ranks of embeddings, both ways in one pass, tile by tile: similarities are never all in memory at once.

Only counts are kept: how many candidates score above the right one and how many the same, so nothing is sorted. Two
similarities that differ by no more than `TIE` are the same: matrix products add up in another order at another place
of the matrix, so that even equal embeddings come out unlike in the last digit, and a model that says the same of
everything would otherwise be ranked by noise.

The same pass runs in numpy, or in torch on a device.

Shapes: `Q` texts, `C` clips, `D` dims, `I` texts of a tile, `J` clips of a tile.
"""

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError
from polyreel.evaluation.metrics import Counted, Direction, OwnTexts, Ranks, ranks_of_texts
from polyreel.evaluation.names import Labels, Names
from polyreel.similarity import Embeddings

TIE = 2.0**-19  # 2e-6: some five times the rounding of a cosine in single precision
TILE_TEXTS, TILE_CLIPS = 1024, 4096  # 16 MB of similarities
_STRIP = 128  # texts compared at once, so that their similarities stay in a processor's cache; below 256, see below

Floats32: TypeAlias = npt.NDArray[np.float32]
Counts64: TypeAlias = npt.NDArray[np.int64]
Limits: TypeAlias = tuple[Floats32, Floats32, Floats32, Floats32]
Counted4: TypeAlias = tuple[Counts64, Counts64, Counts64, Counts64]


def rank_embeddings(
    texts_QD: Embeddings,
    clips_CD: Embeddings,
    clip_of_query: npt.ArrayLike,
    *,
    query_ids: Labels | None = None,
    clip_ids: Labels | None = None,
    sources: Labels | None = None,
    counted: Counted = "best",
    device: str = "cpu",
) -> dict[Direction, Ranks]:
    """Rank all clips for every text, and all texts for every clip that has one.

    Args:
        texts_QD: rows of unit length; longer ones are ranked by dot product.
        clips_CD: the same.
        clip_of_query: the right clip of each text, `[Q]`.
        query_ids: names of the texts; their numbers by default.
        clip_ids: names of the clips; their numbers by default.
        sources: the source video of each clip; the clip itself by default.
        counted: which of a clip's own texts is waited for.
        device: "cpu" counts in numpy; any other is a device of torch.

    Raises:
        DataError: an embedding is not finite; the message names it.
        ValueError: the arguments' shapes do not fit.
    """
    names = Names.of((len(texts_QD), len(clips_CD)), clip_of_query, query_ids, clip_ids, sources)
    scale = longest(texts_QD, names.query_ids, "text") * longest(clips_CD, names.clip_ids, "clip")
    tie = np.float32(TIE * max(1.0, scale))
    right_Q = _own_similarities(texts_QD, clips_CD, names.own_Q)
    own = OwnTexts.of(right_Q, names, float(tie), counted)
    has_none = own.num_right_C == 0
    wanted_C = np.where(has_none, np.float32(np.inf), own.counted_C).astype(np.float32)
    limits = (right_Q + tie, right_Q - tie, wanted_C + tie, wanted_C - tie)
    count = count_in_numpy if device == "cpu" else partial(count_in_torch, device=device)
    better_Q, reaching_Q, better_C, reaching_C = count(texts_QD, clips_CD, limits)
    return {
        "t2v": ranks_of_texts(names, better_Q, reaching_Q - better_Q - 1),
        "v2t": own.ranks(better_C, reaching_C - better_C, names),
    }


def longest(rows_ND: Embeddings, ids: npt.NDArray[np.str_], what: str) -> float:
    """Return the greatest length of a row; similarities are as exact as the product of two of them allows.

    Raises:
        DataError: an embedding holds NaN or infinity, or is so long that similarities would; names the first.
    """
    lengths_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND))
    wrong = np.flatnonzero(~np.isfinite(lengths_N))
    if len(wrong):
        raise DataError(
            f"the embedding of {what} {str(ids[wrong[0]])!r} has length {lengths_N[wrong[0]]}; expected finite numbers "
            f"and unit length; so have {len(wrong)} of {len(rows_ND)}; the model or its features may hold NaN"
        )
    return float(lengths_N.max(initial=0))


def count_in_numpy(texts_QD: Embeddings, clips_CD: Embeddings, limits: Limits) -> Counted4:
    """Count the similarities above two limits a text, by row, and above two limits a clip, by column.

    Args:
        texts_QD: rows of unit length.
        clips_CD: rows of unit length.
        limits: two of texts, `[Q]`; the first is exceeded, the second is reached. Then two of clips, `[C]`, likewise.

    Returns:
        The counts, in the order of the limits.
    """
    above_Q, from_Q, above_C, from_C = limits
    counts = tuple(np.zeros(len(limit), np.int64) for limit in limits)
    tile_IJ = np.empty((min(TILE_TEXTS, len(texts_QD)), min(TILE_CLIPS, len(clips_CD))), np.float32)
    for rows, columns in _tiles(len(texts_QD), len(clips_CD), TILE_TEXTS, TILE_CLIPS):
        block_ID, others_JD = texts_QD[rows], clips_CD[columns]
        sims_IJ = np.matmul(block_ID, others_JD.T, out=tile_IJ[: len(block_ID), : len(others_JD)])
        mask_IJ = np.empty((_STRIP, len(others_JD)), np.bool_)
        for start in range(0, len(sims_IJ), _STRIP):
            strip_IJ = sims_IJ[start : start + _STRIP]
            texts = slice(rows.start + start, rows.start + start + len(strip_IJ))
            mask = mask_IJ[: len(strip_IJ)]
            counts[0][texts] += _by_row(np.greater(strip_IJ, above_Q[texts, None], out=mask))
            counts[1][texts] += _by_row(np.greater_equal(strip_IJ, from_Q[texts, None], out=mask))
            counts[2][columns] += _by_column(np.greater(strip_IJ, above_C[columns], out=mask))
            counts[3][columns] += _by_column(np.greater_equal(strip_IJ, from_C[columns], out=mask))
    return counts[0], counts[1], counts[2], counts[3]


def count_in_torch(texts_QD: Embeddings, clips_CD: Embeddings, limits: Limits, device: str) -> Counted4:
    """Count what `count_in_numpy` counts, on a device of torch."""
    import torch

    texts, clips = torch.from_numpy(texts_QD).to(device), torch.from_numpy(clips_CD).to(device)
    above_Q, from_Q, above_C, from_C = (torch.from_numpy(limit).to(device) for limit in limits)
    counts = [torch.zeros(len(limit), dtype=torch.int64, device=device) for limit in limits]
    for rows, columns in _tiles(len(texts_QD), len(clips_CD), 4 * TILE_TEXTS, 4 * TILE_CLIPS):
        sims_IJ = texts[rows] @ clips[columns].T
        counts[0][rows] += (sims_IJ > above_Q[rows, None]).sum(dim=1)
        counts[1][rows] += (sims_IJ >= from_Q[rows, None]).sum(dim=1)
        counts[2][columns] += (sims_IJ > above_C[columns]).sum(dim=0)
        counts[3][columns] += (sims_IJ >= from_C[columns]).sum(dim=0)
    found = [count.cpu().numpy() for count in counts]
    return found[0], found[1], found[2], found[3]


def _own_similarities(texts_QD: Embeddings, clips_CD: Embeddings, own_Q: Counts64) -> Floats32:
    right_Q = np.empty(len(texts_QD), np.float32)
    for start in range(0, len(texts_QD), TILE_TEXTS):
        rows = slice(start, start + TILE_TEXTS)
        right_Q[rows] = np.einsum("qd,qd->q", texts_QD[rows], clips_CD[own_Q[rows]])
    return right_Q


def _tiles(num_texts: int, num_clips: int, of_texts: int, of_clips: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, num_texts, of_texts):
        for column in range(0, num_clips, of_clips):
            yield slice(row, row + of_texts), slice(column, column + of_clips)


def _by_row(mask_IJ: npt.NDArray[np.bool_]) -> Counts64:
    return np.array([np.count_nonzero(row) for row in mask_IJ], np.int64)  # several times faster than sum(axis=1)


def _by_column(mask_IJ: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.asarray(np.add.reduce(mask_IJ.view(np.uint8), axis=0, dtype=np.uint8))  # a strip has below 256 rows
