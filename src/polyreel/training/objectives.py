"""The paper's terms, as functions of similarity matrices and nothing else; the neighbours' stand beside them.

Shapes: `R` rows (texts of one language in the batch), `C` columns (clips of the batch), `K` teachers. A row's own clip
is `columns_R`; clips without a caption in the language have no row. Rows are compared with all clips; columns only
where the clip has a row, over the rows there are. So a missing language is masked, never filled.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from polyreel.training.objective_settings import TeacherPooling


def contrastive(sims_RC: Tensor, columns_R: Tensor, temperature: float, weights_R: Tensor | None = None) -> Tensor:
    """Tell each text's clip from the batch's others, and each clip's text from the others.

    -(1/R) sum_i log softmax_j(S/t)[i, c_i]  -  (1/R) sum_i log softmax over rows(S/t)[i, c_i]: the sum, not the mean,
    of the two directions, as the C2KD reference has it (InfoNCE; van den Oord et al. 2018, eq. 4, in both directions).
    It is MMP's inter-modal term, too; with another language's texts for clips it is `crosslingual.text_contrast`.

    Args:
        sims_RC: cosine similarities, rows are texts.
        columns_R: the clip of each row; all different.
        temperature: divides the similarities.
        weights_R: how much each text counts (`weighted_mean`), in both directions; None: all alike.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(columns_R) == 0:
        return sims_RC.sum() * 0
    logits_RC = sims_RC / temperature
    own_R = torch.arange(len(columns_R), device=sims_RC.device)
    if weights_R is None:
        return cross_entropy(logits_RC, columns_R) + cross_entropy(logits_RC[:, columns_R].T, own_R)
    by_text_R = cross_entropy(logits_RC, columns_R, reduction="none")
    by_clip_R = cross_entropy(logits_RC[:, columns_R].T, own_R, reduction="none")
    return weighted_mean(by_text_R, weights_R) + weighted_mean(by_clip_R, weights_R)


def distillation(
    student_RC: Tensor, teacher_RC: Tensor, columns_R: Tensor, temperature: float, weights_R: Tensor | None = None
) -> Tensor:
    """Give the student the teacher's distribution over clips for each text, and over texts for each clip.

    CE(softmax(T/t), softmax(S/t)) - H(softmax(T/t)), summed over the two directions, each a mean over its rows: C2KD's
    cross entropy less the teacher's entropy (so KL(T || S)), which no gradient sees and which makes 0 mean agreement.
    The same temperature on both sides, no t^2 factor (Rouditchenko et al. 2023; reference `trainer.py`, its KL form).
    TeachText's regression compares the raw similarities instead (`neighbours.regression`).

    Args:
        student_RC: cosine similarities of the student.
        teacher_RC: of a teacher, or of several pooled; no gradient flows into them.
        columns_R: the clip of each row; all different.
        temperature: divides the similarities of both.
        weights_R: how much each text counts (`weighted_mean`), in both directions; None: all alike.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(columns_R) == 0:
        return student_RC.sum() * 0
    student_RC, teacher_RC = student_RC / temperature, teacher_RC.detach() / temperature
    by_text_R = divergence(student_RC, teacher_RC)
    by_clip_R = divergence(student_RC[:, columns_R].T, teacher_RC[:, columns_R].T)
    return weighted_mean(by_text_R, weights_R) + weighted_mean(by_clip_R, weights_R)


def weighted_mean(losses_R: Tensor, weights_R: Tensor | None) -> Tensor:
    """Average losses by how far their texts are trusted: sum_i w_i l_i / sum_i w_i; the plain mean without weights.

    A text's weight stands at its own loss in both directions; as one of the others it counts fully. Weighing each
    pair's loss by a confidence in the pair is what noise-robust cross-lingual retrieval does about wrong translations
    (NRCCR, Wang et al. 2022, arXiv 2208.12526; DCOT, Wang et al. 2023, arXiv 2309.05451). There the confidence comes
    of back-translation or of optimal transport within the batch; here it is a column of the captions, so that it can
    be read, and mended, before training. The mean is over weights, so that a batch of poor texts steps no less far.
    """
    return losses_R.mean() if weights_R is None else (weights_R * losses_R).sum() / weights_R.sum()


def pool_teachers(sims_KRC: Tensor, pooling: TeacherPooling, weights_K: Tensor | None = None) -> Tensor:
    """Make one matrix of several teachers', element by element, or keep each; one teacher's stays as it is.

    Named by what it does to similarities; the reference's names `min` and `max` stand for the opposite.

    Args:
        sims_KRC: cosine similarities of K teachers.
        pooling: "min", "max", "mean"; "learnt" is the weighted mean; "each" keeps all K, for one term a teacher.
        weights_K: for "learnt": the teachers' weights, summing to 1.

    Returns:
        `[1, R, C]`, or `[K, R, C]` for "each".
    """
    if len(sims_KRC) == 1:
        return sims_KRC
    match pooling:
        case "min":
            return sims_KRC.amin(dim=0, keepdim=True)
        case "max":
            return sims_KRC.amax(dim=0, keepdim=True)
        case "mean":
            return sims_KRC.mean(dim=0, keepdim=True)
        case "each":
            return sims_KRC
        case "learnt":
            assert weights_K is not None
            return torch.einsum("k,krc->rc", weights_K, sims_KRC)[None]


def divergence(student_RC: Tensor, teacher_RC: Tensor) -> Tensor:
    """KL(softmax(teacher) || softmax(student)) along the last dimension, one number a row."""
    log_student_RC, log_teacher_RC = log_softmax(student_RC, dim=-1), log_softmax(teacher_RC, dim=-1)
    return (log_teacher_RC.exp() * (log_teacher_RC - log_student_RC)).sum(-1)
