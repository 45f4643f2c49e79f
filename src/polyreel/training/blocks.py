"""The paper's terms a block of rows at a time, so that no whole matrix of similarities is ever in memory.

Both terms are the same loss in two directions: of texts over clips, and of clips over texts. In either direction a
row's loss needs this row of the similarities alone, so some rows are compared, their loss sent back to the embeddings,
and their similarities forgotten. Sums are the same but for the order of additions. Other terms look at whole matrices.

Shapes: `R` texts of one language, `C` clips, `V` texts a term is about, `K` teachers, `D` dims; `Q` rows that ask and
`M` candidates: texts and clips in one direction, clips and texts in the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.objectives import divergence, pool_teachers
from polyreel.training.scored import AskedLang
from polyreel.training.terms import Loss, weight_of

IN_BLOCKS = ("contrastive", "distillation")
ROWS_AT_ONCE = 256

RowsLoss = Callable[[Tensor, list[Tensor], Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Side:
    """Texts or clips that take part in a term.

    Attributes:
        embeddings_ND: the student's, of all texts or clips.
        grad_ND: their gradient so far.
        rows_Q: which of them take part.
        teachers: the teachers' embeddings `[Q, D]` of those that take part, one matrix a teacher.
    """

    embeddings_ND: Tensor
    grad_ND: Tensor
    rows_Q: Tensor
    teachers: tuple[Tensor, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term about one language.

    Attributes:
        loss: of some rows, given their similarities `[Q, M]`, each teacher's, and their right candidates.
        rows_V: the texts it is about.
        columns_V: their clips.
        weights_V: how much each counts.
        is_closed: whether only these clips are candidates, not all of the batch.
        heard: the teachers' embeddings `[V, D]` of the texts, one matrix a teacher.
        seen: and `[C, D]` of the batch's clips.
    """

    loss: RowsLoss
    rows_V: Tensor
    columns_V: Tensor
    weights_V: Tensor
    is_closed: bool
    heard: tuple[Tensor, ...]
    seen: tuple[Tensor, ...]


def descend_in_blocks(
    settings: ObjectiveSettings,
    lang: str,
    asked: AskedLang,
    clips: tuple[Tensor, Tensor],
    texts: tuple[Tensor, Tensor],
    *,
    teachers_lang: str,
    teacher_weights_K: Tensor | None = None,
) -> Loss:
    """Compute those terms of one language that can be cut, and add their weighted gradients to what is there.

    Args:
        settings: the weights, and what the terms read.
        lang: the language.
        asked: what is known of its rows.
        clips: unit embeddings `[C, D]` of the batch's clips, and their gradient so far.
        texts: unit embeddings `[R, D]` of the language's texts, and their gradient so far.
        teachers_lang: the language the teachers read.
        teacher_weights_K: how "learnt" pooling weighs the teachers; no gradient flows into them here.

    Returns:
        The weighted sum of these terms and the unweighted terms, without graph.
    """
    total, parts = clips[0].new_zeros(()), {}
    for name in IN_BLOCKS:
        if name in settings.active_terms:
            is_taught = name == "distillation"
            term = _taught(settings, asked, teacher_weights_K) if is_taught else _contrasted(settings, asked)
            weight = weight_of(settings, name, lang, teachers_lang)
            parts[f"{name}/{lang}"] = _both_ways(term, weight, clips, texts)
            total = total + weight * parts[f"{name}/{lang}"]
    return Loss(total=total, parts=parts)


