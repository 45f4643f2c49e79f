"""Carrying out a plan: stores are opened, portions worked off here or on a cluster, what is done is committed.

Features count in the order shard, manifest, log line; a process killed between two of them leaves work that is done
again, never features that are wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Literal

import pyarrow as pa

from polyreel.data.feature_care import tidy
from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.data.feature_shards import MANIFEST, Entry
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.data.remote import RemoteStore
from polyreel.errors import FingerprintError, saying_which_extra
from polyreel.progress import Progress
from polyreel.video.bench import Target
from polyreel.video.extractors import Extractor
from polyreel.video.files import is_url
from polyreel.video.journal import Journal
from polyreel.video.plan import Plan, VideoClips, make_plan
from polyreel.video.portion import FileResult, Job, Told
from polyreel.video.workers import DonePortion, Place, work_locally

COMMIT_SECONDS = 10.0  # a process that is killed loses so much work, and the portions that were under way


@dataclass(frozen=True, kw_only=True)
class ExtractionSettings:
    """How a run goes about its work; only the first two decide what the features are.

    Attributes:
        sampling: which frames are looked at.
        number_type: what rows are kept in.
        num_workers: how many files are decoded at a time; None means one a core of this machine.
        is_whole: files are recognised by all of their bytes, which are read anew every time.
        cluster: address of a Ray cluster, "auto" for the one this machine belongs to; None works here.
    """

    sampling: Sampling = field(default_factory=Sampling)
    number_type: Literal["float32", "float16"] = "float32"
    num_workers: int | None = None
    is_whole: bool = False
    cluster: str | None = None


DEFAULTS = ExtractionSettings()


@dataclass(kw_only=True)
class _Side:
    """One extractor's part in a run: its store, and the entries that are to be committed."""

    target: Target
    writer: FeatureWriter
    remote: RemoteStore | None
    waiting: list[Entry] = field(default_factory=list)

    def commit(self, removed: Sequence[str] = ()) -> None:
        entries, self.waiting = self.waiting, []
        if entries or removed:
            self.writer.commit(entries, removed=removed)

    def send(self) -> None:
        if self.remote is not None:
            self.remote.send()


def run_plan(
    listing: Sequence[VideoClips],
    extractors: Sequence[Extractor],
    places: Sequence[Path | str],
    settings: ExtractionSettings,
    progress: Progress,
) -> tuple[list[FeatureStore], dict[str, str]]:
    """Bring stores up to date with a listing.

    Args:
        listing: all files and their clips.
        extractors: what makes rows of frames.
        places: the store of each, a folder or a URL.
        settings: which frames, and how the work is done.
        progress: told after every file.

    Returns:
        The stores, opened, and why clips failed, by clip id.
    """
    with ExitStack() as stack:
        sides = [
            stack.enter_context(_opened(extractor, place, settings))
            for extractor, place in zip(extractors, places, strict=True)
        ]
        plan = make_plan(listing, [side.writer.manifest for side in sides], is_whole=settings.is_whole)
        in_use = [side.writer.shard_numbers() for side in sides]
        for side, known, removed in zip(sides, plan.known, plan.removed, strict=True):
            side.waiting = list(known)
            side.commit(removed)
        todo = [work.file for work in plan.todo]
        num_bytes = sum(file.size_bytes for file in todo)
        journal = Journal([side.writer.folder for side in sides], len(todo), num_bytes, progress)
        committer = _Committer(sides, journal)
        try:
            for done in _work(plan, sides, settings, journal.note):
                committer.take(done)
        finally:
            committer.commit()
        for side, numbers in zip(sides, in_use, strict=True):
            if side.remote is None:
                tidy(side.writer, in_use=numbers)
        stores = [FeatureStore(side.writer.folder, side.writer.settings, side.writer.manifest) for side in sides]
    return stores, journal.failures


def manifest_at(place: Path | str, made_by: FeatureSettings) -> pa.Table:
    """Read the manifest of a store, or an empty one where there is none yet.

    Raises:
        FingerprintError: the store holds features made otherwise.
    """
    with TemporaryDirectory(prefix="polyreel-") as temporary:
        folder = Path(place)
        if is_url(place):
            folder = Path(temporary)
            RemoteStore(str(place), folder).fetch()
        if not (folder / "store.json").is_file():
            return MANIFEST.empty_table()
        store = FeatureStore.open(folder)
        if difference := store.settings.difference(made_by):
            raise FingerprintError(f"{place} holds features made otherwise: {difference}; name another folder")
        return store.manifest


def feature_settings(extractor: Extractor, sampling: Sampling) -> FeatureSettings:
    """Describe the features that an extractor makes of frames chosen so."""
    return FeatureSettings(
        extractor=extractor.name,
        extractor_fingerprint=extractor.fingerprint,
        dim=extractor.dim,
        source=extractor.source,
        sampling=sampling,
    )


@contextmanager
def _opened(extractor: Extractor, place: Path | str, settings: ExtractionSettings) -> Iterator[_Side]:
    """Open a store for writing; one under a URL through a folder that goes when the run ends."""
    target = Target(extractor=extractor, dtype=settings.number_type)
    made_by = feature_settings(extractor, settings.sampling)
    if not is_url(place):
        with FeatureWriter(Path(place), made_by) as writer:
            yield _Side(target=target, writer=writer, remote=None)
        return
    with TemporaryDirectory(prefix="polyreel-") as folder:
        remote = RemoteStore(str(place), Path(folder))
        remote.fetch()
        with FeatureWriter(Path(folder), made_by) as writer:
            yield _Side(target=target, writer=writer, remote=remote)
            remote.send()


def _work(plan: Plan, sides: Sequence[_Side], settings: ExtractionSettings, told: Told) -> Iterator[DonePortion]:
    places = [Place(folder=side.writer.folder, first_number=side.writer.free_number()) for side in sides]
    targets = [side.target for side in sides]
    job = Job(targets=targets, sampling=settings.sampling, is_whole=settings.is_whole)
    num_workers = settings.num_workers or cpu_count() or 1
    if settings.cluster is None or not plan.portions:
        return work_locally(plan.portions, job, places, num_workers=num_workers, told=told)
    with saying_which_extra("extraction on a cluster"):
        from polyreel.video.cluster import work_on_cluster

    return work_on_cluster(plan.portions, job, places, num_workers=num_workers, address=settings.cluster, told=told)


class _Committer:
    """Commits portions now and then, and at the end, whatever ends the run."""

    def __init__(self, sides: Sequence[_Side], journal: Journal) -> None:
        self._sides, self._journal = sides, journal
        self._results: list[FileResult] = []
        self._committed_at = monotonic()

    def take(self, done: DonePortion) -> None:
        for side, entries in zip(self._sides, done.entries, strict=True):
            side.waiting += entries
        self._results += done.results
        if monotonic() - self._committed_at > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        for side in self._sides:
            side.commit()
        self._journal.write(self._results)
        for side in self._sides:
            side.send()
        self._results, self._committed_at = [], monotonic()
