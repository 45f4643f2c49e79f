"""Quality of translated captions: what speaks against each, before anything is trained on it.

Every check looks at a caption beside its English sentence and gives a mark between 0 (certainly wrong) and 1 (nothing
against it). The score is the product of the marks, so that evidence adds up; a check that cannot judge a caption says
nothing. Length and likeness are judged by what is usual in the set itself, language by language.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyreel.errors import saying_which_extra
from polyreel.languages import LANGUAGES
from polyreel.progress import Progress, silent
from polyreel.translation import negation, number_words
from polyreel.translation.encoder import Embed, likeness
from polyreel.translation.language_id import language_probabilities
from polyreel.translation.quality_settings import CHECKS, Check, QualitySettings
from polyreel.translation.words import copied_share, lowered, repeats, untranslated_span, words_of

Floats = npt.NDArray[np.float64]
BackTranslate = Callable[[Sequence[str], str], Sequence[str | None]]
_HALF_TO_DEVIATION = 1 / 1.349  # a normal distribution's standard deviation, of the width of its central half
PIVOT = "en"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What the checks found in N captions.

    Attributes:
        score_N: product of the marks, 0 to 1.
        reasons: what speaks against each caption, the worst first; none where nothing does.
        marks: by check that was asked: marks `[N]`, NaN where it could not judge.
        measured: by check that was asked: what its mark was made of, `[N]`.
    """

    score_N: Floats
    reasons: list[tuple[str, ...]]
    marks: Mapping[Check, Floats]
    measured: Mapping[Check, Floats]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """One check's measurements `[N]`, and a reason in words for every caption that might need one."""

    values_N: Floats
    words: Mapping[int, str]


def assess(
    english: Sequence[str],
    texts: Sequence[str],
    langs: Sequence[str],
    settings: QualitySettings | None = None,
    *,
    embed: Embed | None = None,
    back_translate: BackTranslate | None = None,
    progress: Progress = silent,
) -> Quality:
    """Judge translations by their English sentences.

    Args:
        english: N sentences.
        texts: their translations.
        langs: the language each is said to be in.
        settings: ramps of the checks; None: the defaults.
        embed: a multilingual sentence encoder; None: likeness is not asked.
        back_translate: puts texts of one language back into English; None: no round trips.
        progress: called before every check.

    Raises:
        ValueError: the three differ in length.
    """
    if not len(english) == len(texts) == len(langs):
        raise ValueError(
            f"{len(english)} English sentences, {len(texts)} texts and {len(langs)} languages; "
            "expected one of each a caption"
        )
    settings = settings or QualitySettings()
    pairs = _Pairs(english, texts, langs, settings, embed, back_translate)
    marks: dict[Check, Floats] = {}
    measured: dict[Check, Floats] = {}
    found: list[list[tuple[float, str]]] = [[] for _ in texts]
    asked = [check for check in CHECKS if check not in settings.without and pairs.can_ask(check)]
    for number, check in enumerate(asked):
        progress(number, len(asked), f"quality: {check.replace('_', ' ')}")
        values = _MEASURES[check](pairs)
        measured[check], marks[check] = values.values_N, settings.mark(check, values.values_N)
        for position in np.flatnonzero(marks[check] <= settings.reason_at_most):
            found[position].append((marks[check][position], values.words[int(position)]))
    score_N = np.prod([np.nan_to_num(mark_N, nan=1.0) for mark_N in marks.values()], axis=0, initial=1.0)
    reasons = [tuple(word for _, word in sorted(one, key=lambda entry: entry[0])) for one in found]
    return Quality(score_N=score_N * np.ones(len(texts)), reasons=reasons, marks=marks, measured=measured)


class _Pairs:
    """The captions under judgement, with their words, taken apart once."""

    def __init__(
        self,
        english: Sequence[str],
        texts: Sequence[str],
        langs: Sequence[str],
        settings: QualitySettings,
        embed: Embed | None,
        back_translate: BackTranslate | None,
    ) -> None:
        self.english, self.texts, self.langs, self.settings = english, texts, langs, settings
        self.embed, self.back_translate = embed, back_translate
        self.english_words = [words_of(text) for text in english]
        self.words = [lowered(words_of(text)) for text in texts]
        lang_N = np.array(langs, dtype=object)
        self.by_lang = {lang: np.flatnonzero(lang_N == lang) for lang in dict.fromkeys(langs)}

    def can_ask(self, check: Check) -> bool:
        """Tell whether there is what a check needs beside the texts."""
        needed = {"likeness": self.embed, "round_trip": self.back_translate}
        return check not in needed or needed[check] is not None

    def one_by_one(self, judge: Callable[[int], tuple[float, str]]) -> _Measured:
        """Judge every caption by itself."""
        judged = [judge(position) for position in range(len(self.texts))]
        return _Measured(
            values_N=np.array([value for value, _ in judged], np.float64),
            words={position: words for position, (_, words) in enumerate(judged)},
        )


def _language(pairs: _Pairs) -> _Measured:
    candidates = pairs.settings.langs or (PIVOT, *pairs.by_lang)
    probabilities_N, likeliest = language_probabilities(pairs.texts, pairs.langs, candidates)
    words = {}
    for position, lang in enumerate(likeliest):
        name = LANGUAGES[lang].english_name if lang in LANGUAGES else lang
        is_other = lang != pairs.langs[position]
        words[position] = f"reads like {name}" if is_other else f"hardly reads like {name}"
    return _Measured(values_N=probabilities_N, words=words)