def _both_ways(term: Term, weight: float, clips: tuple[Tensor, Tensor], texts: tuple[Tensor, Tensor]) -> Tensor:
    """Return a term, and add its gradients, times its weight, to those of the embeddings."""
    every_C, own_V = (torch.arange(size, device=clips[0].device) for size in (len(clips[0]), len(term.rows_V)))
    seen_V = tuple(seen_CD[term.columns_V] for seen_CD in term.seen)
    asking = Side(embeddings_ND=texts[0], grad_ND=texts[1], rows_Q=term.rows_V, teachers=term.heard)
    own = Side(embeddings_ND=clips[0], grad_ND=clips[1], rows_Q=term.columns_V, teachers=seen_V)
    every = Side(embeddings_ND=clips[0], grad_ND=clips[1], rows_Q=every_C, teachers=term.seen)
    by_text = (asking, own, own_V) if term.is_closed else (asking, every, term.columns_V)
    return _one_way(term, weight, *by_text) + _one_way(term, weight, own, asking, own_V)


def _one_way(term: Term, weight: float, asking: Side, candidates: Side, own_Q: Tensor) -> Tensor:
    asking_QD = asking.embeddings_ND.detach()[asking.rows_Q]
    candidates_MD = candidates.embeddings_ND.detach()[candidates.rows_Q].requires_grad_()
    total, grad_QD, grad_MD = asking_QD.new_zeros(()), torch.zeros_like(asking_QD), torch.zeros_like(candidates_MD)
    share_V = term.weights_V.to(asking_QD.dtype) / term.weights_V.to(asking_QD.dtype).sum()
    for first in range(0, len(own_Q), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        rows_QD = asking_QD[part].requires_grad_()
        pairs = zip(asking.teachers, candidates.teachers, strict=True)
        taught = [rows_ND[part] @ candidates_ND.T for rows_ND, candidates_ND in pairs]
        losses_Q = term.loss(rows_QD @ candidates_MD.T, taught, own_Q[part])
        loss = (losses_Q * share_V[part]).sum()
        grad_QD[part], grad_of_block_MD = torch.autograd.grad(loss, (rows_QD, candidates_MD))
        grad_MD += grad_of_block_MD
        total = total + loss.detach()
    asking.grad_ND.index_add_(0, asking.rows_Q, weight * grad_QD)
    candidates.grad_ND.index_add_(0, candidates.rows_Q, weight * grad_MD)
    return total


def _contrasted(settings: ObjectiveSettings, asked: AskedLang) -> Term:
    """`objectives.contrastive`."""
    counted_R = torch.arange(len(asked.columns_R), device=asked.columns_R.device)
    rows_V = counted_R if asked.counted_R is None else asked.counted_R

    def loss_Q(sims_QM: Tensor, _: list[Tensor], own_Q: Tensor) -> Tensor:
        return cross_entropy(sims_QM / settings.temperature, own_Q, reduction="none")

    return _term(loss_Q, asked, rows_V, is_closed=asked.counted_R is not None)


def _taught(settings: ObjectiveSettings, asked: AskedLang, weights_K: Tensor | None) -> Term:
    """`objectives.distillation`, averaged over the teachers that are left after pooling."""
    assert asked.rows_V is not None
    fixed_K, temperature = None if weights_K is None else weights_K.detach(), settings.distillation_temperature

    def loss_Q(sims_QM: Tensor, teachers: list[Tensor], _: Tensor) -> Tensor:
        pooled_KQM = pool_teachers(torch.stack(teachers), settings.teacher_pooling, fixed_K)
        return torch.stack([divergence(sims_QM / temperature, one_QM / temperature) for one_QM in pooled_KQM]).mean(0)

    return _term(loss_Q, asked, asked.rows_V, heard=asked.heard, seen=asked.seen)


def _term(
    loss: RowsLoss,
    asked: AskedLang,
    rows_V: Tensor,
    *,
    is_closed: bool = False,
    heard: tuple[Tensor, ...] = (),
    seen: tuple[Tensor, ...] = (),
) -> Term:
    weights_V = torch.ones(len(rows_V), device=rows_V.device) if asked.weights_R is None else asked.weights_R[rows_V]
    return Term(
        loss=loss,
        rows_V=rows_V,
        columns_V=asked.columns_R[rows_V],
        weights_V=weights_V,
        is_closed=is_closed,
        heard=heard,
        seen=seen,
    )
