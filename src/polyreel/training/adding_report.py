"""What is measured while a language is added: what the student had, and what it gains.

Shapes: `C` clips, `N` sentences, `D` dims.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polyreel.data.pairs import Pairs
from polyreel.evaluation.agreement import Agreement, agreement
from polyreel.evaluation.metrics import t2v_ranks
from polyreel.models.retriever import Retriever
from polyreel.storage import Json
from polyreel.training.keeping import Kept
from polyreel.training.teachers import Floats

RECALL_AT = 10


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A student at one moment.

    Attributes:
        recall: R@10 in percent on the validation queries, text to video, by language; new languages too, where
            validation clips have captions in them.
        agreement: of held-out pairs, by new language.
    """

    recall: Mapping[str, float]
    agreement: Mapping[str, Agreement]

    @property
    def mean_agreement(self) -> float:
        """How often English's first clip is among the first ten, mean over new languages: what chooses the state."""
        return float(np.mean([one.top_10 for one in self.agreement.values()]))

    def in_words(self) -> str:
        """Return one line for somebody who waits."""
        recall = ", ".join(f"{lang} {value:.1f}" for lang, value in self.recall.items())
        new = ", ".join(f"{lang} {one.top_10:.1f}" for lang, one in self.agreement.items())
        return f"R@10 {recall or 'not known'}; English's first clip among ten {new}"

    @classmethod
    def from_json(cls, values: Json) -> "Measured":
        """Read what `to_json` gave."""
        assert isinstance(values, Mapping)
        recall, of_langs = values["recall_at_10"], values["agreement"]
        assert isinstance(recall, Mapping)
        assert isinstance(of_langs, Mapping)
        return cls(
            recall={lang: float(str(value)) for lang, value in recall.items()},
            agreement={lang: Agreement.from_json(one) for lang, one in of_langs.items()},
        )

    def to_json(self) -> dict[str, Json]:
        """Return all figures."""
        return {
            "recall_at_10": {lang: round(value, 4) for lang, value in self.recall.items()},
            "agreement": {lang: one.to_json() for lang, one in self.agreement.items()},
        }


class Scales:
    """Measure a student, again and again, on the same sentences.

    Args:
        model: the student as it was, whose languages must not get worse.
        kept: what its run kept.
        held_out: pairs it does not learn from, by new language.

    Attributes:
        before: what it measured as it was.
    """

    def __init__(self, model: Retriever, kept: Kept, held_out: Mapping[str, Pairs]) -> None:
        self._kept, self._held_out, self._had = kept, held_out, model.langs
        column = {clip_id: number for number, clip_id in enumerate(kept.val_clip_ids)}
        self._val: dict[str, tuple[list[str], list[int]]] = {}
        for row in kept.val_captions.select(["clip_id", "lang", "text"]).to_pylist():
            texts, columns = self._val.setdefault(row["lang"], ([], []))
            texts.append(row["text"])
            columns.append(column[row["clip_id"]])
        self._val = {lang: one for lang, one in self._val.items() if lang in {*model.langs, *held_out}}
        self.before = self.measure(model)

    def measure(self, model: Retriever) -> Measured:
        """Measure a student."""
        recall = {}
        for lang, (texts, columns) in self._val.items():
            sims_NC = model.encode_text(texts) @ self._kept.val_clips_CD.T
            recall[lang] = 100 * float(t2v_ranks(sims_NC, columns).recall(RECALL_AT).mean())
        clips_CD: Floats = np.asarray(self._kept.clips_CD)
        agreements = {
            lang: agreement(model.encode_text(pairs.english), model.encode_text(pairs.texts), clips_CD)
            for lang, pairs in self._held_out.items()
        }
        return Measured(recall=recall, agreement=agreements)

    def is_kept(self, found: Measured, tolerance: float) -> bool:
        """Say whether no language the student had finds less than before, by more than a tolerance in points."""
        had = [lang for lang in self._had if lang in found.recall]
        return all(found.recall[lang] >= self.before.recall[lang] - tolerance for lang in had)


def table(before: Measured, after: Measured) -> str:
    """Write both moments as one Markdown table."""
    lines = ["| | before | after |", "| --- | ---: | ---: |"]
    for lang in after.recall:
        lines.append(
            f"| {lang}: R@10, text to video, validation | {before.recall[lang]:.1f} | {after.recall[lang]:.1f} |"
        )
    words = {
        "top_1": "English's first clip is its first, %",
        "top_10": "English's first clip is among its first ten, %",
        "rank_correlation": "rank correlation with English over all clips",
        "text_to_text": "R@1 of the English sentence, text to text",
        "text_to_text_10": "R@10 of the English sentence",
    }
    for lang, one in after.agreement.items():
        for name, said in words.items():
            was, now = getattr(before.agreement[lang], name), getattr(one, name)
            digits = 2 if name == "rank_correlation" else 1
            lines.append(f"| {lang}: {said} | {was:.{digits}f} | {now:.{digits}f} |")
    return "\n".join(lines) + "\n"
