"""Who carries out a plan: this process, or the machines of a Ray cluster.

Both give each translator the very batches of the plan, so with a translator whose texts depend on its batch alone (all
but sampling ones) they give the same texts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from polyreel.errors import DataError, saying_which_extra
from polyreel.translation.planning import Job
from polyreel.translation.translator import Translated, Translator

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one batch.

    Attributes:
        job: its number in the plan.
        translated: the translations; None where it failed.
        fault: why it failed.
    """

    job: int
    translated: Translated | None
    fault: str = ""


class Workers(Protocol):
    """Carries out a plan, in any order."""

    def __call__(self, translator: Translator, jobs: Sequence[Job], source_lang: str) -> Iterator[Outcome]:
        """Yield the outcome of every job as it comes."""


def one_by_one(translator: Translator, jobs: Sequence[Job], source_lang: str) -> Iterator[Outcome]:
    """Carry out a plan in this process."""
    for number, job in enumerate(jobs):
        yield _outcome(translator, number, job, source_lang)


def on_ray(open_translator: Callable[[], Translator], workers: int, *, gpus_each: float = 0) -> Workers:
    """Return workers on the Ray cluster this process is connected to, or on one it starts on this machine.

    Args:
        open_translator: opens the translator anew in each worker; it is sent there, so it must be picklable.
        workers: how many translate at the same time.
        gpus_each: GPUs, or parts of one, for each.
    """

    def carry_out(translator: Translator, jobs: Sequence[Job], source_lang: str) -> Iterator[Outcome]:
        with saying_which_extra("translating on Ray"):
            import ray.data

        rows = [{"number": number, "job": job} for number, job in enumerate(jobs)]
        done = ray.data.from_items(rows, override_num_blocks=max(1, min(len(rows), 4 * workers))).map_batches(
            _RayWorker,
            fn_constructor_args=(open_translator, source_lang),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_gpus=gpus_each or None,
        )
        for row in done.iter_rows():
            yield row["outcome"]

    return carry_out


class _RayWorker:
    """A translator in a process of Ray's."""

    def __init__(self, open_translator: Callable[[], Translator], source_lang: str) -> None:
        self._translator = open_translator()
        self._source_lang = source_lang

    def __call__(self, batch: "Mapping[str, np.ndarray]") -> dict[str, list[Outcome]]:
        pairs = zip(batch["number"], batch["job"], strict=True)
        return {"outcome": [_outcome(self._translator, int(number), job, self._source_lang) for number, job in pairs]}


def _outcome(translator: Translator, number: int, job: Job, source_lang: str) -> Outcome:
    try:
        return Outcome(job=number, translated=translator(job.sentences, source_lang, job.lang))
    except DataError as error:
        return Outcome(job=number, translated=None, fault=str(error))
