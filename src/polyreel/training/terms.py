"""The objective: named terms, each a function of what a batch offers, and their weighted sum.

To add a term: write its function beside its siblings, name it in `FUNCTIONS` here, and give it a weight and its line
in `objective_settings.TERMS`. A term that has nothing to say of a language (its own teacher, a language alone) returns
None there.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from polyreel.training.crosslingual import imitation, one_to_k, text_contrast, with_clips
from polyreel.training.neighbours import choose_partials, max_margin, partial_order, regression, softmax_regression
from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.objectives import contrastive, distillation, pool_teachers
from polyreel.training.pairs import pair_losses
from polyreel.training.scored import ScoredBatch, ScoredLang
from polyreel.training.whole_bank import bank_distillation

Term = Callable[[ObjectiveSettings, ScoredBatch, str], Tensor | None]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a step minimises.

    Attributes:
        total: weighted sum of the parts, a scalar.
        parts: unweighted terms by `term/lang`, detached.
    """

    total: Tensor
    parts: dict[str, Tensor]


def objective(settings: ObjectiveSettings, batch: ScoredBatch, *, but: Collection[str] = ()) -> Loss:
    """Sum the weighted terms of all languages: sum_l w_l (a contrastive_l + b distillation_l + ...).

    English is a language like the others and counts once, unless `counts_english_twice` says otherwise. With one term
    a teacher ("each") a teachers' term is their mean, so that the number of teachers changes nothing else; the
    reference sums them. Learnt teacher weights have a term of their own, which moves nothing but them.

    Args:
        settings: the weights, and what the terms read.
        batch: what the student, the teachers and the student's own English say of a batch.
        but: names of terms that are left out.

    Returns:
        The total and the unweighted parts.
    """
    parts: dict[str, Tensor] = {}
    total = torch.zeros(())
    for lang in batch.by_lang:
        for name in settings.active_terms:
            term = None if name in but else FUNCTIONS[name](settings, batch, lang)
            if term is not None:
                parts[f"{name}/{lang}"] = term
                total = total + weight_of(settings, name, lang, batch.teachers_lang) * term
        if batch.teacher_weights_K is not None:
            parts[f"teacher_weights/{lang}"] = _teacher_weights(settings, batch, lang)
            total = total + parts[f"teacher_weights/{lang}"]
    for lang, scored in batch.pairs.items():
        for name, term in pair_losses(settings, scored, batch.teacher_weights_K).items():
            parts[f"{name}/{lang}"] = term
            total = total + weight_of(settings, name, lang, batch.teachers_lang) * term
    return Loss(total=total, parts={name: term.detach() for name, term in parts.items()})


def weight_of(settings: ObjectiveSettings, name: str, lang: str, teachers_lang: str) -> float:
    """Return how much a term of a language counts in the total."""
    weight = settings.lang_weight.get(lang, 1.0) * settings.weight(name)
    is_doubled = settings.counts_english_twice and settings.pools_teachers
    return 2 * weight if is_doubled and (name, lang) == ("contrastive", teachers_lang) else weight


