"""A run's curves as TensorBoard files, which TensorBoard and most other trackers read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyreel.errors import saying_which_extra
from polyreel.training.watching import Seen, Watch


@contextmanager
def tensorboard(folder: Path, *, after_step: int = 0) -> Iterator[Watch]:
    """Give a watch that writes what it sees into a folder of event files.

    Args:
        folder: `tensorboard --logdir` shows it.
        after_step: what was written of later steps is hidden: a resumed run does them again.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    with saying_which_extra("--track"):
        from torch.utils.tensorboard import SummaryWriter
    writer = SummaryWriter(str(folder), purge_step=after_step + 1 if after_step else None)

    def write(seen: Seen) -> None:
        values = {f"loss/{name}": value for name, value in {"total": seen.loss, **seen.parts}.items()}
        values |= {f"val R@10/{lang}": value for lang, value in (seen.recall or {}).items()}
        values |= {
            "training/learning rate": seen.learning_rate,
            "training/gradient norm": seen.gradient_norm,
            "training/captions per second": seen.captions_per_second,
            "training/memory in bytes": seen.memory_bytes,
        }
        for name, value in values.items():
            writer.add_scalar(name, value, seen.step)

    try:
        yield write
    finally:
        writer.close()
