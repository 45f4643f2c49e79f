"""Making a query bank: training captions of each language, and the temperature that finds most on validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.evaluation.asking import Encoder, Fingerprinted, Scoring, ask_in
from polyreel.progress import Progress, silent
from polyreel.similarity import Embeddings, QueryBank

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_CAPTIONS = 10_000
RECALL_AT = 10


@dataclass(frozen=True, kw_only=True)
class BankChoice:
    """A query bank, and what it was chosen by.

    Attributes:
        bank: with the temperature that found most.
        recall: R@10 on the clips it was chosen on, mean over languages, by temperature.
        recall_without: the same without a bank.
    """

    bank: QueryBank
    recall: dict[float, float]
    recall_without: float


def make_query_bank(
    model: Encoder,
    dataset: Dataset,
    *,
    features: FeatureStore,
    split: str = "train",
    chosen_on: str = "val",
    langs: Sequence[str] | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 0,
    progress: Progress = silent,
) -> BankChoice:
    """Embed training captions, and choose the temperature on other clips.

    Args:
        model: what encodes texts and clips; it must know its fingerprint.
        dataset: with both splits.
        features: the clips' features.
        split: whose captions make the bank, up to 10,000 a language, drawn evenly.
        chosen_on: the clips that the temperature is chosen on; never those that are reported.
        langs: languages of the bank; all of the split by default.
        temperatures: which are tried.
        seed: of the draw.
        progress: told after every language and temperature.

    Raises:
        DataError: the split has no captions in these languages, or the model has no fingerprint.
        FingerprintError: the model was made for another extractor's features.
    """
    if not isinstance(model, Fingerprinted):
        raise DataError("a query bank belongs to a model that knows its fingerprint; this one has none")
    model.check_features(features)
    learnt, held_out = dataset.split(split), dataset.split(chosen_on)
    asked = [lang for lang in learnt.langs if langs is None or lang in langs]
    if not asked:
        raise DataError(f"split {split!r} of {dataset.name!r} has captions in: {', '.join(learnt.langs) or 'none'}")
    steps = len(asked) + 1 + len(temperatures)
    by_lang: dict[str, Embeddings] = {}
    for lang in asked:
        progress(len(by_lang), steps, f"bank in {lang}")
        by_lang[lang] = model.encode_text(_texts(learnt, lang, seed))
    clips_CD = model.encode_clips([features[clip_id] for clip_id in held_out.clip_ids])
    bank = QueryBank(model=model.fingerprint, by_lang=by_lang, temperature=temperatures[0])
    found: dict[float, float] = {}
    tried = [Scoring(), *(Scoring(hubness="bank", temperature=one, bank=bank) for one in temperatures)]
    for done, scoring in enumerate(tried):
        progress(len(asked) + done, steps, "choosing the temperature")
        found[scoring.temperature if scoring.bank else 0.0] = _recall(model, held_out, asked, clips_CD, scoring)
    without = found.pop(0.0)
    best = max(found, key=lambda temperature: found[temperature])
    chosen = QueryBank(model=model.fingerprint, by_lang=by_lang, temperature=best)
    progress(steps, steps, "chosen")
    return BankChoice(bank=chosen, recall=found, recall_without=without)


def _texts(data: Dataset, lang: str, seed: int) -> list[str]:
    texts: list[str] = sorted(set(data.in_langs([lang]).captions["text"].to_pylist()))
    if len(texts) <= MOST_CAPTIONS:
        return texts
    rows = np.sort(np.random.default_rng(seed).choice(len(texts), MOST_CAPTIONS, replace=False))
    return [texts[row] for row in rows]


def _recall(model: Encoder, data: Dataset, langs: Sequence[str], clips_CD: Embeddings, scoring: Scoring) -> float:
    found = []
    for lang in langs:
        if lang in data.langs:
            _, ranks, _ = ask_in(lang, data, model, clips_CD, scoring)
            found.append(ranks[lang, "t2v"].recall(RECALL_AT).mean())
    return 100 * float(np.mean(found))
