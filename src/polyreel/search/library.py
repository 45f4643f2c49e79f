"""Bringing an index up to date with a folder of videos.

Unchanged files are not touched, so running it again costs next to nothing; a file that was moved, copied or touched is
not decoded again; a file that cannot be used is one line in the report. What is done is committed now and then, so a
run that was stopped goes on where it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import numpy as np

from polyreel.data.speech import Speech
from polyreel.errors import DataError, ItemsFailedError, VideoError
from polyreel.progress import Progress, silent
from polyreel.search.changes import Changes, FileStamp, find_changes
from polyreel.search.encoder import SearchEncoder
from polyreel.search.header import is_index
from polyreel.search.index import Index
from polyreel.search.migration import migrate
from polyreel.search.rows import IndexedClip
from polyreel.search.sequences import ClipSequence
from polyreel.search.succession import begin_successor, is_current, take_over
from polyreel.similarity import Embeddings
from polyreel.video.dates import date_of
from polyreel.video.decode import find_videos, probe
from polyreel.video.subtitles import read_subtitles
from polyreel.video.windows import fixed_windows

_BYTES_A_CLIP = 500_000  # four seconds at a megabit a second
WINDOW_SECONDS = 4.0
COMMIT_SECONDS = 30.0  # a process that is killed loses at most so much work
_REUSED_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class LibraryUpdate:
    """What bringing an index up to date changed, in videos.

    Attributes:
        num_indexed: new or changed, and decoded.
        num_removed: taken out.
        num_unchanged: left alone.
        num_reused: moved, copied, touched, or with other subtitles; their embeddings were taken over.
        missing: not there, with their whole folder; kept, because a disk may be away.
        failures: why some could not be used, by path.
    """

    num_indexed: int
    num_removed: int
    num_unchanged: int
    num_reused: int = 0
    missing: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _EmbeddedVideo:
    clips: Sequence[IndexedClip]
    embeddings: Embeddings
    speech: Sequence[Speech]
    replaces: str | None = None


def open_library(
    index_folder: Path, videos_folder: Path, encoder: SearchEncoder | None = None, *, store: str | None = None
) -> Index:
    """Open the index of a folder of videos, or make an empty one if there is none yet.

    An index of an older format is brought to this one's. With another encoder than the index was made with, what is
    returned is its successor: another index of the same folder, which is built while the old one answers and takes its
    place when `update_library` has brought it up to date.

    Args:
        index_folder: where the index lies, or will.
        videos_folder: the videos' folder.
        encoder: what embeds clips and queries; None means the one an index was made with.
        store: where a new index keeps its rows, as `create_store` says; None: in its folder.

    Raises:
        DataError: there is no index yet and no encoder to make it with; or something else is in its place, or the index
            keeps its rows somewhere else.
        VideoError: there is no index yet, and the folder has no videos to make it of.
    """
    if is_index(index_folder):
        migrate(index_folder)
        index = Index.open(index_folder)
        if store not in (None, index.header.store):
            kept = index.header.store or "its folder"
            raise DataError(f"{index_folder} keeps its rows in {kept}, not in {store}; make another index for that")
        if encoder is None:
            return index
        is_same = encoder.fingerprint == index.header.encoder_fingerprint
        return Index(index_folder, index.header, encoder) if is_same else begin_successor(index, encoder)
    if encoder is None:
        raise DataError(f"{index_folder} is no index yet; say with which model to make it (--model RUN)")
    num_bytes = sum(video.stat().st_size for video in find_videos(videos_folder))
    expected = num_bytes // _BYTES_A_CLIP
    return Index.create(index_folder, encoder, videos_folder, store=store, expected_clips=expected)


def update_library(
    index: Index,
    videos_folder: Path,
    encoder: SearchEncoder,
    *,
    window_seconds: float = WINDOW_SECONDS,
    prune: bool = False,
    progress: Progress = silent,
) -> LibraryUpdate:
    """Put new and changed videos of a folder into its index, and take out those that were deleted or are unusable now.

    A video is looked at again when its size, its time of change, its subtitle files or the window has changed, and
    decoded again when its content has. A video that is gone together with its folder is kept, because a disk may be
    away. An index follows its model and its extractor to where they lie now.

    Args:
        index: the folder's index.
        videos_folder: the folder the index was created for; the folders in it are searched too.
        encoder: what the index was made with.
        window_seconds: length of the clips that videos are cut into; a shorter video is one clip.
        prune: take out videos that are gone together with their folder, too.
        progress: told after every video how many of the new and changed ones are done.

    Raises:
        ItemsFailedError: some videos failed, with reasons by path; the rest is done.
        DataError: the index belongs to another folder.
        VideoError: the folder has no videos at all; the index is left as it is, unless `prune`.
        FingerprintError: the index was made with another encoder.
    """
    index.check_fingerprint(encoder.fingerprint)
    library = Path(videos_folder).resolve()
    if library != index.library_folder:
        raise DataError(f"{index.folder} is the index of {index.library_folder}, not of {library}; make one for that")
    changes = find_changes(known_stamps(index), library, window_seconds)
    if not (prune or changes.num_videos):
        find_videos(library)  # says that there are none
    if prune:
        changes = replace(changes, gone=(*changes.gone, *changes.missing), missing=())
    index.follow(encoder)
    update = apply_changes(index, library, changes, encoder, window_seconds=window_seconds, progress=progress)
    if not is_current(index):
        take_over(index)
    if update.failures:
        raise ItemsFailedError(f"indexing {library}", update.failures)
    return update


def known_stamps(index: Index) -> dict[str, FileStamp]:
    """Return how an index recognises its videos, by their paths in the library."""
    return {video: FileStamp.of_text(text) for video, text in index.file_stamps().items()}


def apply_changes(
    index: Index,
    library: Path,
    changes: Changes,
    encoder: SearchEncoder,
    *,
    window_seconds: float = WINDOW_SECONDS,
    commit_seconds: float = COMMIT_SECONDS,
    progress: Progress = silent,
) -> LibraryUpdate:
    """Carry out what `find_changes` found, or a part of it.

    Args:
        index: the folder's index.
        library: the folder.
        changes: what to do.
        encoder: what the index was made with.
        window_seconds: length of clips.
        commit_seconds: how long finished videos wait for others to be committed with.
        progress: told after every video.
    """
    batch, sources = _Batch(index, commit_seconds), _Sources(index, changes)

    def embed(video: str) -> _EmbeddedVideo:
        stamp = changes.to_encode.get(video) or changes.to_reuse[video]
        reused = _reuse(sources, library, video, stamp, changes) if video in changes.to_reuse else None
        return reused or _embed(library, video, stamp, encoder, window_seconds)

    todo = [*changes.to_reuse, *changes.to_encode]  # what is reused may be about to go
    failures = {**changes.failed, **_each(todo, embed, batch, progress)}
    stale = sorted({*changes.gone, *failures} & {*index.file_stamps()})
    index.remove(stale)
    if todo or stale:
        index.compact()
    return LibraryUpdate(
        num_indexed=len(changes.to_encode),
        num_removed=len(stale),
        num_unchanged=changes.num_unchanged,
        num_reused=len(changes.to_reuse),
        missing=changes.missing,
        failures=failures,
    )


class _Batch:
    """Finished videos that wait to be committed together."""

    def __init__(self, index: Index, commit_seconds: float) -> None:
        self._index, self._commit_seconds = index, commit_seconds
        self._videos: list[_EmbeddedVideo] = []
        self._since = monotonic()

    def add(self, video: _EmbeddedVideo) -> None:
        """Take a video, and commit if the first has waited long enough."""
        self._videos.append(video)
        if monotonic() - self._since > self._commit_seconds:
            self.commit()

    def commit(self) -> None:
        """Put all that waits into the index, in one commit."""
        if self._videos:
            self._index.add(
                [clip for video in self._videos for clip in video.clips],
                np.concatenate([video.embeddings for video in self._videos]),
                self._index.header.encoder_fingerprint,
                speech=[line for video in self._videos for line in video.speech],
                dropping=[video.replaces for video in self._videos if video.replaces is not None],
            )
        self._videos, self._since = [], monotonic()


class _Sources:
    """What the index holds of videos whose embeddings are taken over, read many at a time."""

    def __init__(self, index: Index, changes: Changes) -> None:
        self._index = index
        self._left = list(dict.fromkeys(changes.source_of[video] for video in changes.to_reuse))
        self._ready: dict[str, ClipSequence] = {}

    def get(self, video: str) -> ClipSequence | None:
        """Return a video's clips; they are asked for in the order in which the changes name them."""
        while video not in self._ready and self._left:
            some, self._left = self._left[:_REUSED_AT_ONCE], self._left[_REUSED_AT_ONCE:]
            self._ready = {sequence.video: sequence for sequence in self._index.sequences(some)}
        return self._ready.get(video)


