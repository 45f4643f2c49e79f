"""Examination: what several systems answered to each query, clip by clip, so that people see why a figure is as it is.

A report keeps where the right clip stood; here stand the best few clips of every system, and what every other system
thinks of them. A teacher may read the parallel English sentence while a student reads the query, as in distillation.

Shapes: `S` systems, `Q` queries, `C` clips, `N` answers kept: of each query, those any system puts first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.evaluation.metrics import Counts, Floats, Metric, Sims, t2v_ranks
from polyreel.evaluation.report import Encoder
from polyreel.progress import Progress, silent
from polyreel.similarity import similarities, top_k

NUM_KEPT = 10
MAX_QUERIES = 10_000
_SEED = 20240501


@dataclass(frozen=True, kw_only=True)
class Examinee:
    """A system that is asked.

    Attributes:
        name: what the page calls it.
        model: what answers.
        features: the clips' features it reads.
        reads: language of the parallel sentence it is given instead of the query; None: the query itself.
    """

    name: str
    model: Encoder
    features: FeatureStore
    reads: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """What the systems answered.

    Attributes:
        names: of the systems.
        reads: language of the sentence each was given instead of the query; None: the query itself.
        metric: which recall `recall_SQ` is.
        clips: one row a clip: the dataset's table of the split.
        queries: one row a query: the dataset's captions, language by language.
        num_left_out: queries of the split that were not asked, because there are too many for one page.
        ranks_SQ: rank of the right clip, ties by chance; NaN where a system had nothing to read.
        recall_SQ: what each query adds to the metric, in percent; NaN likewise.
        offsets: int64 `[Q + 1]`; the answers to query q are those from `offsets[q]` to `offsets[q + 1]`.
        clips_N: the clip of each answer, a row of `clips`; the right one is always among them.
        sims_SN: what each system scores it with; NaN likewise.
    """

    names: tuple[str, ...]
    reads: tuple[str | None, ...]
    metric: Metric
    clips: pa.Table
    queries: pa.Table
    num_left_out: int
    ranks_SQ: Floats
    recall_SQ: Floats
    offsets: npt.NDArray[np.int64]
    clips_N: Counts
    sims_SN: Sims


def examine(
    examinees: Sequence[Examinee],
    dataset: Dataset,
    *,
    split: str = "test",
    langs: Sequence[str] | None = None,
    metric: Metric = "R@10",
    max_queries: int = MAX_QUERIES,
    progress: Progress = silent,
) -> Examination:
    """Ask every system every query of a split, and keep the best clips of each with the scores of all.

    Args:
        examinees: the systems, first the one to look at.
        dataset: where the split is taken from.
        split: which clips.
        langs: languages to ask in; all by default.
        metric: a recall, for the page's slices.
        max_queries: where there are more, whole sentences are drawn at random, each with all its translations.
        progress: told after every language.

    Raises:
        DataError: no system, two of one name, no captions to ask, or a clip without features.
    """
    names = [one.name for one in examinees]
    if not names or len(set(names)) < len(names):
        raise DataError(f"the systems to examine are {', '.join(names) or '(none)'}; expected one or more, named apart")
    whole = dataset.split(split)
    wanted = whole.in_langs(langs or whole.langs)
    data = _drawn(wanted, max_queries)
    if not data.captions.num_rows:
        raise DataError(
            f"split {split!r} of {dataset.name!r} has no captions in {', '.join(langs or ['any language'])}"
        )
    clips_of = [_clips(one, data.clip_ids) for one in examinees]
    parts = []
    for done, lang in enumerate(data.langs):
        progress(done, len(data.langs), f"asking in {lang}")
        captions = data.in_langs([lang]).captions
        sims = [_asked(one, clips_CD, captions, whole) for one, clips_CD in zip(examinees, clips_of, strict=True)]
        parts.append((captions, *_answers(sims, captions, data.clip_ids, metric)))
    tables, ranks, recalls, lengths, clips, scores = zip(*parts, strict=True)
    return Examination(
        names=tuple(names), reads=tuple(one.reads for one in examinees),
        metric=metric,
        clips=data.clips,
        queries=pa.concat_tables(tables),
        num_left_out=wanted.captions.num_rows - data.captions.num_rows,
        ranks_SQ=np.concatenate(ranks, axis=1),
        recall_SQ=np.concatenate(recalls, axis=1),
        offsets=np.r_[0, np.cumsum(np.concatenate(lengths))].astype(np.int64),
        clips_N=np.concatenate(clips),
        sims_SN=np.concatenate(scores, axis=1),
    )  # fmt: skip


def _clips(one: Examinee, clip_ids: Sequence[str]) -> npt.NDArray[np.float32]:
    return one.model.encode_clips([one.features[clip_id] for clip_id in clip_ids])


def _drawn(data: Dataset, most: int) -> Dataset:
    """Draw whole sentences at random until the next would be one too many."""
    if data.captions.num_rows <= most:
        return data
    codes = data.captions["caption_id"].combine_chunks().dictionary_encode()
    sentences_Q = np.asarray(codes.indices, np.int64)
    order = np.random.default_rng(_SEED).permutation(len(codes.dictionary))
    num_chosen = int(np.searchsorted(np.cumsum(np.bincount(sentences_Q)[order]), most, side="right"))
    return data.where_captions(np.isin(sentences_Q, order[:num_chosen]))


def _asked(one: Examinee, clips_CD: npt.NDArray[np.float32], captions: pa.Table, data: Dataset) -> Sims:
    """Return one system's similarities `[Q, C]` for some captions; NaN rows where it has nothing to read."""
    texts: list[str | None] = captions["text"].to_pylist()
    if one.reads is not None:
        theirs = data.in_langs([one.reads]).captions
        text_of = dict(zip(theirs["caption_id"].to_pylist(), theirs["text"].to_pylist(), strict=True))
        texts = [text_of.get(caption_id) for caption_id in captions["caption_id"].to_pylist()]
    there = [row for row, text in enumerate(texts) if text is not None]
    sims_QC = np.full((len(texts), len(clips_CD)), np.nan, np.float32)
    if there:
        sims_QC[there] = similarities(one.model.encode_text([texts[row] or "" for row in there]), clips_CD)
    return sims_QC


