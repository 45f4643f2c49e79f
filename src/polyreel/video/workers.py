"""Portions worked off on this machine: decoders in threads, the network beside them.

Threads are enough, because the decoder, the scaler and the networks let go of Python's lock while they work. So many
portions are in work as there are decoders, and each has two batches at most under way: that bounds the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

from polyreel.data.feature_shards import Entry, writing_shard
from polyreel.video.bench import Submit
from polyreel.video.plan import Portion
from polyreel.video.portion import FileResult, Job, work_off


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the rows of one extractor go.

    Attributes:
        folder: a store, or where its shards wait to be taken there.
        first_number: number of the shard of portion 0; the others follow.
    """

    folder: Path
    first_number: int


@dataclass(frozen=True, kw_only=True)
class DonePortion:
    """What came out of a portion.

    Attributes:
        results: what became of each file.
        entries: by extractor, where the rows lie in its shard.
    """

    results: Sequence[FileResult]
    entries: Sequence[Sequence[Entry]]


def work_locally(
    portions: Sequence[Portion], job: Job, places: Sequence[Place], *, num_workers: int
) -> Iterator[DonePortion]:
    """Work portions off with threads, and yield each when it is done, in whatever order that is.

    Args:
        portions: what is to be done.
        job: the extractors, and which frames.
        places: where the rows of each extractor go.
        num_workers: how many files are decoded at a time.
    """
    stop = Event()
    todo = iter(portions)
    with ThreadPoolExecutor(1, "network") as network, ThreadPoolExecutor(num_workers, "decoder") as decoders:

        def start(portion: Portion) -> "Future[DonePortion]":
            return decoders.submit(work_into_shards, portion, job, places, network.submit, stop.is_set)

        running = {start(portion) for portion in islice(todo, num_workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {start(portion) for portion in islice(todo, len(done))}
                yield from (future.result() for future in done)
        finally:
            stop.set()


def work_into_shards(
    portion: Portion, job: Job, places: Sequence[Place], submit: Submit, is_stopped: Callable[[], bool]
) -> DonePortion:
    """Work one portion off into one shard an extractor.

    Raises:
        Stopped: the run is to end.
    """
    with ExitStack() as stack:
        shards = [
            stack.enter_context(
                writing_shard(place.folder, place.first_number + portion.number, target.extractor.dim, target.dtype)
            )
            for target, place in zip(job.targets, places, strict=True)
        ]
        results = work_off(portion, job, shards, submit, is_stopped)
    return DonePortion(results=results, entries=[shard.entries for shard in shards])
