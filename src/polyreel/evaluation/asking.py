"""Asking a model: texts and features in, ranks and answers out. What a report is made of is measured here.

Shapes: `Q` texts, `C` clips, `D` dims, `K` answers kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.evaluation.across import confusion_between
from polyreel.evaluation.answers import NUM_ANSWERS, Answers, Key
from polyreel.evaluation.metrics import Direction, Ranks, stack_seeds, t2v_ranks, v2t_ranks
from polyreel.evaluation.multicaption import Captions, as_queries, counted_text, one_text_a_clip
from polyreel.evaluation.names import Labels, Names
from polyreel.evaluation.ranking import TIE, rank_embeddings
from polyreel.evaluation.translations import text_to_text
from polyreel.progress import Progress, silent
from polyreel.similarity import (
    Embeddings,
    Hubs,
    QueryBank,
    dual_softmax,
    find_hubs,
    less_hubs,
    similarities,
    top_k,
)

FoundInOne: TypeAlias = tuple[Embeddings, dict[Key, Ranks], dict[Key, Answers]]
_ROWS_AT_ONCE = 256

Hubness = Literal["none", "bank", "dual"]


class Encoder(Protocol):
    """What can be evaluated: anything that turns texts and features into rows of unit length."""

    def encode_text(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return `[N, D]`, one row a text."""

    def encode_clips(self, features: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
        """Return `[N, D]`, one row a clip; each clip's features are `[T, D_in]`."""


@runtime_checkable
class Fingerprinted(Protocol):
    """An encoder that knows its weights by name, and which features they were made for."""

    @property
    def fingerprint(self) -> str:
        """Digest of settings and weights."""

    def check_features(self, store: FeatureStore) -> None:
        """Refuse the features of another extractor."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How similarities become scores.

    Attributes:
        hubness: "none": the cosine itself; "bank": less what a bank of training captions says of a clip (t2v alone);
            "dual": the product of both softmaxes, which reads all test queries.
        temperature: divides similarities in the softmax over a bank or over all queries.
        bank: captions of the training split, by language; for "bank".
        captions: how several captions of a clip are asked.
        device: where ranks are counted; "cpu" is numpy, any other a device of torch.
    """

    hubness: Hubness = "none"
    temperature: float = 0.05
    bank: QueryBank | None = None
    captions: Captions = "each"
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse settings that say nothing.

        Raises:
            ValueError: a temperature that is not positive, or a bank that is missing.
        """
        if not self.temperature > 0:
            raise ValueError(f"the temperature is {self.temperature:g}; expected a number above 0")
        if self.hubness == "bank" and self.bank is None:
            raise ValueError("hubness 'bank' needs a bank of training captions; make one with `polyreel query-bank`")

    @property
    def name(self) -> str:
        """What reports call it."""
        said = {
            "none": "cosine",
            "bank": f"query bank, temperature {self.temperature:g}",
            "dual": f"dual softmax, temperature {self.temperature:g}, reads all test queries",
        }
        return said[self.hubness]

    @property
    def label(self) -> str:
        """What is added to the name of a system, so that no table shows its figures without it."""
        return "dual softmax, reads all test queries" if self.hubness == "dual" else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What asking gave.

    Attributes:
        ranks: by language and direction.
        answers: by language and direction.
        confusion: by language of a text, in which language its nearest other text is written.
    """

    ranks: dict[Key, Ranks]
    answers: dict[Key, Answers]
    confusion: dict[str, dict[str, float]]


def ask(
    model: Encoder,
    data: Dataset,
    features: FeatureStore,
    langs: Sequence[str],
    scoring: Scoring,
    is_text_to_text: bool = False,
    progress: Progress = silent,
) -> Found:
    """Ask in every language, both ways, and texts for texts of other languages where that is wanted.

    Raises:
        DataError: a clip without features, an embedding that is not finite, or a bank without one of the languages.
    """
    clips_CD = model.encode_clips([features[clip_id] for clip_id in data.clip_ids])
    ranks: dict[Key, Ranks] = {}
    answers: dict[Key, Answers] = {}
    texts_by_lang: dict[str, Embeddings] = {}
    for done, lang in enumerate(langs):
        progress(done, len(langs), f"ranking in {lang}")
        texts_by_lang[lang], ranks_in, answers_in = ask_in(lang, data, model, clips_CD, scoring)
        ranks |= ranks_in
        answers |= answers_in
    if is_text_to_text:
        ranks |= text_to_text(data, texts_by_lang)
    progress(len(langs), len(langs), "ranked")
    return Found(ranks=ranks, answers=answers, confusion=confusion_between(data, langs, texts_by_lang))


def ask_in(lang: str, data: Dataset, model: Encoder, clips_CD: Embeddings, scoring: Scoring) -> FoundInOne:
    """Rank all clips for the captions of one language, and its captions for all clips.

    Returns:
        The embeddings of all its captions, in table order; ranks; answers.

    Raises:
        DataError: an embedding is not finite, or the bank has no captions in this language.
    """
    captions = data.in_langs([lang]).captions
    encoded_QD = model.encode_text(captions["text"].to_pylist())
    column = {clip_id: position for position, clip_id in enumerate(data.clip_ids)}
    own_Q = np.array([column[clip_id] for clip_id in captions["clip_id"].to_pylist()], np.int64)
    texts_QD, query_ids = encoded_QD, captions["caption_id"].to_pylist()
    if scoring.captions == "average":
        texts_QD, own_Q = one_text_a_clip(encoded_QD, own_Q)
        query_ids = [data.clip_ids[place] for place in own_Q]
    shape = (len(texts_QD), len(clips_CD))
    names = Names.of(shape, own_Q, query_ids, data.clip_ids, data.clips["source"].to_pylist())
    hubs = _hubs(lang, texts_QD, clips_CD, scoring)
    ranks = _rank(texts_QD, clips_CD, names, hubs, scoring)
    of_texts, chosen = as_queries(ranks["t2v"], scoring.captions)
    asked: dict[Direction, Ranks] = {"t2v": of_texts, "v2t": ranks["v2t"]}
    answered: dict[Direction, Answers] = {
        "t2v": _answers_of_texts(texts_QD, clips_CD, names, hubs["t2v"]).of_queries(chosen),
        "v2t": _answers_of_clips(texts_QD, clips_CD, names, hubs["v2t"], ranks["v2t"].query_ids),
    }
    return (
        encoded_QD,
        {(lang, direction): stack_seeds([of_queries]) for direction, of_queries in asked.items()},
        {(lang, direction): of_queries for direction, of_queries in answered.items()},
    )


def _hubs(lang: str, texts_QD: Embeddings, clips_CD: Embeddings, scoring: Scoring) -> dict[Direction, Hubs | None]:
    if scoring.hubness == "bank":
        assert scoring.bank is not None
        return {"t2v": find_hubs(scoring.bank.rows(lang), clips_CD, scoring.temperature), "v2t": None}
    if scoring.hubness == "dual":
        both = dual_softmax(texts_QD, clips_CD, scoring.temperature)
        return {"t2v": both[0], "v2t": both[1]}
    return {"t2v": None, "v2t": None}


def _rank(
    texts_QD: Embeddings, clips_CD: Embeddings, names: Names, hubs: dict[Direction, Hubs | None], scoring: Scoring
) -> dict[Direction, Ranks]:
    labels: dict[str, Labels] = {"query_ids": names.query_ids, "clip_ids": names.clip_ids, "sources": names.sources}
    counted = counted_text(scoring.captions)
    ranks = rank_embeddings(texts_QD, clips_CD, names.own_Q, **labels, counted=counted, device=scoring.device)
    if hubs["t2v"] is not None:
        sims_QC = less_hubs(similarities(texts_QD, clips_CD), hubs["t2v"])
        ranks["t2v"] = t2v_ranks(sims_QC, names.own_Q, **labels, tolerance=TIE)
    if hubs["v2t"] is not None:
        sims_CQ = less_hubs(similarities(clips_CD, texts_QD), hubs["v2t"])
        ranks["v2t"] = v2t_ranks(np.ascontiguousarray(sims_CQ.T), names.own_Q, **labels, tolerance=TIE, counted=counted)
    return ranks


def _answers_of_texts(texts_QD: Embeddings, clips_CD: Embeddings, names: Names, hubs: Hubs | None) -> Answers:
    positions, scores, right = [], [], []
    for start in range(0, len(texts_QD), _ROWS_AT_ONCE):
        block_QC = similarities(texts_QD[start : start + _ROWS_AT_ONCE], clips_CD)
        block_QC = block_QC if hubs is None else less_hubs(block_QC, hubs)
        best_QK, scores_QK = top_k(block_QC, NUM_ANSWERS)
        positions.append(best_QK)
        scores.append(scores_QK)
        right.append(block_QC[np.arange(len(block_QC)), names.own_Q[start : start + _ROWS_AT_ONCE]])
    return Answers.of_one_seed(names.clip_ids, np.concatenate(positions), np.concatenate(scores), np.concatenate(right))


def _answers_of_clips(
    texts_QD: Embeddings, clips_CD: Embeddings, names: Names, hubs: Hubs | None, asked: npt.NDArray[np.str_]
) -> Answers:
    """Answer every clip that has a text with texts; the right score is that of its best."""
    turned = Names.of((len(clips_CD), len(texts_QD)), np.zeros(len(clips_CD), int), names.clip_ids, names.query_ids)
    answers = _answers_of_texts(clips_CD, texts_QD, turned, hubs)
    own_scores_Q = np.einsum("qd,qd->q", texts_QD, clips_CD[names.own_Q])
    own_scores_Q = own_scores_Q if hubs is None else own_scores_Q - hubs.offsets_C
    best_C = np.full(len(clips_CD), -np.inf, np.float32)
    np.maximum.at(best_C, names.own_Q, own_scores_Q)
    return replace(answers, right_scores_SQ=best_C[None]).of_queries(np.flatnonzero(np.isin(names.clip_ids, asked)))
