"""Moments taken out of a library: as files of their own, or as a list that an editing program opens.

Files are copied without decoding, so each begins at the key frame at or before its moment. Lists name the original
files: CSV for spreadsheets; EDL (CMX 3600), which every editing program reads, with one frame rate for all; and
OpenTimelineIO, which knows each file's own rate and where it lies.
"""

import csv
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path

from polyreel.errors import ItemsFailedError, VideoError
from polyreel.progress import Progress, silent
from polyreel.search.moments import Moment
from polyreel.storage import Json, write_aside, write_text
from polyreel.video.export import copy_moment
from polyreel.video.timecodes import FrameClock, read_clock, timecode

_EDL_START_SECONDS = 3600  # programmes begin at one hour, by old custom
_EDL_MOST_EVENTS = 999
_COLUMNS = ("place", "score", "video", "start_seconds", "end_seconds", "peak_seconds", "start", "end", "rate")


def copy_moments(moments: Sequence[Moment], folder: Path, *, progress: Progress = silent) -> list[Path]:
    """Copy moments into files of a folder, numbered in their order.

    Args:
        moments: what to copy.
        folder: where; files of the same names are replaced, others are left alone.
        progress: told after every moment.

    Returns:
        The files.

    Raises:
        ItemsFailedError: some could not be copied, with reasons; the others are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    failures: dict[str, str] = {}
    width = max(2, len(str(len(moments))))
    for place, moment in enumerate(moments, 1):
        start = f"{int(moment.start_seconds) // 60}m{int(moment.start_seconds) % 60:02}s"
        output = folder / f"{place:0{width}} {moment.video.stem} {start}{moment.video.suffix}"
        try:
            copy_moment(moment.video, (moment.start_seconds, moment.end_seconds), output)
            files.append(output)
        except (VideoError, OSError) as error:
            failures[output.name] = str(error)
        progress(place, len(moments), output.name)
    if failures:
        raise ItemsFailedError(f"copying moments to {folder}", failures)
    return files


def write_cut_list(output: Path, moments: Sequence[Moment], title: str = "") -> None:
    """Write moments as a list; the suffix of its name says of which kind.

    Args:
        output: `.csv`, `.edl` or `.otio`.
        moments: in the order in which they shall stand; every file must be there.
        title: what the list is called.

    Raises:
        ValueError: the suffix is another one, or there are more moments than an EDL can number.
        VideoError: a file cannot be read.
    """
    kind = output.suffix.lower()
    if kind not in CUT_LISTS:
        raise ValueError(f"{output} ends in {kind or 'nothing'}; expected one of {', '.join(sorted(CUT_LISTS))}")
    clock_of = cache(read_clock)
    clocks = [clock_of(moment.video) for moment in moments]
    CUT_LISTS[kind](output, moments, clocks, " ".join(title.split()) or output.stem)


def _write_csv(output: Path, moments: Sequence[Moment], clocks: Sequence[FrameClock], _: str) -> None:
    with write_aside(output) as aside, aside.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(_COLUMNS)
        for place, (moment, clock) in enumerate(zip(moments, clocks, strict=True), 1):
            span = (moment.start_seconds, moment.end_seconds)
            codes = [timecode(clock.first_frame + clock.frame_at(at), clock.rate) for at in span]
            seconds = [round(at, 3) for at in (*span, moment.peak.start_seconds)]
            video = str(moment.video)
            rows.writerow([place, round(moment.score, 4), video, *seconds, *codes, round(float(clock.rate), 3)])


def _write_edl(output: Path, moments: Sequence[Moment], clocks: Sequence[FrameClock], title: str) -> None:
    if len(moments) > _EDL_MOST_EVENTS:
        raise ValueError(f"{len(moments)} moments are to go into an EDL, which numbers at most {_EDL_MOST_EVENTS}")
    rate = clocks[0].rate if clocks else Fraction(25)
    lines = [f"TITLE: {title}", "FCM: NON-DROP FRAME", ""]
    recorded = _EDL_START_SECONDS * ceil(rate)
    for place, (moment, clock) in enumerate(zip(moments, clocks, strict=True), 1):
        first = round(Fraction(clock.first_frame) / clock.rate * rate)
        start, end = (first + round(Fraction(at) * rate) for at in (moment.start_seconds, moment.end_seconds))
        codes = [timecode(at, rate) for at in (start, end, recorded, recorded + end - start)]
        recorded += end - start
        lines.append(f"{place:03}  AX       {'B' if clock.has_sound else 'V'}     C        {' '.join(codes)}")
        lines += [f"* FROM CLIP NAME: {moment.video.name}", f"* SOURCE FILE: {moment.video}"]
        lines.append(f"* COMMENT: SCORE {moment.score:.3f}")
    write_text(output, "\n".join(lines) + "\n")


def _write_otio(output: Path, moments: Sequence[Moment], clocks: Sequence[FrameClock], title: str) -> None:
    clips: list[Json] = [_otio_clip(moment, clock) for moment, clock in zip(moments, clocks, strict=True)]
    track = {"OTIO_SCHEMA": "Track.1", "name": "V1", "kind": "Video", "children": clips}
    tracks = {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": [track]}
    timeline = {"OTIO_SCHEMA": "Timeline.1", "name": title, "tracks": tracks}
    write_text(output, json.dumps(timeline, indent=2, ensure_ascii=False) + "\n")


def _otio_clip(moment: Moment, clock: FrameClock) -> Json:
    start, end = (clock.first_frame + clock.frame_at(at) for at in (moment.start_seconds, moment.end_seconds))
    media: dict[str, Json] = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": moment.video.resolve().as_uri(),
        "available_range": _otio_range(clock.first_frame, clock.num_frames, clock.rate),
    }
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": moment.video.name,
        "source_range": _otio_range(start, end - start, clock.rate),
        "media_references": {"DEFAULT_MEDIA": media},
        "active_media_reference_key": "DEFAULT_MEDIA",
        "metadata": {"polyreel": {"score": round(moment.score, 4)}},
    }


def _otio_range(start: int, length: int, rate: Fraction) -> Json:
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _otio_time(start, rate), "duration": _otio_time(length, rate)}


def _otio_time(frame: int, rate: Fraction) -> Json:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(frame)}


CUT_LISTS: dict[str, Callable[[Path, Sequence[Moment], Sequence[FrameClock], str], None]] = {
    ".csv": _write_csv,
    ".edl": _write_edl,
    ".otio": _write_otio,
}
"""What writes a list, by the suffix of its file."""
