"""What is minimised, as a recipe states it: a weight for every term, and the settings the terms read.

Every term has a name; its weight is the setting `NAME_weight`, and 0 leaves it out. What a term reads beside its
weight, and whether it needs teachers, stands once in `TERMS`, so that settings without effect are reported and terms
without teachers refused by rule. Needs no torch; the functions behind the names are in `terms.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from polyreel.settings import Settings

TeacherPooling = Literal["min", "max", "mean", "each", "learnt"]


@dataclass(frozen=True)
class TermFacts:
    """What a term depends on.

    Attributes:
        reads: settings of the objective it reads.
        needs_teachers: whether it compares the student with teachers' similarities.
        sees_clips: whether the video tower learns from it.
        compares_langs: whether it looks at several languages at once.
    """

    reads: tuple[str, ...] = ()
    needs_teachers: bool = False
    sees_clips: bool = True
    compares_langs: bool = False


TERMS: Mapping[str, TermFacts] = {
    "contrastive": TermFacts(("temperature", "weighs_captions")),
    "distillation": TermFacts(("distillation_temperature", "teacher_pooling", "weighs_captions"), needs_teachers=True),
    "whole_bank": TermFacts(("distillation_temperature", "teacher_pooling", "weighs_captions"), needs_teachers=True),
    "regression": TermFacts(("regression_of", "teacher_pooling"), needs_teachers=True),
    "max_margin": TermFacts(("margin",)),
    "partial_order": TermFacts(("partial_margin", "negative_margin", "num_partials", "partials_by")),
    "text_contrast": TermFacts(("temperature",), sees_clips=False, compares_langs=True),
    "conditional": TermFacts(("temperature",), compares_langs=True),
    "one_to_k": TermFacts(("temperature",), compares_langs=True),
    "self_teaching": TermFacts(("distillation_temperature",)),
    "imitation": TermFacts(("imitation_of",), sees_clips=False),
}


class ObjectiveSettings(Settings):
    """What is minimised: the weighted sum of the terms whose weight is above 0, summed over languages."""

    contrastive_weight: float = Field(default=1.0, ge=0, description="texts against clips")
    distillation_weight: float = Field(default=0.0, ge=0, description="C2KD: the teachers' distributions")
    whole_bank_weight: float = Field(default=0.0, ge=0, description="the teachers' distributions over all clips")
    regression_weight: float = Field(default=0.0, ge=0, description="TeachText: the teachers' scores")
    max_margin_weight: float = Field(default=0.0, ge=0, description="own clip above the others by a margin")
    partial_order_weight: float = Field(default=0.0, ge=0, description="RUDDER: partly fitting clips in between")
    text_contrast_weight: float = Field(default=0.0, ge=0, description="MMP, intra-modal: texts across languages")
    conditional_weight: float = Field(default=0.0, ge=0, description="MMP: texts across languages, with their clip")
    one_to_k_weight: float = Field(default=0.0, ge=0, description="CCRK: a clip against the texts of all languages")
    self_teaching_weight: float = Field(default=0.0, ge=0, description="NRCCR: the student's own English similarities")
    imitation_weight: float = Field(default=0.0, ge=0, description="Sentence-BERT: the English sentence's embedding")
    pair_distillation_weight: float = Field(
        default=0.0, ge=0, description="sentence pairs: the teachers' distributions over all clips"
    )
    pair_alignment_weight: float = Field(
        default=0.0, ge=0, description="sentence pairs: the student's own embedding of the English side, held fixed"
    )
    pair_doubt: float = Field(
        default=0.0,
        ge=0,
        description="how far pairs on which student and teachers disagree count less: by exp(-doubt x divergence / "
        "mean divergence of the step); 0: all alike",
    )
    lang_weight: dict[str, float] = Field(default={}, description="weight of a language's terms; 1 for those not named")
    weighs_captions: bool = Field(
        default=False, description="whether a caption's weight counts in its loss, beside how often it is drawn"
    )
    temperature: float = Field(default=0.05, gt=0, description="divides similarities in the contrastive terms")
    distillation_temperature: float = Field(
        default=0.1, gt=0, description="divides both sides' similarities where distributions are imitated"
    )
    teacher_pooling: TeacherPooling = Field(
        default="max", description="what is done to the teachers' similarities; with `reference`, as the reference says"
    )
    teacher_weights_learning_rate: float = Field(default=0.01, gt=0, description='of the weights of "learnt" pooling')
    counts_english_twice: bool = Field(
        default=False, description="whether the teachers' language has double contrastive weight beside their terms"
    )
    regression_of: Literal["similarities", "softmax"] = Field(
        default="similarities", description="what is regressed: similarities as they are, or softmaxed both ways"
    )
    margin: float = Field(default=0.2, gt=0, description="of max_margin")
    partial_margin: float = Field(default=0.05, gt=0, description="a partly fitting clip is at least so far below")
    negative_margin: float = Field(default=0.09, gt=0, description="and at most so far, and any other at least")
    num_partials: int = Field(default=4, ge=1, description="how many of the batch's clips fit a text partly")
    partials_by: Literal["student", "teachers"] = Field(
        default="student", description="whose text embeddings say which captions are most alike"
    )
    imitation_of: Literal["teacher", "own"] = Field(
        default="teacher", description="whose English embedding: the one teacher's, or the student's own, held fixed"
    )

    @model_validator(mode="after")
    def _check_margins(self) -> Self:
        if self.partial_margin >= self.negative_margin:
            raise ValueError(
                f"partial_margin is {self.partial_margin} and negative_margin {self.negative_margin}; "
                "expected partial_margin < negative_margin"
            )
        return self

    def weight(self, term: str) -> float:
        """Return the weight of a term."""
        return float(getattr(self, f"{term}_weight"))

    @property
    def active_terms(self) -> tuple[str, ...]:
        """Names of the terms that count, in the order of `TERMS`."""
        return tuple(term for term in TERMS if self.weight(term) > 0)

    @property
    def asks_teachers(self) -> tuple[str, ...]:
        """Settings because of which teachers are asked; none: they are not."""
        asking = [f"{term}_weight" for term in self.active_terms if TERMS[term].needs_teachers]
        if "partial_order" in self.active_terms and self.partials_by == "teachers":
            asking.append("partials_by")
        if self.imitates_teacher:
            asking.append("imitation_of")
        if self.pair_distillation_weight > 0:
            asking.append("pair_distillation_weight")
        return tuple(asking)

    @property
    def imitates_teacher(self) -> bool:
        """Whether a teacher's sentence embedding is imitated, which one teacher of the same width can give."""
        return "imitation" in self.active_terms and self.imitation_of == "teacher"

    @property
    def asks_itself(self) -> bool:
        """Whether the student is asked for its own embedding of the sentence in the teachers' language."""
        imitates_itself = "imitation" in self.active_terms and self.imitation_of == "own"
        return imitates_itself or "self_teaching" in self.active_terms

    @property
    def sees_clips(self) -> bool:
        """Whether the video tower learns, and so whether finding clips says how good the model is."""
        return any(TERMS[term].sees_clips for term in self.active_terms)

    @property
    def compares_langs(self) -> bool:
        """Whether a term looks at several languages at once, so that none can be done with before the others."""
        return any(TERMS[term].compares_langs for term in self.active_terms)

    @property
    def pools_teachers(self) -> bool:
        """Whether teachers' similarities are imitated."""
        return self.pair_distillation_weight > 0 or any(TERMS[term].needs_teachers for term in self.active_terms)

    @property
    def looks_beyond(self) -> bool:
        """Whether sentences are compared with clips outside their batch."""
        return self.whole_bank_weight > 0 or self.pair_distillation_weight > 0

    @property
    def learns_pairs(self) -> bool:
        """Whether sentence pairs without video are learnt from."""
        return self.pair_distillation_weight > 0 or self.pair_alignment_weight > 0

    def idle_keys(self, num_teachers: int) -> list[str]:
        """Return the settings that no active term reads."""
        read = {key for term in self.active_terms for key in TERMS[term].reads}
        if "regression" in self.active_terms and self.regression_of == "softmax":
            read.add("distillation_temperature")
        if self.pair_distillation_weight > 0:
            read |= {"distillation_temperature", "teacher_pooling", "pair_doubt"}
        if num_teachers == 1:
            read.discard("teacher_pooling")
        elif self.pools_teachers and self.teacher_pooling == "learnt":
            read |= {"distillation_temperature", "teacher_weights_learning_rate"}
        if self.pools_teachers and "contrastive" in self.active_terms:
            read.add("counts_english_twice")
        always = {
            "lang_weight",
            "pair_distillation_weight",
            "pair_alignment_weight",
            *(f"{term}_weight" for term in TERMS),
        }
        return [key for key in type(self).model_fields if key not in read | always]
