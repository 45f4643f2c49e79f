"""How alike a system is in different languages: gaps to English, the worst language, what translations have in common.

Everything here is formed of ranks, answers and estimates that a report keeps, resample by resample where it has an
interval; only the confusion between languages looks at embeddings.

Shapes: `S` seeds, `P` parallel sentences, `R` resamples, `K` answers kept, `N` texts, `D` dims.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from polyreel.data.dataset import PIVOT_LANG, Dataset
from polyreel.evaluation.answers import Answers, Key, skewness
from polyreel.evaluation.estimates import MEAN_LANG, Estimate, Figure, shared_positions
from polyreel.evaluation.metrics import Direction, Floats, Ranks
from polyreel.evaluation.uncertainty import Resamples, interval
from polyreel.similarity import Embeddings, similarities
from polyreel.storage import Json

MOST_CONFUSED_CLIPS = 2000


@dataclass(frozen=True, kw_only=True)
class LanguageGap:
    """How far a language lies behind English.

    Attributes:
        lang: the language.
        value: the figure in English less the figure in it.
        low: lower end of the 95 % interval.
        high: upper end.
        share_worst: share of the resamples in which no language is worse.
    """

    lang: str
    value: float
    low: float
    high: float
    share_worst: float

    def to_json(self) -> dict[str, Json]:
        """Return all fields, rounded to what a reader can use."""
        figures = {"gap": self.value, "low": self.low, "high": self.high, "share_worst": self.share_worst}
        return {"lang": self.lang, **{name: round(figure, 4) for name, figure in figures.items()}}


@dataclass(frozen=True, kw_only=True)
class Across:
    """What the languages of one report have to do with one another, text to video.

    Attributes:
        metric: what gaps are of.
        gaps: one a language but English; empty where English was not asked.
        worst: the language with the lowest figure.
        consistency: share, in percent, of the first answers that two translations of a sentence have in common, mean
            over sentences and pairs of languages, and both ends of its interval; None without parallel sentences.
        skewness: hubness by language: skewness of how often a clip is among the first answers, mean over seeds.
    """

    metric: Figure
    gaps: tuple[LanguageGap, ...]
    worst: str
    consistency: tuple[float, float, float] | None
    skewness: Mapping[str, float]

    def to_json(self) -> dict[str, Json]:
        """Return all fields, rounded to what a reader can use."""
        return {
            "metric": self.metric,
            "gaps_to_english": [gap.to_json() for gap in self.gaps],
            "worst": self.worst,
            "consistency": None if self.consistency is None else [round(figure, 4) for figure in self.consistency],
            "skewness": {lang: round(figure, 4) for lang, figure in self.skewness.items()},
        }


def across_languages(
    estimates: Sequence[Estimate],
    ranks: Mapping[Key, Ranks],
    answers: Mapping[Key, Answers],
    resamples: Resamples,
    *,
    metric: Figure = "R@10",
) -> Across:
    """Hold the languages of one report against one another.

    Args:
        estimates: its figures, of these resamples.
        ranks: counts `[S, Q]` by language and direction.
        answers: the best clips of every query, by language and direction; may lack some or all.
        resamples: of all source videos.
        metric: a recall, which gaps are of.
    """
    rows = {
        row.lang: row for row in estimates if (row.metric, row.direction) == (metric, "t2v") and row.lang != MEAN_LANG
    }
    texts: Direction = "t2v"
    return Across(
        metric=metric,
        gaps=_gaps(rows),
        worst=min(rows, key=lambda lang: rows[lang].value),
        consistency=_consistency(ranks, answers, resamples),
        skewness={
            lang: float(np.mean([skewness(answers[lang, texts].occurrences(seed)) for seed in range(num_seeds)]))
            for lang in rows
            if (lang, texts) in answers
            for num_seeds in [len(answers[lang, texts].positions_SQK)]
        },
    )


def confusion_between(
    data: Dataset, langs: Sequence[str], embeddings: Mapping[str, Embeddings]
) -> dict[str, dict[str, float]]:
    """Return, for texts of each language, in which language the nearest other text is written.

    Asked among one sentence a clip in all languages at once, up to 2,000 clips. A model that is free of language would
    give every other language the same share and its own none, since there the translations are; a large share of its
    own says that the language counts more than the meaning (the language bias of Roy et al., 2020, LAReQA).

    Args:
        data: a split.
        langs: two languages or more.
        embeddings: of every caption by language, in table order.

    Returns:
        Shares, 0 to 1, by language of the text and of its nearest other; empty without parallel sentences.
    """
    chosen = _one_sentence_a_clip(data, langs)
    if len(langs) < 2 or not chosen:
        return {}
    pool = []
    for lang in langs:
        ids = data.in_langs([lang]).captions["caption_id"].to_pylist()
        place = {caption_id: row for row, caption_id in enumerate(ids)}
        pool.append(embeddings[lang][[place[caption_id] for caption_id in chosen]])
    texts_ND, written = np.concatenate(pool), np.repeat(np.arange(len(langs)), len(chosen))
    shares: dict[str, dict[str, float]] = {}
    for number, lang in enumerate(langs):
        own = np.flatnonzero(written == number)
        sims_PN = similarities(texts_ND[own], texts_ND)
        sims_PN[np.arange(len(own)), own] = -np.inf
        nearest = np.bincount(written[sims_PN.argmax(axis=1)], minlength=len(langs)) / len(own)
        shares[lang] = dict(zip(langs, nearest.tolist(), strict=True))
    return shares


def mean_confusion(of_reports: Sequence[tuple[int, Mapping[str, Mapping[str, float]]]]) -> dict[str, dict[str, float]]:
    """Return the mean of confusions, each of so many seeds; empty if one has none."""
    total = sum(number for number, _ in of_reports)
    return {
        lang: {other: sum(number * one[lang][other] for number, one in of_reports) / total for other in shares}
        for lang, shares in of_reports[0][1].items()
        if all(one for _, one in of_reports)
    }


def _one_sentence_a_clip(data: Dataset, langs: Sequence[str]) -> list[str]:
    parallel = set(data.parallel(langs))
    captions = data.in_langs([langs[0]]).captions if langs else data.captions
    first: dict[str, str] = {}
    for caption_id, clip_id in zip(captions["caption_id"].to_pylist(), captions["clip_id"].to_pylist(), strict=True):
        if caption_id in parallel:
            first.setdefault(clip_id, caption_id)
    return list(first.values())[:MOST_CONFUSED_CLIPS]


def _gaps(rows: Mapping[str, Estimate]) -> tuple[LanguageGap, ...]:
    if PIVOT_LANG not in rows:
        return ()
    english = rows[PIVOT_LANG]
    lowest_R = np.min([row.draws_R for row in rows.values()], axis=0)
    gaps = []
    for lang, row in rows.items():
        if lang != PIVOT_LANG:
            low, high = interval(english.draws_R - row.draws_R)
            share = float(np.mean(row.draws_R <= lowest_R))
            gaps.append(LanguageGap(lang=lang, value=english.value - row.value, low=low, high=high, share_worst=share))
    return tuple(gaps)


def _consistency(
    ranks: Mapping[Key, Ranks], answers: Mapping[Key, Answers], resamples: Resamples
) -> tuple[float, float, float] | None:
    kept = {lang: of_key for (lang, direction), of_key in answers.items() if direction == "t2v"}
    texts: Direction = "t2v"
    columns = shared_positions([ranks[lang, texts] for lang in kept])
    if len(kept) < 2 or not len(columns[0]):
        return None
    shared_SP = np.mean(
        [
            _overlap(kept[one], columns[i], kept[other], columns[j])
            for (i, one), (j, other) in combinations(enumerate(kept), 2)
        ],
        axis=0,
    )
    first = next(iter(kept))
    draws_R = resamples.means(shared_SP.mean(axis=0), ranks[first, texts].sources[columns[0]])
    return float(shared_SP.mean()), *interval(draws_R)


def _overlap(ours: Answers, our_rows: Sequence[int], theirs: Answers, their_rows: Sequence[int]) -> Floats:
    """Percent of the answers that two translations have in common, `[S, P]`."""
    number = {name: position for position, name in enumerate(ours.candidate_ids.tolist())}
    renamed = np.array([number.get(name, -1) for name in theirs.candidate_ids.tolist()])
    our_SPK, their_SPK = ours.positions_SQK[:, our_rows], renamed[theirs.positions_SQK[:, their_rows]]
    common_SPK = (our_SPK[..., :, None] == their_SPK[..., None, :]).any(axis=-1)
    return 100 * np.asarray(common_SPK.mean(axis=-1), np.float64)
