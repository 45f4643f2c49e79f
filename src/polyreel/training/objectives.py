"""Objectives: functions of similarity matrices, and nothing else.

Shapes: `R` rows (texts of one language in the batch), `C` columns (clips of the batch), `K` teachers. A row's own clip
is `columns_R`; clips without a caption in the language have no row. Rows are compared with all clips; columns only
where the clip has a row, over the rows there are. So a missing language is masked, never filled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from polyreel.training.recipes import ObjectiveSettings, TeacherPooling


@dataclass(frozen=True, kw_only=True)
class LangSims:
    """What the objective sees of one language.

    Attributes:
        student_RC: cosine similarities of the student's texts and clips.
        columns_R: which clip each row describes; all different.
        taught_V: positions of the rows that the teachers have seen in their language.
        teachers_KVC: cosine similarities of the teachers for these rows; None without distillation.
    """

    student_RC: Tensor
    columns_R: Tensor
    taught_V: Tensor | None = None
    teachers_KVC: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a step minimises.

    Attributes:
        total: weighted sum of the parts, a scalar.
        parts: unweighted terms by `term/lang`, detached.
    """

    total: Tensor
    parts: dict[str, Tensor]


def contrastive(sims_RC: Tensor, columns_R: Tensor, temperature: float) -> Tensor:
    """Tell each text's clip from the batch's others, and each clip's text from the others.

    -(1/R) sum_i log softmax_j(S/t)[i, c_i]  -  (1/R) sum_i log softmax over rows(S/t)[i, c_i]: the sum, not the mean,
    of the two directions, as the C2KD reference has it (InfoNCE; van den Oord et al. 2018, eq. 4, in both directions).

    Args:
        sims_RC: cosine similarities, rows are texts.
        columns_R: the clip of each row; all different.
        temperature: divides the similarities.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(columns_R) == 0:
        return sims_RC.sum() * 0
    logits_RC = sims_RC / temperature
    own_R = torch.arange(len(columns_R), device=sims_RC.device)
    return cross_entropy(logits_RC, columns_R) + cross_entropy(logits_RC[:, columns_R].T, own_R)


def distillation(student_RC: Tensor, teacher_RC: Tensor, columns_R: Tensor, temperature: float) -> Tensor:
    """Give the student the teacher's distribution over clips for each text, and over texts for each clip.

    CE(softmax(T/t), softmax(S/t)) - H(softmax(T/t)), summed over the two directions, each a mean over its rows: C2KD's
    cross entropy less the teacher's entropy (so KL(T || S)), which no gradient sees and which makes 0 mean agreement.
    The same temperature on both sides, no t^2 factor (Rouditchenko et al. 2023; reference `trainer.py`, its KL form).
    TeachText's regression compares the raw similarities instead.

    Args:
        student_RC: cosine similarities of the student.
        teacher_RC: of a teacher, or of several pooled; no gradient flows into them.
        columns_R: the clip of each row; all different.
        temperature: divides the similarities of both.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(columns_R) == 0:
        return student_RC.sum() * 0
    student_RC, teacher_RC = student_RC / temperature, teacher_RC.detach() / temperature
    return _divergence(student_RC, teacher_RC) + _divergence(student_RC[:, columns_R].T, teacher_RC[:, columns_R].T)


def pool_teachers(sims_KRC: Tensor, pooling: TeacherPooling) -> Tensor:
    """Make one matrix of several teachers', element by element, or keep each.

    Named by what it does to similarities; the reference's names `min` and `max` stand for the opposite.

    Args:
        sims_KRC: cosine similarities of K teachers.
        pooling: "min", "max", "mean"; "each" keeps all K, for one term a teacher.

    Returns:
        `[1, R, C]`, or `[K, R, C]` for "each".
    """
    match pooling:
        case "min":
            return sims_KRC.amin(dim=0, keepdim=True)
        case "max":
            return sims_KRC.amax(dim=0, keepdim=True)
        case "mean":
            return sims_KRC.mean(dim=0, keepdim=True)
        case "each":
            return sims_KRC


def objective(settings: ObjectiveSettings, by_lang: Mapping[str, LangSims]) -> Loss:
    """Sum the weighted terms of all languages: sum_l w_l (a contrastive_l + b distillation_l).

    With one term a teacher ("each") the distillation is their mean, so that the number of teachers changes nothing
    else; the reference sums them.

    Args:
        settings: weights a, b and w_l, both temperatures, teacher pooling.
        by_lang: similarities by language code; English is a language like the others and counts once.

    Returns:
        The total and the unweighted parts.
    """
    parts: dict[str, Tensor] = {}
    total = torch.zeros(())
    for lang, sims in by_lang.items():
        weight = settings.lang_weight.get(lang, 1.0)
        if settings.contrastive_weight > 0:
            term = contrastive(sims.student_RC, sims.columns_R, settings.temperature)
            parts[f"contrastive/{lang}"] = term
            total = total + weight * settings.contrastive_weight * term
        if settings.distillation_weight > 0:
            term = _distil_lang(settings, sims)
            parts[f"distillation/{lang}"] = term
            total = total + weight * settings.distillation_weight * term
    return Loss(total=total, parts={name: term.detach() for name, term in parts.items()})


def _distil_lang(settings: ObjectiveSettings, sims: LangSims) -> Tensor:
    assert sims.teachers_KVC is not None and sims.taught_V is not None
    student_VC, columns_V = sims.student_RC[sims.taught_V], sims.columns_R[sims.taught_V]
    pooled_KVC = pool_teachers(sims.teachers_KVC, settings.teacher_pooling)
    terms = [distillation(student_VC, sims_VC, columns_V, settings.distillation_temperature) for sims_VC in pooled_KVC]
    return torch.stack(terms).mean()


def _divergence(student_RC: Tensor, teacher_RC: Tensor) -> Tensor:
    """KL(softmax(teacher) || softmax(student)) along the last dimension, mean over rows."""
    log_student_RC, log_teacher_RC = log_softmax(student_RC, dim=-1), log_softmax(teacher_RC, dim=-1)
    return (log_teacher_RC.exp() * (log_teacher_RC - log_student_RC)).sum(-1).mean()