def _answers(
    sims: Sequence[Sims], captions: pa.Table, clip_ids: Sequence[str], metric: Metric
) -> tuple[Floats, Floats, Counts, Counts, Sims]:
    """Return ranks and recalls `[S, Q]`, answers a query `[Q]`, their clips `[N]` and their scores `[S, N]`."""
    column = {clip_id: position for position, clip_id in enumerate(clip_ids)}
    own_Q = np.array([column[clip_id] for clip_id in captions["clip_id"].to_pylist()])
    ranks_SQ = np.full((len(sims), len(own_Q)), np.nan)
    recall_SQ = np.full((len(sims), len(own_Q)), np.nan)
    is_kept_QC = np.zeros(sims[0].shape, bool)
    is_kept_QC[np.arange(len(own_Q)), own_Q] = True
    for system, sims_QC in enumerate(sims):
        there = np.flatnonzero(~np.isnan(sims_QC[:, 0]))
        if len(there):
            ranks = t2v_ranks(sims_QC[there], own_Q[there])
            ranks_SQ[system, there], recall_SQ[system, there] = ranks.mean_rank(), ranks.of_queries(metric)
            best, _ = top_k(sims_QC[there], NUM_KEPT)
            is_kept_QC[there[:, None], best] = True
    queries_N, clips_N = np.nonzero(is_kept_QC)
    sims_SN = np.stack([sims_QC[queries_N, clips_N] for sims_QC in sims])
    return ranks_SQ, recall_SQ, is_kept_QC.sum(axis=1), clips_N, sims_SN
