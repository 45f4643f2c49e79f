"""What stops a run from within: a loss that is no number, memory or disk that is not enough. Said with what to do.

Shapes: `R` rows (captions of one language in the batch).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from polyreel.data.dataset import Dataset
from polyreel.errors import TrainingError
from polyreel.storage import Json
from polyreel.training.batches import CaptionTable, ParallelBatch
from polyreel.training.processes import whole
from polyreel.training.recipes import Recipe
from polyreel.training.terms import Loss

SHOWN_ROWS = 3
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def batch_record(batch: ParallelBatch, table: CaptionTable, learnt: Dataset) -> list[dict[str, Json]]:
    """Return clip id, language, caption id and text of every caption of a batch."""
    ids = [table.sentence_ids[sentence] for part in batch.by_lang.values() for sentence in part.sentences_R]
    is_there = pc.is_in(learnt.captions["caption_id"], value_set=pa.array(ids, pa.string()))
    captions = learnt.captions.filter(is_there)
    keys = zip(captions["caption_id"].to_pylist(), captions["lang"].to_pylist(), strict=True)
    text_of = dict(zip(keys, captions["text"].to_pylist(), strict=True))
    return [
        {"clip_id": table.clip_ids[batch.clips_B[column]], "lang": lang, "caption_id": caption_id, "text": text}
        for lang, part in batch.by_lang.items()
        for column, sentence in zip(part.columns_R, part.sentences_R, strict=True)
        for caption_id in [table.sentence_ids[sentence]]
        for text in [text_of[caption_id, lang]]
    ]


def is_finite(model: nn.Module) -> bool:
    """Tell whether all weights are numbers."""
    return all(bool(torch.isfinite(whole(weight.detach())).all()) for weight in model.parameters())


def no_number(loss: Loss, record: list[dict[str, Json]], step: int, *, is_late: bool, saved: str) -> TrainingError:
    """Say that a loss is no number: where it was seen first, and on what.

    Args:
        loss: the loss.
        record: the batch it comes from, as `batch_record` gives its captions, and `Beyond.record` its pairs.
        step: steps done before.
        is_late: whether weights were no numbers before the step, so that the batch is that of the step before.
        saved: where state and batch were written.
    """
    wrong = [name for name, part in loss.parts.items() if not torch.isfinite(part)]
    parts = {(name.partition("/")[2], name.startswith("pair_")) for name in wrong}
    rows = [row for row in record if is_late or (row["lang"], "pair" in row) in parts] or record
    shown = "; ".join(_in_words(row) for row in rows[:SHOWN_ROWS])
    more = f"; and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    found = f"the loss is {loss.total.item()} at step {step} ({', '.join(wrong) or 'total'})"
    where = "after weights became no numbers on the batch before" if is_late else "on this batch"
    return TrainingError(
        f"{found}, {where}: {shown}{more}; all of it and the state are in {saved}; look at these captions and "
        "features, or lower optimizer.learning_rate or set optimizer.max_gradient_norm"
    )


def _in_words(row: dict[str, Json]) -> str:
    where = f"pair {row['pair']}" if "pair" in row else f"clip {row['clip_id']!r}"
    return f"{where}, {row['lang']}: {row['text']!r}"


@contextmanager
def naming_memory(recipe: Recipe, batch: ParallelBatch) -> Iterator[None]:
    """Say which setting to lower where a step needs more memory than there is.

    Raises:
        TrainingError: in place of what the allocator says.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise TrainingError(_too_large(recipe, batch)) from error


def _too_large(recipe: Recipe, batch: ParallelBatch) -> str:
    machine, num_clips = recipe.machine, len(batch.clips_B)
    found = f"memory is not enough for a step of {num_clips} clips and {len(batch.rows_N)} captions"
    chunk = machine.chunk or num_clips
    if chunk > 1:
        advice = f"set machine.chunk = {max(1, chunk // 2)}, which embeds fewer at a time and changes nothing else"
    elif not machine.recomputes:
        advice = "set machine.recomputes = true"
    else:
        advice = "lower batches.size, which changes what is learnt and so needs another folder"
    return f"{found}; {advice}; then go on with --resume"