def _length(pairs: _Pairs) -> _Measured:
    """Deviations of log(characters / English characters) from what is usual in the language.

    Usual is the middle of the shortest interval that holds half of the captions (the shorth, Rousseeuw 1984), and its
    width gives the deviation. Unlike the median it is not drawn aside when many captions are cut short; as the width
    still grows then, it is held between two settings.
    """
    ratio_N = [(1 + len(text)) / (1 + len(source)) for source, text in zip(pairs.english, pairs.texts, strict=True)]
    log_N = np.log(np.array(ratio_N, np.float64))
    values_N = np.full(len(log_N), np.nan)
    words: dict[int, str] = {}
    for rows in pairs.by_lang.values():
        if len(rows) < pairs.settings.least_pairs:
            continue
        middle, width = _shortest_half(log_N[rows])
        deviation = float(np.clip(width * _HALF_TO_DEVIATION, *pairs.settings.length_deviation))
        values_N[rows] = np.abs(log_N[rows] - middle) / deviation
        for row in rows.tolist():
            times = np.exp(log_N[row] - middle)
            words[row] = f"{'longer' if times > 1 else 'shorter'} than usual: {times:.2f} times"
    return _Measured(values_N=values_N, words=words)


def _shortest_half(values_N: Floats) -> tuple[float, float]:
    """Return middle and width of the shortest interval that holds half of the values."""
    ordered_N = np.sort(values_N)
    count = (len(ordered_N) + 1) // 2
    widths = ordered_N[count - 1 :] - ordered_N[: len(ordered_N) - count + 1]
    first = int(widths.argmin())
    return float(ordered_N[first] + widths[first] / 2), float(widths[first])


def _repetition(pairs: _Pairs) -> _Measured:
    def judge(position: int) -> tuple[float, str]:
        times, phrase = repeats(pairs.words[position])
        allowed = repeats(lowered(pairs.english_words[position]))[0] if times > 2 else 1
        return max(1.0, times - allowed + 1.0), f"says {phrase!r} {times} times in a row"

    return pairs.one_by_one(judge)


def _copied(pairs: _Pairs) -> _Measured:
    def judge(position: int) -> tuple[float, str]:
        share = copied_share(lowered(pairs.english_words[position]), pairs.words[position])
        return share, f"{share:.0%} of its words are the English ones"

    return pairs.one_by_one(judge)


def _untranslated(pairs: _Pairs) -> _Measured:
    def judge(position: int) -> tuple[float, str]:
        span = untranslated_span(pairs.english_words[position], pairs.words[position])
        return float(len(span)), f"left in English: {' '.join(span)!r}"

    return pairs.one_by_one(judge)


def _numbers(pairs: _Pairs) -> _Measured:
    def judge(position: int) -> tuple[float, str]:
        english = number_words.numbers_in(pairs.english[position], PIVOT)
        lang = pairs.langs[position]
        translated = number_words.numbers_in(pairs.texts[position], lang)
        if lang not in number_words.NUMBER_LANGS:
            return np.nan, ""
        return number_words.kept(english, translated)

    return pairs.one_by_one(judge)


def _negation(pairs: _Pairs) -> _Measured:
    def judge(position: int) -> tuple[float, str]:
        english = negation.negation_in(pairs.english[position], PIVOT)
        translated = negation.negation_in(pairs.texts[position], pairs.langs[position])
        assert english is not None
        return (np.nan, "") if translated is None else negation.kept(english, translated)

    return pairs.one_by_one(judge)


def _likeness(pairs: _Pairs) -> _Measured:
    assert pairs.embed is not None
    english_ND, text_ND = pairs.embed(pairs.english), pairs.embed(pairs.texts)
    values_N = np.full(len(pairs.texts), np.nan)
    for rows in pairs.by_lang.values():
        if len(rows) >= pairs.settings.least_pairs:
            values_N[rows] = likeness(english_ND[rows], text_ND[rows], pairs.settings.least_separation)
    words = {row: f"means something else: likeness {value:.2f}" for row, value in enumerate(values_N.tolist())}
    return _Measured(values_N=values_N, words=words)


def _round_trip(pairs: _Pairs) -> _Measured:
    """ChrF (Popović 2015) of the text put back into English, against the English sentence."""
    with saying_which_extra("a round trip"):
        from sacrebleu.metrics import CHRF

    assert pairs.back_translate is not None
    chrf = CHRF()
    values_N = np.full(len(pairs.texts), np.nan)
    words: dict[int, str] = {}
    for lang, rows in pairs.by_lang.items():
        returned = pairs.back_translate([pairs.texts[row] for row in rows.tolist()], lang)
        for row, text in zip(rows.tolist(), returned, strict=True):
            if text is None:
                continue
            values_N[row] = chrf.sentence_score(text, [pairs.english[row]]).score
            words[row] = f"comes back as {text!r} (chrF {values_N[row]:.0f})"
    return _Measured(values_N=values_N, words=words)


_MEASURES: Mapping[Check, Callable[[_Pairs], _Measured]] = {
    "language": _language,
    "length": _length,
    "repetition": _repetition,
    "copied": _copied,
    "untranslated": _untranslated,
    "numbers": _numbers,
    "negation": _negation,
    "likeness": _likeness,
    "round_trip": _round_trip,
}
