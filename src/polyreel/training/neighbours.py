"""What the method's neighbours minimise within one language: TeachText's regression, margins, partial order.

Functions of similarity matrices, siblings of those in `objectives.py` and masked like them: rows are compared with all
clips, columns only where the clip has a row, over the rows there are.

Shapes: `R` rows (texts), `C` columns (clips), `P` pairs of a right and a wrong similarity.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu, smooth_l1_loss


def regression(student_RC: Tensor, teacher_RC: Tensor) -> Tensor:
    """Give the student the teacher's similarities as they are.

    mean over all cells of h(S - T), with h(x) = x^2 / 2 where |x| < 1 and |x| - 1/2 elsewhere: the smooth L1 of
    TeachText (Croitoru et al. 2021, arXiv 2104.08271; `albanie/collaborative-experts`, `trainer/trainer.py`), there
    beside max-margin ranking and of the teachers' mean. Distillation compares distributions instead, so a teacher with
    another scale or offset of similarities teaches the same there, and not here.

    Args:
        student_RC: cosine similarities of the student.
        teacher_RC: of a teacher, or of several pooled; no gradient flows into them.

    Returns:
        A scalar, 0 for no rows.
    """
    if student_RC.numel() == 0:
        return student_RC.sum() * 0
    return smooth_l1_loss(student_RC, teacher_RC.detach(), beta=1.0)


def softmax_regression(student_RC: Tensor, teacher_RC: Tensor, columns_R: Tensor, temperature: float) -> Tensor:
    """Give the student the teacher's distributions by regression: `regression` of both sides' softmax.

    mean of h(softmax_j(S/t) - softmax_j(T/t)), plus the same over columns: the variant of TeachText's loss that the
    C2KD reference has in a comment (`trainer/trainer.py`). Distillation compares the same distributions by divergence,
    whose gradient does not fade where probabilities are small.

    Args:
        student_RC: cosine similarities of the student.
        teacher_RC: of a teacher, or of several pooled; no gradient flows into them.
        columns_R: the clip of each row; all different.
        temperature: divides the similarities of both.

    Returns:
        A scalar, 0 for no rows.
    """
    student_RC, teacher_RC = student_RC / temperature, teacher_RC / temperature
    rows = regression(student_RC.softmax(dim=1), teacher_RC.softmax(dim=1))
    return rows + regression(student_RC[:, columns_R].softmax(dim=0), teacher_RC[:, columns_R].softmax(dim=0))


def max_margin(sims_RC: Tensor, columns_R: Tensor, margin: float) -> Tensor:
    """Keep every wrong similarity below the right one by a margin, in both directions.

    mean of max(0, m + S[i, j] - S[i, c_i]) over all j other than c_i, and of max(0, m + S[k, c_i] - S[i, c_i]) over
    all k other than i, taken together: 2 B (B - 1) terms where nothing is missing (Karpathy & Fei-Fei 2015 as
    averaged in `albanie/collaborative-experts`, `model/loss.py`). TeachText's ranking loss. Unlike the contrastive
    term it is done with a pair once the margin is kept.

    Args:
        sims_RC: cosine similarities, rows are texts.
        columns_R: the clip of each row; all different.
        margin: in units of cosine similarity.

    Returns:
        A scalar, 0 where there is nothing to compare.
    """
    differences_P, _ = _wrong_less_right(sims_RC, columns_R)
    return _mean(relu(margin + differences_P))


def partial_order(
    sims_RC: Tensor, columns_R: Tensor, partial_RR: Tensor, *, partial_margin: float, negative_margin: float
) -> Tensor:
    """Keep partly fitting clips between the right one and the wrong ones.

    With d = S[wrong] - S[right] and margins m < n: max(0, m + d) + max(0, -n - d) for a partial, so that it comes to
    lie at least m and at most n below the right one; max(0, n + d) for any other. Mean over both directions' terms
    together. RUDDER's partial-order loss (Akula et al. 2021, arXiv 2103.05457; `nshubham655/RUDDER`,
    `codebase/model/loss.py`, class `PartialOrderLoss`, margins 0.05 and 0.09). There the partials are captions made
    beforehand and the slack for paraphrases of the right caption is a term of its own; here they are found in the batch
    (`choose_partials`), which has no paraphrases. Without partials this is `max_margin` with n.

    Args:
        sims_RC: cosine similarities, rows are texts.
        columns_R: the clip of each row; all different.
        partial_RR: whether the clip of row k fits row i partly, at [i, k].
        partial_margin: m.
        negative_margin: n, above m.

    Returns:
        A scalar, 0 where there is nothing to compare.
    """
    differences_P, is_partial_P = _wrong_less_right(sims_RC, columns_R, partial_RR)
    partials_P = relu(partial_margin + differences_P) + relu(-negative_margin - differences_P)
    return _mean(torch.where(is_partial_P, partials_P, relu(negative_margin + differences_P)))


def choose_partials(likeness_RR: Tensor, num_partials: int) -> Tensor:
    """Say which rows' clips fit a row partly: those of the captions most like its own.

    RUDDER samples partials by a heuristic of shared content before training; the likeness of the captions, by the
    embeddings of who is asked, is ours.

    Args:
        likeness_RR: of every two captions; -inf where nothing is known of one of them.
        num_partials: how many a row has, at most.

    Returns:
        bool `[R, R]`, false on the diagonal.
    """
    rows = len(likeness_RR)
    others_RR = likeness_RR.masked_fill(torch.eye(rows, dtype=torch.bool, device=likeness_RR.device), -torch.inf)
    chosen = others_RR.topk(min(num_partials, max(rows - 1, 0)), dim=1).indices if rows else others_RR.long()
    return torch.zeros_like(others_RR, dtype=torch.bool).scatter(1, chosen, True) & others_RR.isfinite()


def _wrong_less_right(sims_RC: Tensor, columns_R: Tensor, partial_RR: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return S[wrong] - S[right] of every pair, both directions, and whether the wrong one fits partly; both `[P]`."""
    rows = len(columns_R)
    if partial_RR is None:
        partial_RR = torch.zeros(rows, rows, dtype=torch.bool, device=sims_RC.device)
    right_R1 = sims_RC.gather(1, columns_R[:, None])
    is_partial_RC = torch.zeros_like(sims_RC, dtype=torch.bool)
    is_partial_RC[:, columns_R] = partial_RR
    is_wrong_RC = torch.ones_like(sims_RC, dtype=torch.bool).scatter(1, columns_R[:, None], False)
    is_wrong_RR = is_wrong_RC[:, columns_R]
    clips_RR = sims_RC[:, columns_R].T
    differences = [(sims_RC - right_R1)[is_wrong_RC], (clips_RR - right_R1)[is_wrong_RR]]
    return torch.cat(differences), torch.cat([is_partial_RC[is_wrong_RC], partial_RR[is_wrong_RR]])


def _mean(terms_P: Tensor) -> Tensor:
    return terms_P.mean() if len(terms_P) else terms_P.sum()
