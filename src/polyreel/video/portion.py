"""One portion of a run: its files decoded one after the other, their frames run in batches that cross file boundaries.

Each file is decoded once for all extractors. A network's rows wait until its batch is full; the batch is computed
elsewhere while decoding goes on, a few batches ahead at most, so memory does not grow with the portion. The last batch
is filled up with black frames. What comes out depends on the portion alone, not on who works it off, or when.

Shapes: B rows of a batch, F frames of a row, H height, W width, D width of a row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from polyreel.data.clips import Clip
from polyreel.data.feature_settings import Sampling
from polyreel.errors import DataError, VideoError
from polyreel.video.bench import Asked, Bench, ClipRows, Shelf, Submit, Target
from polyreel.video.decode import Video, open_video, read_frames
from polyreel.video.files import VideoFile, identify, local_copy
from polyreel.video.plan import Portion, VideoWork, origin_of
from polyreel.video.sampling import choose_moments
from polyreel.video.windows import Span

_NEARLY = 0.999  # of a file that is still being decoded
_PIECE_FRAMES = 16  # how many frames of a clip may wait for one another


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run does with every portion.

    Attributes:
        targets: its extractors.
        sampling: which frames they look at.
        is_whole: files are identified by all of their bytes.
    """

    targets: Sequence[Target]
    sampling: Sampling
    is_whole: bool = False


@dataclass(kw_only=True)
class FileResult:
    """What became of a file.

    Attributes:
        file: the file.
        video_seconds: how long the video is; 0 where that is not known.
        num_rows: how many rows its clips have, all extractors together.
        seconds: how long it took to decode.
        warnings: what was found wrong with the file and read past.
        failures: why clips have no features, by clip id.
    """

    file: VideoFile
    video_seconds: float = 0.0
    num_rows: int = 0
    seconds: float = 0.0
    warnings: Sequence[str] = ()
    failures: dict[str, str] = field(default_factory=dict)


Told = Callable[[FileResult, float], None]
"""Takes in what share of a file is decoded; exactly 1 says that it is done."""


def work_off(
    portion: Portion,
    job: Job,
    shelves: Sequence[Shelf],
    submit: Submit,
    told: Told,
) -> list[FileResult]:
    """Extract the features of a portion.

    Args:
        portion: files and clips.
        job: the extractors, and which frames.
        shelves: where the rows of each extractor go.
        submit: how batches are computed.
        told: told now and then what share of a file is decoded; what it raises ends the work.

    Returns:
        A result a file; a file that cannot be used costs only its own clips.
    """
    benches = [Bench(target, shelf, submit) for target, shelf in zip(job.targets, shelves, strict=True)]
    results, begun = [], []
    for work in portion.works:
        result = FileResult(file=work.file)
        begun += [(result, clip) for clip in _decode_file(work, result, benches, job, told)]
        results.append(result)
        told(result, 1.0)
    for bench in benches:
        bench.finish()
    for result, clip in begun:
        if clip.fault:
            result.failures[clip.clip.clip_id] = clip.fault
        else:
            result.num_rows += len(clip.frame_seconds)
    return results


def _decode_file(work: VideoWork, result: FileResult, benches: Sequence[Bench], job: Job, told: Told) -> list[ClipRows]:
    """Decode a file onto the benches, and return the clips that were begun."""
    begun: list[ClipRows] = []
    started = monotonic()
    try:
        with local_copy(work.file) as path, open_video(path, threads=1) as video:
            try:
                result.video_seconds = video.probe.duration_seconds
                identity = work.identity or identify(work.file, is_whole=job.is_whole)
                asked = [
                    one
                    for bench, clips in zip(benches, work.clips, strict=True)
                    for one in _ask(video, work.file, clips, identity, bench, job.sampling, result)
                ]
                begun = list(dict.fromkeys(one.clip for one in asked))
                for at_seconds in frames_onto(video, asked, job.sampling):
                    told(result, min(at_seconds / result.video_seconds, _NEARLY))
            finally:
                result.warnings = list(video.warnings)
    except (VideoError, DataError) as error:
        done = {clip.clip.clip_id for clip in begun if clip.is_decoded}
        lost = [clip.clip_id for clips in work.clips for clip in clips if clip.clip_id not in done]
        result.failures |= dict.fromkeys(lost, str(error))
        for clip in begun:
            clip.fault = "" if clip.is_decoded else str(error)
    result.seconds = monotonic() - started
    return begun


def _ask(
    video: Video,
    file: VideoFile,
    clips: Sequence[Clip],
    identity: str,
    bench: Bench,
    sampling: Sampling,
    result: FileResult,
) -> list[Asked]:
    """Say what frames of a file one extractor wants for its clips."""
    duration = video.probe.duration_seconds
    inside = [clip for clip in clips if (clip.start_seconds or 0.0) < duration]
    for clip in clips:
        if clip not in inside:
            reason = f"starts at {clip.start_seconds:g} s, but {file.place} ends at {duration:g} s"
            result.failures[clip.clip_id] = reason
    spans = [_span(clip, duration) for clip in inside]
    moments = choose_moments(video, spans, sampling)
    asked = []
    for clip, span, seconds in zip(inside, spans, moments, strict=True):
        asked += bench.ask(ClipRows(clip, origin_of(file, clip, identity), len(seconds)), span, seconds)
    return asked


def frames_onto(video: Video, asked: Sequence[Asked], sampling: Sampling) -> Iterator[float]:
    """Decode what was asked for onto the benches, yielding after every few frames how far the video is, in seconds."""
    if not asked:
        return
    batch_size = max(_PIECE_FRAMES, *(one.frames_per_row for one in asked))
    requests = [one.request for one in asked]
    only_references = sampling.frames == "references"
    for position, batch in read_frames(video, requests, batch_size=batch_size, only_references=only_references):
        asked[position].take(batch)
        yield float(batch.pts_seconds[-1])


def _span(clip: Clip, duration_seconds: float) -> Span:
    start = clip.start_seconds or 0.0
    return start, duration_seconds if clip.end_seconds is None else min(clip.end_seconds, duration_seconds)
