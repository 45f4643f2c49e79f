"""Which moments of clips are looked at: by a rate, so many a clip, or where key frames are.

Moments are chosen before anything is decoded; key frames are found from the packets alone. What was shown at a moment
comes back with its exact time, in a batch's `pts_seconds`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from polyreel.data.feature_settings import Sampling
from polyreel.video.frames import Video
from polyreel.video.windows import Span

_ROUNDING_SECONDS = 1e-3  # between times of key frames that are meant to be a second apart


def choose_moments(video: Video, spans: Sequence[Span], sampling: Sampling) -> list[list[float]]:
    """Choose the moments of clips of one video, one or more for each clip, ascending.

    Args:
        video: what the clips are cut from; a still picture has one moment a clip.
        spans: the clips.
        sampling: how to choose.

    Raises:
        ValueError: a clip starts before 0, or does not end after it starts.
    """
    by_time = [frame_times(span, sampling) for span in spans]
    if video.probe.is_still:
        return [moments[:1] for moments in by_time]
    if sampling.frames != "key":
        return by_time
    keys = video.key_seconds()
    return [
        _at_keys(span, sampling, keys[bisect_left(keys, span[0]) : bisect_left(keys, span[1])]) or moments
        for span, moments in zip(spans, by_time, strict=True)
    ]


def frame_times(span: Span, sampling: Sampling) -> list[float]:
    """Choose moments of a clip by time: the middles of N parts of equal length.

    N is the clip's length times `frames_per_second`, rounded, within `min_frames` and `max_frames`. Between the limits
    a part is exactly `1 / frames_per_second` long; at a limit, the N-th part of the clip.

    Raises:
        ValueError: the clip starts before 0, or does not end after it starts.
    """
    start, end = span
    if not 0 <= start < end:
        raise ValueError(f"a clip from {start} to {end} seconds; expected a start of 0 or more, and a later end")
    by_rate = round((end - start) * sampling.frames_per_second)
    num_frames = min(max(by_rate, sampling.min_frames), sampling.max_frames)
    step = 1 / sampling.frames_per_second if num_frames == by_rate else (end - start) / num_frames
    return [start + (i + 0.5) * step for i in range(num_frames)]


def _at_keys(span: Span, sampling: Sampling, keys: Sequence[float]) -> list[float]:
    """Choose key frames of a clip, and moments between those that are too far apart; none if they are too few."""
    if len(keys) < sampling.min_frames:
        return []
    chosen: list[float] = []
    for at in keys:
        if not chosen or at - chosen[-1] >= 1 / sampling.frames_per_second - _ROUNDING_SECONDS:
            chosen.append(at)
    for before, after in pairwise([span[0], *chosen, span[1]]):
        num_parts = max(1, ceil((after - before) / sampling.max_key_gap_seconds - _ROUNDING_SECONDS))
        chosen = [*chosen, *(before + i * (after - before) / num_parts for i in range(1, num_parts))]
    if len(chosen) > sampling.max_frames:
        chosen = [chosen[i * len(chosen) // sampling.max_frames] for i in range(sampling.max_frames)]
    return sorted(chosen)
