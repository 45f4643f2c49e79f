"""Bringing an index up to date with a folder of videos.

Unchanged files are not touched, so running it again costs next to nothing; a file that cannot be used is one line in
the report. What is done is committed now and then, so a run that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from polyreel.errors import DataError, ItemsFailedError, VideoError
from polyreel.progress import Progress, silent
from polyreel.search.encoder import SearchEncoder
from polyreel.search.header import is_index
from polyreel.search.index import Index
from polyreel.search.table import IndexedClip
from polyreel.similarity import Embeddings
from polyreel.storage import fingerprint
from polyreel.video.decode import find_videos, probe
from polyreel.video.windows import fixed_windows

WINDOW_SECONDS = 4.0
_COMMIT_SECONDS = 30.0  # a process that is killed loses at most so much work


@dataclass(frozen=True, kw_only=True)
class LibraryUpdate:
    """What bringing an index up to date changed, in videos."""

    num_indexed: int
    num_removed: int
    num_unchanged: int


@dataclass(frozen=True, kw_only=True)
class _EmbeddedVideo:
    clips: Sequence[IndexedClip]
    embeddings: Embeddings


def open_library(index_folder: Path, videos_folder: Path, encoder: SearchEncoder | None = None) -> Index:
    """Open the index of a folder of videos, or make an empty one if there is none yet.

    Args:
        index_folder: where the index lies, or will.
        videos_folder: the videos' folder.
        encoder: what embeds clips and queries; None means the one an index was made with.

    Raises:
        DataError: there is no index yet and no encoder to make it with; or something else is in its place.
        VideoError: there is no index yet, and the folder has no videos to make it of.
        FingerprintError: the index was made with another encoder.
    """
    if is_index(index_folder):
        return Index.open(index_folder, encoder)
    if encoder is None:
        raise DataError(f"{index_folder} is no index yet; say with which model to make it (--model RUN)")
    find_videos(videos_folder)
    return Index.create(index_folder, encoder, videos_folder)


def update_library(
    index: Index,
    videos_folder: Path,
    encoder: SearchEncoder,
    *,
    window_seconds: float = WINDOW_SECONDS,
    progress: Progress = silent,
) -> LibraryUpdate:
    """Put new and changed videos of a folder into its index, and take out those that are gone or unusable now.

    A video has changed when its size, its time of change or the window has. An index follows its model and its
    extractor to where they lie now.

    Args:
        index: the folder's index.
        videos_folder: the folder the index was created for; the folders in it are searched too.
        encoder: what the index was made with.
        window_seconds: length of the clips that videos are cut into; a shorter video is one clip.
        progress: told after every video how many of the new and changed ones are done.

    Raises:
        ItemsFailedError: some videos failed, with reasons by path; the rest is done.
        DataError: the index belongs to another folder.
        VideoError: the folder has no videos at all; the index is left as it is.
        FingerprintError: the index was made with another encoder.
    """
    index.check_fingerprint(encoder.fingerprint)
    library = Path(videos_folder).resolve()
    if library != index.library_folder:
        raise DataError(f"{index.folder} is the index of {index.library_folder}, not of {library}; make one for that")
    stamps = {path.relative_to(library).as_posix(): _stamp(path, window_seconds) for path in find_videos(library)}
    known = index.file_stamps()
    todo = {video: stamp for video, stamp in stamps.items() if known.get(video) != stamp}
    index.follow(encoder)
    failures = _index_videos(index, library, todo, encoder, window_seconds, progress)
    stale = [video for video in known if video not in stamps or video in failures]
    index.remove(stale)
    if todo or stale:
        index.compact()
    if failures:
        raise ItemsFailedError(f"indexing {library}", failures)
    return LibraryUpdate(num_indexed=len(todo), num_removed=len(stale), num_unchanged=len(stamps) - len(todo))


def _index_videos(
    index: Index,
    library: Path,
    todo: dict[str, str],
    encoder: SearchEncoder,
    window_seconds: float,
    progress: Progress,
) -> dict[str, str]:
    """Embed and commit videos, given with their stamps, and return why some failed, by path."""
    failures: dict[str, str] = {}
    batch: list[_EmbeddedVideo] = []
    committed_at = monotonic()
    for done, (video, stamp) in enumerate(todo.items(), start=1):
        try:
            batch.append(_embed(library, video, stamp, encoder, window_seconds))
        except (VideoError, DataError) as error:
            failures[video] = str(error)
        if batch and monotonic() - committed_at > _COMMIT_SECONDS:
            _commit(index, batch, encoder)
            batch, committed_at = [], monotonic()
        progress(done, len(todo), video)
    if batch:
        _commit(index, batch, encoder)
    return failures


def _embed(library: Path, video: str, stamp: str, encoder: SearchEncoder, window_seconds: float) -> _EmbeddedVideo:
    path = library / video
    spans = fixed_windows(probe(path).duration_seconds, length_seconds=window_seconds)
    clips = [
        IndexedClip(clip_id=f"{video}#{start:g}", video=video, start_seconds=start, end_seconds=end, file_stamp=stamp)
        for start, end in spans
    ]
    return _EmbeddedVideo(clips=clips, embeddings=encoder.encode_video(path, spans))


def _commit(index: Index, batch: Sequence[_EmbeddedVideo], encoder: SearchEncoder) -> None:
    clips = [clip for video in batch for clip in video.clips]
    index.add(clips, np.concatenate([video.embeddings for video in batch]), encoder.fingerprint)


def _stamp(path: Path, window_seconds: float) -> str:
    status = path.stat()
    return fingerprint(status.st_size, status.st_mtime_ns, window_seconds)
