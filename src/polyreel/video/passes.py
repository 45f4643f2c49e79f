"""Which packets are decoded for which moments: one pass over a file, forwards.

The planned pass looks ahead in the packets, which costs next to nothing. It knows from their times which frame is
shown at a moment, and decodes what that frame needs: the group of pictures from its key frame on, without frames that
no other refers to; a group in which nothing is wanted is never decoded. Where the next moment is much further away than
key frames are, it seeks.

It relies on packets that carry times, in order. Where they do not, or where a frame does not come out as planned, the
plain pass takes over: it decodes one frame after another and believes only in the times of the frames.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain
from math import inf

import av

from polyreel.video.track import Track

# Here a packet says by itself that no other refers to its frame. HEVC says so only of frames of its own temporal layer.
_TELLS_REFERENCES = frozenset({"h264", "mpeg4", "mpeg2video", "mpeg1video"})
_FAR_SECONDS, _FAR_GROUPS = 5.0, 3  # a seek empties the decoder's threads: moments nearer than both are read towards
_MOST_UNTIMED = 64  # packets at the start of a file may lack a time of decoding; more would be held for nothing


class PlanError(Exception):
    """The file is not as its packets say; what is missing has to be decoded frame by frame."""


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """A decoded frame and when it is shown, in seconds from the video's start."""

    at_seconds: float
    frame: av.VideoFrame


def plain_pass(track: Track, moments: Sequence[float], *, only_references: bool = False) -> Iterator[TimedFrame]:
    """Yield the frame shown at each of the ascending moments, decoding everything on the way.

    Nothing is yielded where nothing can be decoded. A moment far away is sought, if frames carry times.

    Raises:
        PlanError: a packet is damaged, and the track is not read carefully.
    """
    may_skip = only_references and not track.has_decoding_times_only
    track.stream.codec_context.skip_frame = "NONREF" if may_skip else "DEFAULT"
    frames = _timed_frames(track)
    current, upcoming = None, next(frames, None)
    far_seconds = 2 * _FAR_SECONDS
    for moment in moments:
        if upcoming and upcoming.frame.pts is not None and moment - upcoming.at_seconds > far_seconds:
            sought = _seek(track, moment)
            if sought is None:
                far_seconds = inf
            else:
                far_seconds = max(far_seconds, moment - sought[1].at_seconds)  # key frames are so far apart
                current, (frames, upcoming) = None, sought
        while upcoming and track.ticks(upcoming.at_seconds) <= track.ticks(moment):
            current, upcoming = upcoming, next(frames, None)
        shown = current or upcoming
        if shown is None:
            return
        yield shown


def _seek(track: Track, moment: float) -> tuple[Iterator[TimedFrame], TimedFrame] | None:
    """Go to a place from which decoding gives a frame that is not after a moment; None where seeking does not work.

    Containers seek by the time of decoding, so that the frame found may be later than the moment; then go further back.
    """
    back = 0.0
    while track.seek(track.ticks(max(moment - back, 0.0))):
        frames = _timed_frames(track)
        first = next(frames, None)
        if first and (first.at_seconds <= moment or back >= moment):
            return frames, first
        if back >= moment:
            break
        back = max(2 * back, _FAR_SECONDS)
    return None


def _timed_frames(track: Track) -> Iterator[TimedFrame]:
    """Yield every frame that can be decoded, in the order they are shown."""
    last = -track.step_seconds
    decoding_times: list[int] = []  # in their order they are the times of showing, if there are no others
    for packet in chain(track.packets(), [None]):
        if track.has_decoding_times_only and packet is not None and packet.dts is not None:
            heappush(decoding_times, packet.dts)
        for frame in _decode(track, packet):
            time = heappop(decoding_times) if decoding_times else frame.pts
            last = max(last, last + track.step_seconds if time is None else track.seconds(time))
            yield TimedFrame(at_seconds=last, frame=frame)


def _decode(track: Track, packet: av.Packet | None) -> list[av.VideoFrame]:
    try:
        frames: list[av.VideoFrame] = track.stream.codec_context.decode(packet)
        return frames
    except av.error.FFmpegError as error:
        if not track.is_careful:
            raise PlanError(f"a packet is damaged ({error.strerror})") from None
        track.warn(f"some frames are damaged and left out ({error.strerror})")
        return []


