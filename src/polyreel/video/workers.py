"""Portions worked off on this machine: decoders in threads, the network beside them.

Threads are enough, because the decoder, the scaler and the networks let go of Python's lock while they work. So many
portions are in work as there are decoders, and each has two batches at most under way: that bounds the memory.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

from polyreel.data.feature_shards import Entry, writing_shard
from polyreel.video.bench import Submit
from polyreel.video.plan import Portion
from polyreel.video.portion import FileResult, Job, Told, work_off


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


class _Stopped(Exception):
    """The run is to end; portions that are under way are given up."""


def work_locally(
    portions: Sequence[Portion], job: Job, places: Sequence[Place], *, num_workers: int, told: Told
) -> Iterator[DonePortion]:
    """Work portions off with threads, and yield each when it is done, in whatever order that is.

    Args:
        portions: what is to be done.
        job: the extractors, and which frames.
        places: where the rows of each extractor go.
        num_workers: how many files are decoded at a time.
        told: told what share of a file is decoded, by whichever thread does it.
    """
    stop = Event()
    todo = iter(portions)

    def told_or_stopped(result: FileResult, share: float) -> None:
        if stop.is_set():
            raise _Stopped
        told(result, share)

    with ThreadPoolExecutor(1, "network") as network, ThreadPoolExecutor(num_workers, "decoder") as decoders:

        def start(portion: Portion) -> "Future[DonePortion]":
            return decoders.submit(work_into_shards, portion, job, places, network.submit, told_or_stopped)

        running = {start(portion) for portion in islice(todo, num_workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {start(portion) for portion in islice(todo, len(done))}
                yield from (future.result() for future in done)
        finally:
            stop.set()


def work_into_shards(portion: Portion, job: Job, places: Sequence[Place], submit: Submit, told: Told) -> DonePortion:
    """Work one portion off into one shard an extractor."""
    with ExitStack() as stack:
        shards = [
            stack.enter_context(
                writing_shard(place.folder, place.first_number + portion.number, target.extractor.dim, target.dtype)
            )
            for target, place in zip(job.targets, places, strict=True)
        ]
        results = work_off(portion, job, shards, submit, told)
    return DonePortion(results=results, entries=[shard.entries for shard in shards])
