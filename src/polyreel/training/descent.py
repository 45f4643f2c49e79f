"""From a batch to gradients: in one piece, or cut between the embeddings and what is said of them.

In one piece, the loss of the whole batch is one graph. Cut, the loss is computed of the embeddings alone, one language
after the other, and the paper's terms a block of rows at a time (`blocks.py`); then every process sends the gradient of
its own embeddings through the towers, chunk by chunk. Sums are the same but for the order of additions.

Shapes: `B` clips, `N` captions, `R` captions of a part of the batch, `K` teachers, `D` dims.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from polyreel.training.batches import ParallelBatch
from polyreel.training.blocks import IN_BLOCKS, descend_in_blocks
from polyreel.training.objective_settings import ObjectiveSettings
from polyreel.training.processes import Processes
from polyreel.training.scoring import Scorer
from polyreel.training.terms import Loss, objective

Backward = Callable[[], None]
Pair = tuple[Tensor, Tensor]  # of clips, of texts


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
    sizes = len(batch.clips_B), len(batch.rows_N)
    shares = processes.share(sizes[0]), processes.share(sizes[1])
    own = scorer.embedder(batch.clips_B[shares[0]], batch.rows_N[shares[1]])
    embedded = processes.gather(own[0], sizes[0]), processes.gather(own[1], sizes[1])
    grads = torch.zeros_like(embedded[0]), torch.zeros_like(embedded[1])
    fixed_K = None if weights_K is None else weights_K.detach().requires_grad_()
    losses = list(descend_by_lang(scorer, settings, batch, embedded, grads, fixed_K))

    def backward() -> None:
        reached = [rows for rows in own if rows.requires_grad]
        pairs = zip(own, grads, shares, strict=True)
        torch.autograd.backward(
            reached, [grad[share] * processes.count for rows, grad, share in pairs if rows.requires_grad]
        )
        if weights_K is not None and fixed_K is not None:
            weights_K.backward(fixed_K.grad)  # type: ignore[no-untyped-call]

    total = torch.stack([loss.total for loss in losses]).sum()
    return Loss(total=total, parts={name: part for loss in losses for name, part in loss.parts.items()}), backward


def descend_by_lang(
    scorer: Scorer,
    settings: ObjectiveSettings,
    batch: ParallelBatch,
    embedded: Pair,
    grads: Pair,
    weights_K: Tensor | None,
) -> Iterator[Loss]:
    """Yield the parts of a batch's loss, after adding their gradients to those of the embeddings.

    The gradient of the teachers' weights is added to theirs.

    Args:
        scorer: knows what teachers say.
        settings: the objective.
        batch: clips, captions of all languages, and pairs.
        embedded: their embeddings.
        grads: the embeddings' gradients so far.
        weights_K: the teachers' weights, where they are learnt; a leaf.
    """
    for part, rows in _parts(replace(batch, pairs={}), is_whole=False):
        [(lang, captions)] = part.by_lang.items()
        yield descend_in_blocks(
            settings,
            lang,
            scorer.ask(lang, captions, batch.clips_B),
            (embedded[0], grads[0]),
            (embedded[1][rows], grads[1][rows]),
            teachers_lang=scorer.teachers_lang,
            teacher_weights_K=weights_K,
        )
    is_in_blocks = weights_K is None and set(settings.active_terms) <= set(IN_BLOCKS)
    for part, rows in _parts(batch, is_whole=settings.compares_langs):
        if is_in_blocks and not part.pairs:
            continue
        leaves = embedded[0].detach().requires_grad_(), embedded[1][rows].detach().requires_grad_()
        loss = objective(settings, scorer.compare(part, leaves, weights_K), but=IN_BLOCKS)
        if loss.total.requires_grad:
            loss.total.backward()  # type: ignore[no-untyped-call]
        for leaf, grad in zip(leaves, (grads[0], grads[1][rows]), strict=True):
            if leaf.grad is not None:
                grad += leaf.grad
        yield Loss(total=loss.total.detach(), parts=loss.parts)


def _parts(batch: ParallelBatch, *, is_whole: bool) -> Iterator[tuple[ParallelBatch, slice]]:
    """Yield one batch a language and one a language of pairs, or the whole, each with the places of its texts."""
    if is_whole:
        yield batch, slice(0, len(batch.rows_N))
        return
    first, alone = 0, replace(batch, by_lang={}, pairs={})
    parts = [replace(alone, by_lang={lang: part}) for lang, part in batch.by_lang.items()]
    for part in [*parts, *(replace(alone, pairs={lang: rows}) for lang, rows in batch.pairs.items())]:
        last = first + len(part.rows_N)
        yield part, slice(first, last)
        first = last
