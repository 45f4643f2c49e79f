"""A dataset's captions judged by their English sentences, and what follows: a flag, a weight, or being left out.

The verdict stands where any tool can read it: in further columns of the caption table, `score` and `reasons`, and in
the translations table, row by row, from which the best text of several models is then chosen. A weight is what
training reads: the sampler draws a clip's captions by it, and the objective counts them by it where a recipe says
`objective.weighs_captions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.dataset import PIVOT_LANG, Dataset
from polyreel.data.translations import judged
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.translation.encoder import Embed
from polyreel.translation.quality import BackTranslate, Quality, assess
from polyreel.translation.quality_settings import QualitySettings

Action = Literal["flag", "weight", "drop"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_KEY = ("caption_id", "lang", "text")
_PAIRS = pa.schema([pa.field(name, pa.string(), nullable=False) for name in (*_KEY, "english")])


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What was found in the texts that other languages have for English sentences.

    Attributes:
        pairs: `caption_id`, `lang`, `text` and `english`, a row each text that was judged.
        quality: what was found in them.
        settings: by which.
    """

    pairs: pa.Table
    quality: Quality
    settings: QualitySettings

    def rows_of(self, table: pa.Table) -> npt.NDArray[np.int64]:
        """Return which pair each row of a table of captions or translations is; -1: it was not judged."""
        keys = zip(*(table[name].to_pylist() for name in _KEY), strict=True)
        return np.array([self._row_of.get(key, -1) for key in keys], np.int64)

    def weights(self, action: Action) -> npt.NDArray[np.float64]:
        """Return what each pair counts in training: 1 where it is only flagged, 0 where it is dropped."""
        score_N = self.quality.score_N
        if action == "weight":
            return np.maximum(score_N, self.settings.least_weight)
        return np.where((score_N < self.settings.drop_below) & (action == "drop"), 0.0, 1.0)

    @cached_property
    def _row_of(self) -> dict[tuple[str, ...], int]:
        keys = zip(*(self.pairs[name].to_pylist() for name in _KEY), strict=True)
        return {key: row for row, key in reversed([*enumerate(keys)])}  # a sentence as it is now comes first


def rate(
    dataset: Dataset,
    settings: QualitySettings | None = None,
    *,
    translations: pa.Table | None = None,
    split: str | None = None,
    embed: Embed | None = None,
    back_translate: BackTranslate | None = None,
    progress: Progress = silent,
) -> Verdicts:
    """Judge a dataset's captions in all languages but English, each text once.

    Args:
        dataset: with English sentences beside their translations, under one caption id.
        settings: ramps of the checks; None: the defaults.
        translations: further texts to judge beside the captions, as `read_translations` gives them.
        split: judge the captions of this split only; None: of all.
        embed: a multilingual sentence encoder; None: likeness is not asked.
        back_translate: puts texts of one language back into English; None: no round trips.
        progress: called before every check.

    Raises:
        DataError: no text in another language has an English sentence, or there is no such split.
    """
    settings = settings or QualitySettings()
    pairs = _caption_pairs(dataset if split is None else dataset.split(split))
    if translations is not None:
        pairs = pa.concat_tables([pairs, _translation_pairs(translations)])
    pairs = pairs.group_by([*_KEY, "english"], use_threads=False).aggregate([])
    if pairs.num_rows == 0:
        raise DataError(
            f"dataset {dataset.name!r} has no caption in another language with an English sentence; it has captions in "
            f"{', '.join(dataset.langs) or 'no language'}; a sentence and its translations share a caption_id"
        )
    english, texts, langs = (pairs[name].to_pylist() for name in ("english", "text", "lang"))
    quality = assess(english, texts, langs, settings, embed=embed, back_translate=back_translate, progress=progress)
    return Verdicts(pairs=pairs, quality=quality, settings=settings)


def with_quality(dataset: Dataset, verdicts: Verdicts, action: Action) -> Dataset:
    """Return the dataset with the verdict in columns `score` and `reasons`, and with what follows from it.

    "flag" changes nothing else; "weight" gives a caption its score for a weight, though no less than `least_weight`;
    "drop" leaves out what scores below `drop_below`.
    """
    rows = verdicts.rows_of(dataset.captions)
    is_judged = rows >= 0
    score = np.where(is_judged, verdicts.quality.score_N[rows], np.nan).astype(np.float32)
    reasons = [list(verdicts.quality.reasons[row]) if row >= 0 else [] for row in rows.tolist()]
    weight = dataset.captions["weight"].to_numpy()
    if action == "weight":
        weight = np.where(is_judged, verdicts.weights(action)[rows], weight)
    columns = {
        "weight": pa.array(weight, pa.float32()),
        "score": pa.array(score, pa.float32(), from_pandas=True),  # not judged becomes no value
        "reasons": pa.array(reasons, pa.list_(pa.string())),
    }
    captions = dataset.captions
    for name, column in columns.items():
        if name in captions.column_names:
            place = captions.schema.get_field_index(name)
            captions = captions.set_column(place, captions.schema.field(name).with_type(column.type), column)
        else:
            captions = captions.append_column(name, column)
    whole = replace(dataset, captions=captions)
    is_dropped = is_judged & (verdicts.weights(action)[rows] == 0)
    return whole.where_captions(~is_dropped) if is_dropped.any() else whole


def judged_translations(translations: pa.Table, verdicts: Verdicts, action: Action) -> pa.Table:
    """Return the translations table with scores, reasons and weights filled where the text was judged."""
    scores: list[float | None] = translations["score"].to_pylist()
    reasons: list[Sequence[str]] = translations["reasons"].to_pylist()
    weights: list[float] = translations["weight"].to_pylist()
    found, counts = verdicts.quality, verdicts.weights(action)
    for place, row in enumerate(verdicts.rows_of(translations).tolist()):
        if row >= 0:
            scores[place], reasons[place], weights[place] = float(found.score_N[row]), found.reasons[row], counts[row]
    return judged(translations, scores, reasons, weights)


def _caption_pairs(dataset: Dataset) -> pa.Table:
    """Return captions of other languages beside the English sentence of the same id."""
    is_english = pc.equal(dataset.captions["lang"], PIVOT_LANG)
    english, others = dataset.captions.filter(is_english), dataset.captions.filter(pc.invert(is_english))
    sentence_of = dict(zip(english["caption_id"].to_pylist(), english["text"].to_pylist(), strict=True))
    sentences = pa.array([sentence_of.get(caption_id) for caption_id in others["caption_id"].to_pylist()], pa.string())
    pairs = others.select(list(_KEY)).append_column("english", sentences)
    return pairs.filter(pc.is_valid(pairs["english"])).cast(_PAIRS)


def _translation_pairs(translations: pa.Table) -> pa.Table:
    from_english = translations.filter(pc.equal(translations["source_lang"], PIVOT_LANG))
    return from_english.select([*_KEY, "source_text"]).rename_columns(_PAIRS.names).cast(_PAIRS)
