"""Subtitles to speech: from files beside a video, and from text tracks inside it.

A file belongs to a video if its name is the video's without suffix, perhaps with a language: `film.srt`, `film.cs.srt`,
`film.en.forced.vtt`. Text is UTF-8 or, where it is not, of the encoding its bytes look most like. Tracks of pictures,
as on discs, hold no text; they are named and passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import charset_normalizer
import pysubs2

from polyreel.data.dataset import Dataset
from polyreel.data.speech import SPEECH_FILE, Speech, write_speech
from polyreel.errors import DataError, VideoError
from polyreel.languages import tagged_lang
from polyreel.progress import Progress, silent
from polyreel.video.decode import find_videos

SUBTITLE_SUFFIXES = frozenset({".ass", ".srt", ".ssa", ".vtt"})
_REMARKS = frozenset({"cc", "default", "forced", "full", "hi", "sdh"})  # what names say besides the language
_TEXT_FIELD = 8  # of an ASS event as FFmpeg gives it: ReadOrder, Layer, Style, Name, three margins, Effect, Text


@dataclass(frozen=True, kw_only=True)
class Subtitles:
    """What is subtitled in one video.

    Attributes:
        speech: the lines, by source and time.
        skipped: why some sources gave none, one sentence each.
    """

    speech: tuple[Speech, ...]
    skipped: tuple[str, ...] = ()


def read_subtitles(path: Path, video: str | None = None) -> Subtitles:
    """Read all subtitles of a video; one source that cannot be read does not stop the others.

    Args:
        path: the video file.
        video: what the rows call it; its name unless said.
    """
    name = video or path.name
    speech: list[Speech] = []
    skipped: list[str] = []
    for file, lang in find_subtitle_files(path):
        try:
            speech += read_subtitle_file(file, video=name, lang=lang)
        except DataError as error:
            skipped.append(str(error))
    try:
        speech += _read_tracks(path, name, skipped)
    except (VideoError, av.error.FFmpegError) as error:
        skipped.append(f"{path} has no tracks that can be read: {error}")
    return Subtitles(speech=tuple(speech), skipped=tuple(skipped))


def collect_speech(videos: Path | Dataset, file: Path | None = None, *, progress: Progress = silent) -> Subtitles:
    """Read the subtitles of many videos, and write them to a table of speech.

    Args:
        videos: a folder, whose videos are named by their paths in it; or a dataset with video files.
        file: the Parquet file to write; None means `speech.parquet` in the dataset's folder.
        progress: told after every video.

    Raises:
        VideoError: the folder has no videos.
        DataError: the dataset has no folder of video files.
        ValueError: no file is named for a folder of videos.
    """
    if isinstance(videos, Dataset):
        folder, names = videos.videos_folder, sorted({clip.video for clip in videos.iter_clips()})
        file = file or (videos.folder / SPEECH_FILE if videos.folder else None)
        if folder is None:
            raise DataError(f"dataset {videos.name!r} names no folder of video files, beside which subtitles would lie")
        names = [name for name in names if (folder / name).is_file()]
    else:
        folder, names = videos, [path.relative_to(videos).as_posix() for path in find_videos(videos)]
    if file is None:
        raise ValueError(f"{videos if isinstance(videos, Path) else videos.name} has no place for speech; name a file")
    speech: list[Speech] = []
    skipped: list[str] = []
    for done, name in enumerate(names, start=1):
        found = read_subtitles(folder / name, name)
        speech += found.speech
        skipped += found.skipped
        progress(done, len(names), name)
    write_speech(file, speech)
    return Subtitles(speech=tuple(speech), skipped=tuple(skipped))


def find_subtitle_files(path: Path) -> list[tuple[Path, str | None]]:
    """List the subtitle files beside a video, by name, each with the language its name tells."""
    found: list[tuple[Path, str | None]] = []
    for file in sorted(path.parent.iterdir()):
        if file.suffix.lower() not in SUBTITLE_SUFFIXES or not file.name.startswith(path.stem + "."):
            continue
        tags = [tag.lower() for tag in file.stem[len(path.stem) :].split(".") if tag]
        langs = [lang for lang in map(tagged_lang, tags) if lang]
        if all(tag in _REMARKS or tagged_lang(tag) for tag in tags):
            found.append((file, langs[0] if langs else None))
    return found


def read_subtitle_file(file: Path, *, video: str, lang: str | None = None) -> list[Speech]:
    """Read an SRT, VTT, ASS or SSA file.

    Args:
        file: the file.
        video: what the rows call the video.
        lang: language of the text; None where it is not known.

    Raises:
        DataError: the file is missing, no text, or has no line with a time.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from None
    kind = file.suffix.lower().removeprefix(".")
    try:
        events = list(pysubs2.SSAFile.from_string(_text(content, file), format_=kind))
    except (pysubs2.Pysubs2Error, ValueError, LookupError) as error:
        raise DataError(f"{file} is no {kind.upper()} file that can be read ({error})") from None
    speech = [row for event in events for row in _speech(event, video, lang, file.name)]
    if not speech:
        raise DataError(f"{file} has no line of text with a time; expected subtitles in the form of {kind.upper()}")
    return speech


def _text(content: bytes, file: Path) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = charset_normalizer.from_bytes(content).best()
    if guess is None:
        raise DataError(f"{file} is in no known encoding; expected text, best in UTF-8")
    return str(guess)


def _read_tracks(path: Path, video: str, skipped: list[str]) -> list[Speech]:
    speech: list[Speech] = []
    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        texts = []
        for stream in container.streams.subtitles:
            if stream.codec_context.codec.text_sub:
                texts.append(stream)
            else:
                skipped.append(f"{path}: {_source(stream)} holds pictures of text, which are not read")
        if not texts:
            return []
        for stream in container.streams:
            if stream not in texts:
                stream.discard = av.stream.Discard.all
        origin = (container.start_time or 0) / av.time_base
        for packet in container.demux(texts):
            if packet.size and packet.pts is not None:
                speech += _events(packet, video, origin)
    return sorted(speech, key=lambda row: (row.source, row.start_seconds))


def _events(packet: av.Packet, video: str, origin_seconds: float) -> Iterator[Speech]:
    stream = packet.stream
    shown = stream.codec_context.decode2(packet)
    start = round(1000 * (float(packet.pts * packet.time_base) - origin_seconds))
    length = round(1000 * float((packet.duration or 0) * packet.time_base)) or (shown.end_display_time if shown else 0)
    for line in shown or ():
        text = line.ass.decode("utf-8", errors="replace").split(",", _TEXT_FIELD)[-1]
        event = pysubs2.SSAEvent(start=start, end=start + length, text=text)
        yield from _speech(event, video, tagged_lang(stream.language or ""), _source(stream))


def _speech(event: pysubs2.SSAEvent, video: str, lang: str | None, source: str) -> Iterator[Speech]:
    """Yield the line of an event, unless it is a remark, a drawing, or never seen."""
    text = " ".join(event.plaintext.split())
    start, end = max(event.start, 0) / 1000, event.end / 1000
    if text and start < end and not event.is_comment and not event.is_drawing:
        yield Speech(video=video, start_seconds=start, end_seconds=end, text=text, lang=lang, source=source)


def _source(stream: av.stream.Stream) -> str:
    return f"track {stream.index} ({stream.codec_context.name})"
