"""What the quality checks found, language by language, for people and programs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from polyreel.languages import LANGUAGES
from polyreel.storage import Json
from polyreel.translation.quality_settings import CHECKS, Check
from polyreel.translation.rating import Verdicts

NUM_BINS = 20


@dataclass(frozen=True, kw_only=True)
class Example:
    """One text that something speaks against."""

    caption_id: str
    english: str
    text: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LangQuality:
    """What was found in one language.

    Attributes:
        lang: ISO 639-1 code.
        captions: how many were judged.
        mean_score: over them.
        dropped: how many score below `drop_below`.
        with_reason: by check that was asked: how many it speaks against; None where it could judge none.
        histogram: how many score in each twentieth from 0 to 1.
        worst: the lowest scores.
    """

    lang: str
    captions: int
    mean_score: float
    dropped: int
    with_reason: Mapping[Check, int | None]
    histogram: tuple[int, ...]
    worst: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class QualitySummary:
    """What was found in a dataset's translations.

    Attributes:
        dataset: its name.
        drop_below: the score below which `drop` drops.
        languages: in the order of their codes.
        not_asked: checks that were left out or lacked what they need.
    """

    dataset: str
    drop_below: float
    languages: tuple[LangQuality, ...]
    not_asked: tuple[Check, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the summary as JSON values."""
        values: dict[str, Json] = asdict(self)
        return values

    def lines(self, num_worst: int = 5) -> list[str]:
        """Return the summary as lines of plain text, with the worst texts of each language."""
        head = f"{'language':<12}{'judged':>9}{'mean score':>12}{f'below {self.drop_below:g}':>16}  most often"
        out = ["translations, judged by their English sentences", head]
        out += [_line(one) for one in self.languages]
        if self.not_asked:
            out.append(f"not asked: {', '.join(name.replace('_', ' ') for name in self.not_asked)}")
        for one in self.languages:
            if one.worst[:num_worst]:
                out += ["", f"worst in {LANGUAGES[one.lang].english_name}:"]
            for example in one.worst[:num_worst]:
                out += [
                    f"  {example.score:.2f}  {example.caption_id}: {'; '.join(example.reasons) or 'several doubts'}"
                ]
                out += [f"        {example.english}", f"        {example.text}"]
        return out


def summarise(name: str, verdicts: Verdicts, num_worst: int = 12) -> QualitySummary:
    """Count what was found by language.

    Args:
        name: of the dataset.
        verdicts: what was found.
        num_worst: texts kept as examples in each language.
    """
    lang_N = np.array(verdicts.pairs["lang"].to_pylist())
    asked = tuple(verdicts.quality.marks)
    return QualitySummary(
        dataset=name,
        drop_below=verdicts.settings.drop_below,
        languages=tuple(
            _of_one(verdicts, lang, np.flatnonzero(lang_N == lang), num_worst) for lang in sorted({*lang_N.tolist()})
        ),
        not_asked=tuple(check for check in CHECKS if check not in asked),
    )


def _of_one(verdicts: Verdicts, lang: str, rows: np.ndarray, num_worst: int) -> LangQuality:
    quality, settings = verdicts.quality, verdicts.settings
    score = quality.score_N[rows]
    counts: dict[Check, int | None] = {}
    for check, mark_N in quality.marks.items():
        is_blind = bool(np.isnan(mark_N[rows]).all())
        counts[check] = None if is_blind else int((mark_N[rows] <= settings.reason_at_most).sum())
    marks = np.sum([np.nan_to_num(mark_N[rows], nan=1.0) for mark_N in quality.marks.values()], axis=0)
    order = rows[np.lexsort((marks, score))]  # of equal scores, those with more against them first
    worst = [row for row in order[:num_worst].tolist() if quality.score_N[row] < 1]
    return LangQuality(
        lang=lang,
        captions=len(rows),
        mean_score=float(score.mean()),
        dropped=int((score < settings.drop_below).sum()),
        with_reason=counts,
        histogram=tuple(np.histogram(score, bins=NUM_BINS, range=(0, 1))[0].tolist()),
        worst=tuple(
            Example(
                **{name: verdicts.pairs[name][row].as_py() for name in ("caption_id", "english", "text")},
                score=float(quality.score_N[row]),
                reasons=quality.reasons[row],
            )
            for row in worst
        ),
    )


def _line(one: LangQuality) -> str:
    share = f"{one.dropped:,} ({one.dropped / one.captions:.1%})"
    counts = [(count, check) for check, count in one.with_reason.items() if count]
    often = ", ".join(f"{check.replace('_', ' ')} {count:,}" for count, check in sorted(counts, reverse=True)[:4])
    name = f"{one.lang} {LANGUAGES[one.lang].english_name}"
    return f"{name:<12}{one.captions:>9,}{one.mean_score:>12.3f}{share:>16}  {often or 'nothing'}"
