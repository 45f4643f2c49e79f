"""Batches: which clips a step sees, and which caption of each, in every language.

Captions are tokenised once, before training, and kept as one ragged array a language. A batch is only positions into
these arrays, so drawing one costs a few random numbers. "Sentences" are caption ids: a sentence and its translations
share one, and the teachers' embeddings are kept by sentence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np
import numpy.typing as npt

from polyreel.data.mapped import Ints, Texts
from polyreel.models.tokens import Tokens

Sampling = Literal["independent", "parallel"]


@dataclass(frozen=True, kw_only=True)
class LangCaptions:
    """All training captions of one language, ordered by clip.

    Attributes:
        first_row: where this language's captions begin in the table's tokens.
        sentence_Q: number of each caption's sentence.
        first_C: captions of clip c are rows first_C[c] to first_C[c + 1].
        cumulative_weight_Q: running sum of caption weights, from which a caption is drawn.
        row_of_sentence_S: the caption of each sentence, -1 where this language lacks it.
    """

    first_row: int
    sentence_Q: Ints
    first_C: Ints
    cumulative_weight_Q: npt.NDArray[np.float64]
    row_of_sentence_S: Ints


@dataclass(frozen=True, kw_only=True)
class CaptionTable:
    """The training captions of all languages.

    Attributes:
        clip_ids: the clips, in dataset order.
        sentence_ids: caption ids, numbered by position, ordered by clip.
        first_sentence_C: sentences of clip c are first_sentence_C[c] to first_sentence_C[c + 1].
        tokens: one ragged row a caption, language after language.
        weight_N: of each caption, in the order of the tokens' rows.
        by_lang: captions by language code.
    """

    clip_ids: Texts
    sentence_ids: Texts
    first_sentence_C: Ints
    tokens: Tokens
    weight_N: npt.NDArray[np.float32]
    by_lang: dict[str, LangCaptions]


@dataclass(frozen=True, kw_only=True)
class LangRows:
    """One language's part of a batch: R captions.

    Attributes:
        rows_R: captions, as positions in the table's tokens.
        columns_R: which of the batch's clips each describes.
        sentences_R: the number of each caption's sentence.
    """

    rows_R: Ints
    columns_R: Ints
    sentences_R: Ints


@dataclass(frozen=True, kw_only=True)
class PairRows:
    """One language's sentence pairs of a step: P of them, none with a video.

    Attributes:
        rows_P: the sentences in that language, as positions in the tokens, behind all captions.
        english_P: the same sentences in the teachers' language, likewise.
        bank_rows_P: their rows in the bank of pairs.
    """

    rows_P: Ints
    english_P: Ints
    bank_rows_P: Ints


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The clips that a step's sentences are compared with beyond the batch: the batch's own, then others; S in all.

    Attributes:
        step: number of the step, from 0.
        others_T: clips outside the batch, as positions in the bank.
        log_weights_S: logarithm of how many clips each stands for, the batch's first.
    """

    step: int
    others_T: Ints
    log_weights_S: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ParallelBatch:
    """B distinct clips, at most one caption of each in every language, and what is looked at beyond them.

    Attributes:
        clips_B: the clips.
        by_lang: the captions by language code.
        pairs: sentence pairs by language code.
        candidates: clips that sentences are compared with beyond these; None: none.
    """

    clips_B: Ints
    by_lang: dict[str, LangRows]
    pairs: dict[str, PairRows] = field(default_factory=dict)
    candidates: Candidates | None = None

    @property
    def rows_N(self) -> Ints:
        """The captions of all languages, language after language, then the pairs' sentences likewise."""
        captions = [part.rows_R for part in self.by_lang.values()]
        return np.concatenate([*captions, *(part.rows_P for part in self.pairs.values())])


def sample_batches(
    table: CaptionTable,
    size: int,
    sampling: Sampling,
    *,
    seed: int,
    first_step: int = 0,
) -> Iterator[ParallelBatch]:
    """Draw batches for ever: each epoch is a new order of the clips that have a caption, each clip once.

    The incomplete rest of an epoch is left out. Fewer clips than `size` make one batch of all.

    Args:
        table: the captions.
        size: distinct clips in a batch.
        sampling: "independent": each language draws one of the clip's captions it has, by weight; "parallel": one
            sentence a clip for all languages, absent where a language lacks it.
        seed: with the step, determines the batch; nothing else does.
        first_step: number of the first batch to give, from 0.
    """
    clips = np.flatnonzero(np.diff(table.first_sentence_C) > 0)
    size = min(size, len(clips))
    first_epoch, skipped = divmod(first_step, steps_per_epoch(table, size))
    for epoch in count(first_epoch):
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(clips)
        for start in range(0, len(order) - size + 1, size):
            clips_B = order[start : start + size]
            batch = ParallelBatch(clips_B=clips_B, by_lang=_draw_captions(table, clips_B, sampling, generator))
            if epoch > first_epoch or start >= skipped * size:
                yield batch


def steps_per_epoch(table: CaptionTable, size: int) -> int:
    """Return how many batches `sample_batches` makes of one pass over the clips."""
    num_clips = int((np.diff(table.first_sentence_C) > 0).sum())
    return max(1, num_clips // min(size, num_clips))


def _draw_captions(
    table: CaptionTable, clips_B: Ints, sampling: Sampling, generator: np.random.Generator
) -> dict[str, LangRows]:
    if sampling == "independent":
        return {lang: _draw(captions, clips_B, generator) for lang, captions in table.by_lang.items()}
    first_B = table.first_sentence_C[clips_B]
    count_B = table.first_sentence_C[clips_B + 1] - first_B
    sentence_B = first_B + (generator.random(len(clips_B)) * count_B).astype(np.int64)
    return {lang: _look_up(captions, sentence_B) for lang, captions in table.by_lang.items()}


def _draw(captions: LangCaptions, clips_B: Ints, generator: np.random.Generator) -> LangRows:
    first_B, end_B = captions.first_C[clips_B], captions.first_C[clips_B + 1]
    draw_B = generator.random(len(clips_B))
    columns_R = np.flatnonzero(end_B > first_B)
    first_R, end_R = first_B[columns_R], end_B[columns_R]
    below_R = np.where(first_R > 0, captions.cumulative_weight_Q[first_R - 1], 0.0)
    target_R = below_R + draw_B[columns_R] * (captions.cumulative_weight_Q[end_R - 1] - below_R)
    rows_R = np.searchsorted(captions.cumulative_weight_Q, target_R, side="right").clip(first_R, end_R - 1)
    return LangRows(rows_R=captions.first_row + rows_R, columns_R=columns_R, sentences_R=captions.sentence_Q[rows_R])


def _look_up(captions: LangCaptions, sentence_B: Ints) -> LangRows:
    rows_B = captions.row_of_sentence_S[sentence_B]
    columns_R = np.flatnonzero(rows_B >= 0)
    rows_R = captions.first_row + rows_B[columns_R]
    return LangRows(rows_R=rows_R, columns_R=columns_R, sentences_R=sentence_B[columns_R])