def _teacher_weights(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    """Fit the teachers' weights to the right pairs: the contrastive term of their weighted similarities.

    N(sum_k w_k T_k) at the distillation temperature, w = softmax of K learnt numbers. The student has no part in it,
    and the distillation term does not see w, so no teacher gains weight by being easy to imitate (as in the reference,
    where w minimises the weighted distillation itself).
    """
    sims, taught = batch.by_lang[lang], batch.by_lang[lang].taught
    assert taught is not None
    pooled_1VC = pool_teachers(taught.sims_KVC, "learnt", batch.teacher_weights_K)
    return contrastive(pooled_1VC[0], sims.columns_R[taught.rows_V], settings.distillation_temperature)


def _contrastive(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    sims = batch.by_lang[lang]
    if sims.counted_R is None:
        return contrastive(sims.student_RC, sims.columns_R, settings.temperature, sims.weights_R)
    weights_R = None if sims.weights_R is None else sims.weights_R[sims.counted_R]
    counted_RR = sims.student_RC[sims.counted_R][:, sims.columns_R[sims.counted_R]]
    own_R = torch.arange(len(counted_RR), device=counted_RR.device)
    return contrastive(counted_RR, own_R, settings.temperature, weights_R)


def _max_margin(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    sims = batch.by_lang[lang]
    return max_margin(sims.student_RC, sims.columns_R, settings.margin)


def _distillation(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    sims, taught = batch.by_lang[lang], batch.by_lang[lang].taught
    weights_V = None if taught is None or sims.weights_R is None else sims.weights_R[taught.rows_V]

    def of_one(student_VC: Tensor, teacher_VC: Tensor, columns_V: Tensor) -> Tensor:
        return distillation(student_VC, teacher_VC, columns_V, settings.distillation_temperature, weights_V)

    return _over_teachers(settings, batch, lang, of_one)


def _whole_bank(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    sims, taught = batch.by_lang[lang], batch.by_lang[lang].taught
    assert taught is not None
    assert taught.over_bank is not None
    over = taught.over_bank
    weights_V = None if sims.weights_R is None else sims.weights_R[taught.rows_V]
    temperature = settings.distillation_temperature
    pooled_KVS = pool_teachers(over.teachers_KVS, settings.teacher_pooling, batch.teacher_weights_K)
    return torch.stack(
        [bank_distillation(over.student_VS, one, over.log_weights_S, temperature, weights_V) for one in pooled_KVS]
    ).mean()


def _regression(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    def of_one(student_VC: Tensor, teacher_VC: Tensor, columns_V: Tensor) -> Tensor:
        if settings.regression_of == "similarities":
            return regression(student_VC, teacher_VC)
        return softmax_regression(student_VC, teacher_VC, columns_V, settings.distillation_temperature)

    return _over_teachers(settings, batch, lang, of_one)


def _over_teachers(
    settings: ObjectiveSettings,
    batch: ScoredBatch,
    lang: str,
    of_one: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """Average a term over the teachers that are left after pooling."""
    sims, taught = batch.by_lang[lang], batch.by_lang[lang].taught
    assert taught is not None
    student_VC, columns_V = sims.student_RC[taught.rows_V], sims.columns_R[taught.rows_V]
    pooled_KVC = pool_teachers(taught.sims_KVC, settings.teacher_pooling, batch.teacher_weights_K)
    return torch.stack([of_one(student_VC, sims_VC, columns_V) for sims_VC in pooled_KVC]).mean()


def _partial_order(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    sims = batch.by_lang[lang]
    likeness_RR = _likeness_by_teachers(sims) if settings.partials_by == "teachers" else _likeness(sims.texts_RD)
    return partial_order(
        sims.student_RC,
        sims.columns_R,
        choose_partials(likeness_RR, settings.num_partials),
        partial_margin=settings.partial_margin,
        negative_margin=settings.negative_margin,
    )


def _likeness(texts_RD: Tensor) -> Tensor:
    return texts_RD.detach() @ texts_RD.detach().T


def _likeness_by_teachers(sims: ScoredLang) -> Tensor:
    """Average the teachers' likeness of the sentences; nothing is known of a row they have not read."""
    assert sims.taught is not None
    rows_V = sims.taught.rows_V
    likeness_RR = sims.student_RC.new_full((len(sims.columns_R), len(sims.columns_R)), -torch.inf)
    likeness_RR[rows_V[:, None], rows_V] = torch.stack([_likeness(texts) for texts in sims.taught.texts]).mean(0)
    return likeness_RR


def _text_contrast(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor | None:
    return _between_langs(batch, lang, {lang: sims.texts_RD for lang, sims in batch.by_lang.items()}, settings)


def _conditional(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor | None:
    seen = {lang: with_clips(sims.texts_RD, sims.columns_R, batch.clips_CD) for lang, sims in batch.by_lang.items()}
    return _between_langs(batch, lang, seen, settings)


def _between_langs(
    batch: ScoredBatch, lang: str, texts: Mapping[str, Tensor], settings: ObjectiveSettings
) -> Tensor | None:
    """Average the contrast of a language's texts with each other language's; None for a language alone."""
    own_R = batch.by_lang[lang].columns_R
    contrasts = [
        text_contrast(texts[lang], own_R, texts[other], sims.columns_R, settings.temperature)
        for other, sims in batch.by_lang.items()
        if other != lang
    ]
    return torch.stack(contrasts).mean() if contrasts else None


def _one_to_k(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor:
    is_own = [sims.columns_R.new_full(sims.columns_R.shape, one == lang) for one, sims in batch.by_lang.items()]
    return one_to_k(
        torch.cat([sims.student_RC for sims in batch.by_lang.values()]),
        torch.cat([sims.columns_R for sims in batch.by_lang.values()]),
        torch.cat(is_own).nonzero().squeeze(1),
        settings.temperature,
    )


def _self_teaching(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor | None:
    """Give a language the distributions the student itself has for the same sentences in English.

    `distillation` with the student's own English branch, held fixed, as the only teacher: the similarity distillation
    of NRCCR (Wang et al. 2022, arXiv 2208.12526; `LiJiaBei-7/nrccr`, `loss.py`, class `DtlLoss`, temperature 0.07, the
    mean of the two directions instead of their sum). It costs no teachers, and can teach nothing the student's English
    does not know. English has no such term.
    """
    sims, own = batch.by_lang[lang], batch.by_lang[lang].own
    if own is None:
        return None
    english_UC = own.texts_UD @ batch.clips_CD.detach().T
    columns_U = sims.columns_R[own.rows_U]
    return distillation(sims.student_RC[own.rows_U], english_UC, columns_U, settings.distillation_temperature)


def _imitation(settings: ObjectiveSettings, batch: ScoredBatch, lang: str) -> Tensor | None:
    sims = batch.by_lang[lang]
    if settings.imitation_of == "teacher":
        assert sims.taught is not None
        return imitation(sims.texts_RD[sims.taught.rows_V], sims.taught.texts[0])
    return None if sims.own is None else imitation(sims.texts_RD[sims.own.rows_U], sims.own.texts_UD)


FUNCTIONS: Mapping[str, Term] = {
    "contrastive": _contrastive,
    "distillation": _distillation,
    "whole_bank": _whole_bank,
    "regression": _regression,
    "max_margin": _max_margin,
    "partial_order": _partial_order,
    "text_contrast": _text_contrast,
    "conditional": _conditional,
    "one_to_k": _one_to_k,
    "self_teaching": _self_teaching,
    "imitation": _imitation,
}
