"""Moments out of video files: copied as they are, or made small for a browser that cannot play the original.

Copying touches no picture, so it takes milliseconds and loses nothing, but it can only begin at a key frame: the one
at or before the moment. A preview is decoded and encoded again, as H.264 and AAC in mp4, which every browser plays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from polyreel.errors import VideoError
from polyreel.storage import write_aside
from polyreel.video.windows import Span

PREVIEW_HEIGHT = 360
_AUDIO_RATE, _AUDIO_FRAME = 48_000, 1024
_FRAMES_PER_SECOND = 25
_COPIED_KINDS = ("video", "audio")
_TURNS = {1: "transpose=cclock", 2: "hflip,vflip", 3: "transpose=clock"}  # by quarter turns counterclockwise


def copy_moment(path: Path, span: Span, output: Path) -> None:
    """Copy a moment's pictures and sound, without decoding, into a file of the kind that its suffix names.

    It starts at the key frame at or before the moment.

    Raises:
        VideoError: the file cannot be read, or what is in it cannot be put into such a file.
    """
    start, end = span
    with _saying(path), write_aside(output) as aside, av.open(str(path.absolute())) as source:
        kept = [stream for stream in source.streams if stream.type in _COPIED_KINDS][:2]
        if not source.streams.video:
            raise VideoError(f"{path} has no picture; expected a video")
        with av.open(str(aside), "w", format=_container_of(output)) as target:
            copies = {stream.index: target.add_stream_from_template(stream) for stream in kept}
            origin = (source.start_time or 0) / av.time_base
            source.seek(round((start + origin) * av.time_base), backward=True)
            _copy_packets(source, target, copies, end + origin)


def make_preview(path: Path, span: Span, output: Path, *, height: int = PREVIEW_HEIGHT) -> None:
    """Encode a moment as a small mp4 that every browser plays, upright, at most `height` pixels high.

    Raises:
        VideoError: the file cannot be read, or has no picture in this span.
    """
    with _saying(path), write_aside(output) as aside, av.open(str(path.absolute())) as source:
        if not source.streams.video:
            raise VideoError(f"{path} has no picture; expected a video")
        with av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as target:
            origin = (source.start_time or 0) / av.time_base
            shifted = (span[0] + origin, span[1] + origin)
            picture = target.add_stream("libx264", rate=_FRAMES_PER_SECOND, options={"preset": "veryfast", "crf": "28"})
            picture.pix_fmt = "yuv420p"
            sound = target.add_stream("aac", rate=_AUDIO_RATE) if source.streams.audio else None
            num_frames = 0
            for frame in _small_frames(source, shifted, height):
                if not num_frames:
                    picture.width, picture.height = frame.width, frame.height
                num_frames += 1
                target.mux(picture.encode(frame))
            if not num_frames:
                raise VideoError(f"{path} has no picture from {span[0]:g} to {span[1]:g} seconds")
            target.mux(picture.encode(None))
            if sound is not None:
                for piece in _resampled(source, shifted):
                    target.mux(sound.encode(piece))
                target.mux(sound.encode(None))


def _copy_packets(
    source: av.container.InputContainer,
    target: av.container.OutputContainer,
    copies: dict[int, av.stream.Stream],
    end_seconds: float,
) -> None:
    """Copy packets until every kept stream has passed the end; time 0 is the first picture copied."""
    first_seconds: float | None = None
    done: set[int] = set()
    for packet in source.demux([source.streams[index] for index in copies]):
        if packet.dts is None or packet.pts is None:
            continue
        at = float(packet.pts * packet.time_base)
        if first_seconds is None and packet.stream.type == "video":
            first_seconds = at
        if float(packet.dts * packet.time_base) >= end_seconds:
            done.add(packet.stream.index)
        if done.issuperset(copies):
            return
        if first_seconds is None or at < first_seconds or packet.stream.index in done:
            continue
        shift = round(first_seconds / packet.time_base)
        packet.pts, packet.dts, index = packet.pts - shift, packet.dts - shift, packet.stream.index
        packet.stream = copies[index]
        target.mux(packet)


def _small_frames(source: av.container.InputContainer, span: Span, height: int) -> Iterator[av.VideoFrame]:
    """Yield the span's frames, upright and small, at an even rate, counted from 0."""
    stream = source.streams.video[0]
    graph: av.filter.Graph | None = None
    for frame in _decoded(source, stream, span):
        assert isinstance(frame, av.VideoFrame)
        if graph is None:
            graph = _graph(stream, frame, height)
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph)


def _graph(stream: av.VideoStream, frame: av.VideoFrame, height: int) -> av.filter.Graph:
    turn = _TURNS.get(round(frame.rotation / 90) % 4)
    filters = [*([turn] if turn else []), f"scale=-2:min({height}\\,trunc(ih/2)*2)", "setsar=1"]
    filters += [f"fps={_FRAMES_PER_SECOND}", "setpts=PTS-STARTPTS", "format=yuv420p"]
    graph = av.filter.Graph()
    before = graph.add_buffer(template=stream)
    for words in ",".join(filters).replace("\\,", "\0").split(","):
        name, _, arguments = words.replace("\0", "\\,").partition("=")
        after = graph.add(name, arguments or None)
        before.link_to(after)
        before = after
    before.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _resampled(source: av.container.InputContainer, span: Span) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_AUDIO_RATE, frame_size=_AUDIO_FRAME)
    num_samples = 0
    for frame in [*_decoded(source, source.streams.audio[0], span), None]:
        for piece in resampler.resample(frame):
            piece.pts, num_samples = num_samples, num_samples + piece.samples
            yield piece


def _decoded(
    source: av.container.InputContainer, stream: av.VideoStream | av.AudioStream, span: Span
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Yield what is shown or heard within the span; a damaged packet costs its own frames."""
    start, end = span
    source.seek(round(start * av.time_base), backward=True)
    stream.codec_context.flush_buffers()
    for packet in source.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.time is None or frame.time < start:
                continue
            if frame.time >= end:
                return
            yield frame


def _container_of(output: Path) -> str:
    suffix = output.suffix.lower().lstrip(".")
    return {"mkv": "matroska", "ts": "mpegts", "m4v": "mp4"}.get(suffix, suffix or "mp4")


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    """Turn what the library says into one sentence that names the file."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: no moment can be taken out of it ({error.strerror})") from None
