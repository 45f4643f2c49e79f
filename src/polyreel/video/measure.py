"""How long a video is and what its first frame looks like, without believing its header.

The end is that of the last packet. A file that says it is short is read whole; of a longer one the last seconds are,
and all of it only if nothing is there: a file cut short promises more than it has.
"""

from dataclasses import dataclass

import av

from polyreel.video.track import Track

_SHORT_SECONDS = 30.0
_TAIL_SECONDS = 5.0
_NOTABLE_SECONDS, _NOTABLE_SHARE = 1.0, 0.05  # sound may end a little later than the picture


@dataclass(kw_only=True)
class Extent:
    """What is known of a file so far.

    Attributes:
        first: the first frame; None if none can be decoded.
        end_seconds: when the last frame ends.
        num_packets: how many were read.
    """

    first: av.VideoFrame | None = None
    end_seconds: float = 0.0
    num_packets: int = 0

    def note(self, track: Track, packet: av.Packet) -> None:
        """Take one more packet into account."""
        self.num_packets += 1
        step = packet.duration * track.tick_seconds if packet.duration else track.step_seconds
        start = self.end_seconds if packet.pts is None else track.seconds(packet.pts)
        self.end_seconds = max(self.end_seconds, start + step)


def measure(track: Track) -> Extent:
    """Decode a track's first frame and find its end."""
    extent = Extent()
    packets = track.packets()
    for packet in packets:
        extent.note(track, packet)
        extent.first = _decode(track, packet) or (_drained(track) if packet.is_keyframe else None)
        if extent.first:
            break
    extent.first = extent.first or _decode(track, None)
    promised_seconds = _promised_seconds(track)
    if promised_seconds > _SHORT_SECONDS and _note_tail(track, promised_seconds, extent):
        return extent
    for packet in packets:
        extent.note(track, packet)
    missing = promised_seconds - extent.end_seconds
    if missing > max(_NOTABLE_SECONDS, _NOTABLE_SHARE * promised_seconds):
        found = f"the last frame ends at {extent.end_seconds:.1f} s"
        track.warn(f"the header promises {promised_seconds:.1f} s, but {found}")
    return extent


def _note_tail(track: Track, promised_seconds: float, extent: Extent) -> bool:
    """Note the last packets; where there are none, go back to the start."""
    if not track.seek(track.ticks(promised_seconds - _TAIL_SECONDS)):
        return False
    num_before = extent.num_packets
    for packet in track.packets():
        extent.note(track, packet)
    if extent.num_packets > num_before:
        return True
    track.seek(track.ticks(0.0))
    return False


def _decode(track: Track, packet: av.Packet | None) -> av.VideoFrame | None:
    try:
        return next(iter(track.stream.codec_context.decode(packet)), None)
    except av.error.FFmpegError as error:
        track.warn(f"some frames are damaged and left out ({error.strerror})")
        return None


def _drained(track: Track) -> av.VideoFrame | None:
    """Return the frame of a key packet without decoding those after it, which the decoder waits for to order them."""
    frame = _decode(track, None)
    track.stream.codec_context.flush_buffers()
    return frame


def _promised_seconds(track: Track) -> float:
    stream, container = track.stream, track.container
    if stream.duration:
        return float(stream.duration * track.tick_seconds)
    return float((container.duration or 0) / av.time_base)
