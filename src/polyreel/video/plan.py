"""What a run has to do: which files are new or changed, and in which portions they are worked off.

A file is passed over if path, size and time are those of its last run, or else if its content is. A file whose content
is known under another name was moved or copied, and its features are shared. The rest is cut into portions, the units
of work, of memory and of safety: the files of a portion share the network's batches, a portion is kept as a whole or
not at all, and which files it has depends on the listing alone. So a run that was stopped, or that many machines share,
computes the very batches that one run on one machine does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from polyreel.data.clips import Clip
from polyreel.data.feature_shards import Entry, Origin, entries_of
from polyreel.errors import VideoError
from polyreel.video.files import VideoFile, identify

PORTION_BYTES, PORTION_FILES = 256 * 2**20, 64
LEAST_PORTIONS = 16  # of a small library, so that there is work for all cores

Verdict = Literal["new", "changed", "unchanged", "touched", "moved or copied"]


@dataclass(frozen=True, kw_only=True)
class VideoClips:
    """A file and its clips.

    Attributes:
        file: the file.
        clips: the clips that are cut from it.
    """

    file: VideoFile
    clips: Sequence[Clip]


@dataclass(frozen=True, kw_only=True)
class VideoWork:
    """What is to be done with one file.

    Attributes:
        file: the file.
        clips: the clips to extract, for each of the run's extractors.
        identity: digest of the file, where it has been computed already.
    """

    file: VideoFile
    clips: Sequence[Sequence[Clip]]
    identity: str | None = None


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Files that are worked off together.

    Attributes:
        number: its place in the listing, from 0.
        works: the files, in the listing's order.
    """

    number: int
    works: Sequence[VideoWork]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        portions: what is to be extracted.
        verdicts: of each file, what was found; the same file may be new to one extractor only.
        known: by extractor, what its store should say of files that were touched, moved or copied.
        removed: by extractor, clips of files that have moved away.
    """

    portions: Sequence[Portion]
    verdicts: Sequence[tuple[VideoFile, Verdict]]
    known: Sequence[Sequence[Entry]]
    removed: Sequence[Sequence[str]]

    @property
    def todo(self) -> Iterator[VideoWork]:
        """The files to be extracted."""
        return (work for portion in self.portions for work in portion.works)


def make_plan(listing: Sequence[VideoClips], manifests: Sequence[pa.Table], *, is_whole: bool = False) -> Plan:
    """Compare a listing with what stores have.

    Args:
        listing: all files, in the order in which they are worked off.
        manifests: those of the stores, one for each extractor.
        is_whole: files are recognised by all of their bytes, every time, instead of by path, size and time first and
            samples then.
    """
    names = {video.file.name for video in listing}
    views = [_StoreView(manifest, names, is_whole) for manifest in manifests]
    portions, verdicts = [], []
    for number, part in enumerate(_parts(listing)):
        works = []
        for video in part:
            seen = [view.look_at(video) for view in views]
            verdicts.append((video.file, min((verdict for verdict, _ in seen), key=_WEIGHT.index)))
            if any(clips for _, clips in seen):
                identity = next((view.identity for view in views if view.identity), None)
                works.append(VideoWork(file=video.file, clips=[clips for _, clips in seen], identity=identity))
        if works:
            portions.append(Portion(number=number, works=works))
    return Plan(
        portions=portions,
        verdicts=verdicts,
        known=[view.known for view in views],
        removed=[view.removed() for view in views],
    )


_WEIGHT: list[Verdict] = ["new", "changed", "moved or copied", "touched", "unchanged"]


def _parts(listing: Sequence[VideoClips]) -> Iterator[list[VideoClips]]:
    most_files = min(PORTION_FILES, -(-len(listing) // LEAST_PORTIONS))
    most_bytes = min(PORTION_BYTES, sum(video.file.size_bytes for video in listing) / LEAST_PORTIONS)
    part: list[VideoClips] = []
    num_bytes = 0
    for video in listing:
        part.append(video)
        num_bytes += video.file.size_bytes
        if num_bytes >= most_bytes or len(part) >= most_files:
            yield part
            part, num_bytes = [], 0
    if part:
        yield part


class _StoreView:
    """One store, as a listing is compared with it.

    Attributes:
        identity: of the file looked at last, where it had to be computed.
        known: entries to be written: clips whose features are there under another name, place or time.
    """

    def __init__(self, manifest: pa.Table, names: set[str], is_whole: bool) -> None:
        self.identity: str | None = None
        self.known: list[Entry] = []
        self._names, self._is_whole = names, is_whole
        self._clips = {entry.clip_id: entry for entry in entries_of(manifest)}
        self._contents = {_content(entry.origin): entry for entry in self._clips.values()}
        self._sizes = {entry.origin.video_bytes for entry in self._clips.values()}

    def look_at(self, video: VideoClips) -> tuple[Verdict, Sequence[Clip]]:
        """Say what has become of a file, and which of its clips are to be extracted."""
        self.identity = None
        found = [self._look_at(video.file, clip) for clip in video.clips]
        todo = [clip for clip, verdict in zip(video.clips, found, strict=True) if verdict in ("new", "changed")]
        return min(found, key=_WEIGHT.index), todo

    def removed(self) -> list[str]:
        """List the clips whose files have moved away: their content has another name now, and theirs is gone."""
        found = {entry.clip_id for entry in self.known}
        moved = {_content(entry.origin) for entry in self.known}
        gone = [entry for entry in self._clips.values() if entry.origin.video not in self._names]
        return [entry.clip_id for entry in gone if _content(entry.origin) in moved and entry.clip_id not in found]

    def _look_at(self, file: VideoFile, clip: Clip) -> Verdict:
        entry = self._clips.get(clip.clip_id)
        if entry is not None and entry.origin.video_identity is None:
            return "unchanged"  # features that came as numbers, or from before origins were kept
        origin = origin_of(file, clip)
        if (
            entry is not None
            and not self._is_whole
            and entry.origin == replace(origin, video_identity=entry.origin.video_identity)
        ):
            return "unchanged"
        if file.size_bytes not in self._sizes or not file.size_bytes:
            return "new" if entry is None else "changed"
        origin = replace(origin, video_identity=self._identify(file))
        if entry is not None and entry.origin == origin:
            return "unchanged"
        same = self._contents.get(_content(origin))
        if same is None or origin.video_identity is None:
            return "new" if entry is None else "changed"
        self.known.append(replace(same, clip_id=clip.clip_id, origin=origin))
        return "touched" if entry is not None and _content(entry.origin) == _content(origin) else "moved or copied"

    def _identify(self, file: VideoFile) -> str | None:
        if self.identity is None:
            try:
                self.identity = identify(file, is_whole=self._is_whole)
            except VideoError:
                return None  # the run will say what is wrong with it
        return self.identity


def origin_of(file: VideoFile, clip: Clip, identity: str | None = None) -> Origin:
    """Say what a clip's features are made from."""
    return Origin(
        video=file.name,
        video_bytes=file.size_bytes,
        video_mtime_ns=file.mtime_ns,
        video_identity=identity,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
    )


def _content(origin: Origin) -> tuple[object, ...] | None:
    if origin.video_identity is None:
        return None
    return origin.video_identity, origin.start_seconds, origin.end_seconds