class PlannedPass:
    """Decodes only what the frames at the given moments need; holds what was read and decoded ahead.

    All times in here are ticks of the track's clock. A moment's frame, the *target*, is the one with the largest time
    not after it. It is known as soon as a packet is to be decoded after the moment, since none is shown before it is
    decoded.
    """

    def __init__(self, track: Track, *, only_references: bool = False) -> None:
        self._track = track
        self._codec = track.stream.codec_context
        self._only_references = only_references
        self._may_skip = only_references or self._codec.name in _TELLS_REFERENCES
        self._group_ticks = 0  # the longest group of pictures seen
        self._start_over()

    def _start_over(self) -> None:
        self._packets = self._track.packets()
        self._pending: deque[av.Packet] = deque()  # read and not decoded
        self._is_read = False
        self._read_to: int | None = None  # when the last packet is to be decoded
        self._key: int | None = None  # time of the last key frame read
        self._floor = 0  # from here on frames can be decoded: the first key frame, or the one after what was left out
        self._fed: list[int] = []  # times given to the decoder, from the last target on
        self._ready: deque[av.VideoFrame] = deque()  # decoded, from the last target on
        self._due: deque[int] = deque()  # targets not yielded yet

    def shown_at(self, moments: Sequence[float]) -> Iterator[TimedFrame]:
        """Yield the frame shown at each of the ascending moments.

        Raises:
            PlanError: the file is not as its packets say.
        """
        for moment in map(self._track.ticks, moments):
            if self._is_far(moment):
                yield from self._finish()
                self._seek(moment)
            self._read_past(moment)
            yield from self._decode(self._find_target(moment))
        yield from self._finish()

    def _is_far(self, moment: int) -> bool:
        here = self._track.ticks(0.0) if self._read_to is None else self._read_to
        return moment - here > max(_FAR_SECONDS / self._track.tick_seconds, _FAR_GROUPS * self._group_ticks)

    def _seek(self, moment: int) -> None:
        """Go to the key frame before a moment; where the container goes too far, further back."""
        start, back = self._track.ticks(0.0), 0
        while self._track.seek(max(moment - back, start)):
            self._start_over()
            key = next((packet for packet in self._packets if packet.is_keyframe), None)
            if key and key.pts is not None and (key.pts <= moment or moment - back <= start):
                self._group_ticks = max(self._group_ticks, moment - key.pts)
                return self._take(key, moment)
            if moment - back <= start:
                break
            back = max(2 * back, round(_FAR_SECONDS / self._track.tick_seconds))
        raise PlanError("the container cannot be sought")

    def _read_past(self, moment: int) -> None:
        """Read until it is known which frame is shown at a moment."""
        self._leave_out_groups(moment)
        while not self._is_read and (self._read_to is None or self._read_to <= max(moment, self._floor)):
            packet = next(self._packets, None)
            if packet is None:
                self._is_read = True
            else:
                self._take(packet, moment)

    def _take(self, packet: av.Packet, moment: int) -> None:
        is_guess = self._track.has_decoding_times_only and packet.pts != packet.dts
        if is_guess or packet.pts is None or (packet.dts is not None and packet.dts > packet.pts):
            raise PlanError("packets do not say when their frames are shown")
        if packet.dts is not None:
            if self._read_to is not None and packet.dts < self._read_to:
                raise PlanError("the times of packets fall")
            self._read_to = packet.dts
        elif self._read_to is None and len(self._pending) > _MOST_UNTIMED:
            raise PlanError("packets do not say when they are decoded")
        if packet.is_keyframe:
            if self._key is None:
                self._floor = packet.pts
            else:
                self._group_ticks = max(self._group_ticks, packet.pts - self._key)
            self._key = packet.pts
        if self._key is not None and packet.pts >= self._floor:
            self._pending.append(packet)
        if packet.is_keyframe:
            self._leave_out_groups(moment)

    def _leave_out_groups(self, moment: int) -> None:
        """Forget packets before the last key frame that is not after a moment, and what refers to them."""
        keys = [i for i, packet in enumerate(self._pending) if packet.is_keyframe and packet.pts <= moment]
        if keys and keys[-1] > 0:
            self._floor = self._pending[keys[-1]].pts
            rest = list(self._pending)[keys[-1] :]
            self._pending = deque(packet for packet in rest if packet.pts >= self._floor)

    def _find_target(self, moment: int) -> int:
        known = chain(self._fed, (packet.pts for packet in self._pending))
        target: int | None = max((time for time in known if time <= max(moment, self._floor)), default=None)
        if target is None:
            raise PlanError("no key frame comes first")
        return target

    def _decode(self, target: int) -> Iterator[TimedFrame]:
        """Give the decoder all up to a target, and yield what is due and comes out."""
        self._due.append(target)
        is_fed = target in self._fed
        self._fed = [time for time in self._fed if time >= target]
        yield from self._come_out()
        while not is_fed:
            packet = self._pending.popleft()
            is_fed = packet.pts == target
            if packet.pts >= target:
                self._fed.append(packet.pts)
            if self._may_skip:
                self._codec.skip_frame = "DEFAULT" if is_fed and not self._only_references else "NONREF"
            self._ready.extend(self._frames(packet))
            yield from self._come_out()

    def _finish(self) -> Iterator[TimedFrame]:
        """Empty the decoder, and yield what is due."""
        self._ready.extend(self._frames(None))
        yield from self._come_out(is_empty=True)
        if self._due:
            raise PlanError("a frame did not come out of the decoder")

    def _frames(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        try:
            frames: list[av.VideoFrame] = self._codec.decode(packet)
        except av.error.FFmpegError as error:
            raise PlanError(f"a packet is damaged ({error.strerror})") from None
        if any(frame.pts is None for frame in frames):
            raise PlanError("frames do not say when they are shown")
        return frames

    def _come_out(self, *, is_empty: bool = False) -> Iterator[TimedFrame]:
        """Yield what is due as far as it is decoded; `is_empty` says that no more will come."""
        ready = self._ready
        while self._due:
            target = self._due[0]
            while len(ready) > 1 and ready[1].pts <= target:
                ready.popleft()
            is_last = len(ready) > 1 or is_empty
            if not ready or (ready[0].pts != target and not is_last):
                return
            if ready[0].pts != target and not self._only_references:
                raise PlanError("a frame did not come out of the decoder")
            self._due.popleft()
            yield TimedFrame(at_seconds=self._track.seconds(ready[0].pts), frame=ready[0])