def _each(
    videos: Sequence[str], embed: Callable[[str], _EmbeddedVideo], batch: _Batch, progress: Progress
) -> dict[str, str]:
    """Embed and commit videos, and return why some failed, by path."""
    failures: dict[str, str] = {}
    for done, video in enumerate(videos, start=1):
        try:
            batch.add(embed(video))
        except (VideoError, DataError, OSError) as error:
            failures[video] = str(error)
        progress(done, len(videos), video)
    batch.commit()
    return failures


def _embed(
    library: Path, video: str, stamp: FileStamp, encoder: SearchEncoder, window_seconds: float
) -> _EmbeddedVideo:
    path = library / video
    seconds, date = probe(path).duration_seconds, date_of(path)
    spans = fixed_windows(seconds, length_seconds=window_seconds)
    clips = [
        IndexedClip(
            clip_id=f"{video}#{start:g}",
            video=video,
            start_seconds=start,
            end_seconds=end,
            file_stamp=stamp.text,
            date_seconds=date,
            video_seconds=seconds,
        )
        for start, end in spans
    ]
    speech = read_subtitles(path, video).speech
    return _EmbeddedVideo(clips=clips, embeddings=encoder.encode_video(path, spans), speech=speech)


def _reuse(sources: _Sources, library: Path, video: str, stamp: FileStamp, changes: Changes) -> _EmbeddedVideo | None:
    """Take over what the index holds of the same content; None where that has just been replaced."""
    source = changes.source_of[video]
    sequence = sources.get(source)
    if sequence is None or FileStamp.of_text(sequence.clips[0].file_stamp).content not in ("", stamp.content):
        return None
    date, seconds = date_of(library / video), sequence.clips[-1].end_seconds
    clips = [
        replace(
            clip,
            clip_id=f"{video}#{clip.start_seconds:g}",
            video=video,
            file_stamp=stamp.text,
            date_seconds=date,
            video_seconds=seconds,
        )
        for clip in sequence.clips
    ]
    speech = read_subtitles(library / video, video).speech
    replaces = source if source in changes.gone else None
    return _EmbeddedVideo(clips=clips, embeddings=sequence.embeddings_ND, speech=speech, replaces=replaces)
