"""From a batch to gradients: in one piece, or cut between the embeddings and what is said of them.

In one piece, the loss of the whole batch is one graph. Cut, the loss is computed of the embeddings alone, one language
after the other, so that one language's similarities are in memory at a time; then every process sends the gradient of
its own embeddings through the towers, chunk by chunk. Sums are the same but for the order of additions.

Shapes: `B` clips, `N` captions, `K` teachers, `D` dims.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from polyreel.training.batches import ParallelBatch
from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.processes import Processes
from polyreel.training.scoring import Scorer
from polyreel.training.terms import Loss, objective

Backward = Callable[[], None]


def in_one_piece(
    scorer: Scorer, settings: ObjectiveSettings, batch: ParallelBatch, weights_K: Tensor | None
) -> tuple[Loss, Backward]:
    """Return the loss, and what adds its gradients to those of the weights."""
    loss = objective(settings, scorer.score(batch, weights_K))
    return loss, loss.total.backward


def cut_at_embeddings(
    scorer: Scorer, settings: ObjectiveSettings, batch: ParallelBatch, weights_K: Tensor | None, processes: Processes
) -> tuple[Loss, Backward]:
    """Return the loss of the batch of all processes, and what adds its gradients to those of the weights.

    DDP and FSDP2 average gradients over processes. Here each process has the gradient of its own share of the rows,
    and their sum is wanted: hence times their count.
    """
    rows_N = batch.rows_N
    shares = processes.share(len(batch.clips_B)), processes.share(len(rows_N))
    own = scorer.embedder(batch.clips_B[shares[0]], rows_N[shares[1]])
    clips_BD = processes.gather(own[0], len(batch.clips_B)).requires_grad_()
    texts_ND = processes.gather(own[1], len(rows_N)).requires_grad_()
    fixed_K = None if weights_K is None else weights_K.detach().requires_grad_()
    total, first = torch.zeros((), device=texts_ND.device), 0
    parts: dict[str, Tensor] = {}
    for part in _by_lang(settings, batch):
        last = first + len(part.rows_N)
        loss = objective(settings, scorer.compare(part, (clips_BD, texts_ND[first:last]), fixed_K))
        if loss.total.requires_grad:
            loss.total.backward()  # type: ignore[no-untyped-call]
        total, first, parts = total + loss.total.detach(), last, parts | loss.parts

    def backward() -> None:
        reached, grads = [], []
        for rows, grad, share in ((own[0], clips_BD.grad, shares[0]), (own[1], texts_ND.grad, shares[1])):
            if rows.requires_grad and grad is not None:
                reached.append(rows)
                grads.append(grad[share] * processes.count)
        torch.autograd.backward(reached, grads)
        if weights_K is not None and fixed_K is not None:
            weights_K.backward(fixed_K.grad)  # type: ignore[no-untyped-call]

    return Loss(total=total, parts=parts), backward


def _by_lang(settings: ObjectiveSettings, batch: ParallelBatch) -> list[ParallelBatch]:
    """Return one batch a language, and one a language of pairs; or the whole where a term compares languages."""
    if settings.compares_langs:
        return [batch]
    alone = replace(batch, by_lang={}, pairs={})
    parts = [replace(alone, by_lang={lang: part}) for lang, part in batch.by_lang.items()]
    return [*parts, *(replace(alone, pairs={lang: part}) for lang, part in batch.pairs.items())]
