"""Portions worked off by a Ray cluster: files are the dataset, the extractors an actor pool (Ray Data).

A worker does with a portion exactly what a thread of one machine does, into shards of its own, and sends their bytes
back; the machine that started the run is the only one to write the stores. Workers open files and extractors by the
same paths or URLs, so these lie on a shared disk, under a URL, or at the same place on every machine. Portions of a
worker that is lost are given to another.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import ray
import ray.data

from polyreel.data.feature_shards import shard_name
from polyreel.errors import FingerprintError
from polyreel.storage import write_aside
from polyreel.video.bench import Target
from polyreel.video.extractors import open_extractor
from polyreel.video.plan import Portion
from polyreel.video.portion import FileResult, Job, Told
from polyreel.video.workers import DonePortion, Place, work_into_shards


class Worker:
    """One actor: it opens the extractors once and works off portions, one at a time.

    Args:
        sources: what `open_extractor` takes, for each extractor.
        fingerprints: what the extractors are, lest a worker's file be another one.
        job: the run's, without its extractors.
        dtypes: what the rows of each are kept in.
        first_numbers: number of the shard of portion 0, for each.
    """

    def __init__(
        self,
        sources: Sequence[str],
        fingerprints: Sequence[str],
        job: Job,
        dtypes: Sequence[str],
        first_numbers: Sequence[int],
    ) -> None:
        extractors = [open_extractor(source) for source in sources]
        for source, wanted, found in zip(sources, fingerprints, extractors, strict=True):
            if found.fingerprint != wanted:
                raise FingerprintError(f"{source} is another file on this worker; put the same on every machine")
        targets = [Target(extractor=one, dtype=dtype) for one, dtype in zip(extractors, dtypes, strict=True)]
        self._job = replace(job, targets=targets)
        self._first_numbers = first_numbers

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list[bytes]]:
        """Work off the portions of a batch, which are pickled, and return what came out, pickled."""
        return {"done": [self._work(pickle.loads(portion)) for portion in batch["portion"]]}

    def _work(self, portion: Portion) -> bytes:
        with TemporaryDirectory(prefix="polyreel-") as folder, ThreadPoolExecutor(1) as network:
            places = [
                Place(folder=Path(folder) / str(position), first_number=number)
                for position, number in enumerate(self._first_numbers)
            ]
            done = work_into_shards(portion, self._job, places, network.submit, _untold)
            shards = [(place.folder / shard_name(_number(place, portion))).read_bytes() for place in places]
            return pickle.dumps((portion.number, done, shards))


def work_on_cluster(
    portions: Sequence[Portion], job: Job, places: Sequence[Place], *, num_workers: int, address: str, told: Told
) -> Iterator[DonePortion]:
    """Work portions off with the workers of a Ray cluster, and yield each when it has come back.

    Args:
        portions: what is to be done.
        job: the extractors, which workers open by their sources, and which frames.
        places: where the rows of each extractor go.
        num_workers: how many actors, each with a processor of its own.
        address: of the cluster, "auto" for the one this machine belongs to.
        told: told which files are done.

    Raises:
        ConnectionError: there is no cluster at this address.
    """
    is_ours = not ray.is_initialized()
    if is_ours:
        ray.init(address=address, log_to_driver=False)
    try:
        items = [{"portion": pickle.dumps(portion)} for portion in portions]
        extractors = [target.extractor for target in job.targets]
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(num_workers, len(items))),
            fn_constructor_args=(
                [one.source for one in extractors],
                [one.fingerprint for one in extractors],
                replace(job, targets=()),
                [target.dtype for target in job.targets],
                [place.first_number for place in places],
            ),
            num_cpus=1,
        )
        for row in dataset.iter_rows():
            number, done, shards = cast("tuple[int, DonePortion, list[bytes]]", pickle.loads(row["done"]))
            for place, content in zip(places, shards, strict=True):
                with write_aside(place.folder / shard_name(place.first_number + number)) as aside:
                    aside.write_bytes(content)
            for result in done.results:
                told(result, 1.0)
            yield done
    finally:
        if is_ours:
            ray.shutdown()


def _untold(result: FileResult, share: float) -> None:
    """Tell nobody; the machine that started the run learns it when a portion comes back."""


def _number(place: Place, portion: Portion) -> int:
    return place.first_number + portion.number
