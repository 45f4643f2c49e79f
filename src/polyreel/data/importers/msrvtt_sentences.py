"""MSR-VTT's English sentences, and the machine translations that are brought to them.

A sentence's id is `VIDEO#NUMBER`, numbered within its video in the order of the files, whatever the lists leave out.
Translations come in two layouts. The one repeats the English file with translated captions, so `video_id` and `sen_id`
say which sentence it is (crux82/msr-vtt-it, README.md). The other is `{"VIDEO.mp4": [captions]}`
(ludanruan/MCLIP4VLA, dataloaders/dataloader_msrvtt_retrieval.py), where only the order can say it.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from polyreel.data.importers.msrvtt_lists import Lists
from polyreel.data.importers.published import CaptionRows
from polyreel.data.importers.publisher_json import Record, as_record, read_document
from polyreel.errors import DataError


class Sentences:
    """The English sentences of all videos, and which of them the dataset keeps."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []  # place, sentence id, video, text
        self._id_of: dict[tuple[str, float], str] = {}
        self.ids_of: dict[str, list[str]] = {}
        self.kept: set[str] = set()

    def read(self, records: Iterable[Record]) -> None:
        """Read sentence records and number them.

        Raises:
            DataError: a field is missing or wrong, or a sentence number is used twice in a video.
        """
        for record in records:
            video, number = record.text("video_id"), record.number("sen_id")
            if (video, number) in self._id_of:
                raise DataError(f"{record.place} repeats sen_id {number:g} of {video!r}; are two years' files mixed?")
            ids = self.ids_of.setdefault(video, [])
            self._id_of[video, number] = f"{video}#{len(ids)}"
            ids.append(f"{video}#{len(ids)}")
            self._rows.append((record.place, ids[-1], video, record.text("caption")))

    def id_of(self, record: Record) -> str:
        """Return the id of the English sentence that a translated one repeats.

        Raises:
            DataError: there is none.
        """
        video, number = record.text("video_id"), record.number("sen_id")
        if (video, number) not in self._id_of:
            raise DataError(f"{record.place} translates sen_id {number:g} of {video!r}, which the English files lack")
        return self._id_of[video, number]

    def add_to(self, captions: CaptionRows, lists: Lists, left_out: AbstractSet[str]) -> Iterator[str]:
        """Add the wanted sentences to a caption table, and yield what is odd about them.

        A clip of a test list with sentences keeps the sentence that is asked alone. One that none of its sentences
        equals is added as the list has it, without translations.
        """
        asked = {video: _plain(text) for video, text in lists.asked.items()}
        for place, sentence, video, text in self._rows:
            if video in left_out or (video in lists.asked and asked.get(video) != _plain(text)):
                continue
            asked.pop(video, None)
            self.kept.add(sentence)
            captions.add(place, caption_id=sentence, clip_id=video, lang="en", text=text)
        for video in asked:
            place = f"{lists.file}, video {video!r}"
            captions.add(place, caption_id=f"{video}#asked", clip_id=video, lang="en", text=lists.asked[video])
        if asked:
            yield (
                f"{len(asked)} sentence(s) of {lists.file} are not among their videos' captions, the first is that of "
                f"{next(iter(asked))!r}; kept as the list has them, without translations"
            )


def add_translation(captions: CaptionRows, sentences: Sentences, lang: str, file: Path) -> Iterator[str]:
    """Add the translations of the kept sentences, and yield what is odd about them; empty ones are absent.

    Raises:
        DataError: the file has neither layout, or translates what is not there.
    """
    document = as_record(read_document(file), file.name)
    by_number = "sentences" in document.fields
    rows = _by_number(document, sentences) if by_number else _by_order(document, sentences)
    for place, sentence, text in rows:
        if text and sentence in sentences.kept:
            captions.add(
                place,
                caption_id=sentence,
                clip_id=sentence.rpartition("#")[0],
                lang=lang,
                text=text,
                origin="machine-translated",
            )
    if not by_number:
        yield f"{file.name} does not number its sentences; the order says which English one each translates"


def _by_number(document: Record, sentences: Sentences) -> Iterator[tuple[str, str, str]]:
    for record in document.records("sentences"):
        yield record.place, sentences.id_of(record), record.text("caption")


def _by_order(document: Record, sentences: Sentences) -> Iterator[tuple[str, str, str]]:
    for name in document.fields:
        video, texts = name.removesuffix(".mp4"), document.texts(name)
        place = f"{document.place}, {name!r}"
        if video not in sentences.ids_of:
            raise DataError(f"{place} translates a video that the English files lack")
        if len(texts) != len(sentences.ids_of[video]):
            raise DataError(
                f"{place} has {len(texts)} sentences, but the English files have {len(sentences.ids_of[video])}; "
                "expected as many, because only their order says which translates which"
            )
        for number, (sentence, text) in enumerate(zip(sentences.ids_of[video], texts, strict=True)):
            yield f"{place}[{number}]", sentence, text


def _plain(text: str) -> str:
    """Return a text in lower case with single blanks, to find it again in a list that was tidied."""
    return " ".join(text.casefold().split())
