"""What the API answers, as frozen values; the OpenAPI description is made of them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from polyreel.data.speech import Speech
from polyreel.languages import LANGUAGES, text_direction
from polyreel.search.curve import Curve
from polyreel.search.filter import Filter
from polyreel.search.hits import Hit
from polyreel.search.hybrid import Answer, By
from polyreel.search.moments import Moment
from polyreel.search.strength import Band, band_of
from polyreel.web.site import Library, name_of_clip


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClipAnswer(_Answer):
    """A clip, and where its file, its picture and its preview are."""

    id: str = Field(description="the clip's name in URLs")
    library: str = Field(description="which index it is in")
    video: str = Field(description="path of the file inside the library")
    start_seconds: float = Field(description="where in the file it starts")
    end_seconds: float = Field(description="where it ends")
    score: float = Field(description="cosine similarity with the query, -1 to 1")
    strength: float | None = Field(
        description="share of everyday queries whose best score in this index is lower, 0 to 1; none without a query"
    )
    band: Band | None = Field(description="strong from 0.9, fair from 0.6, weak below; none without a query")
    media: str = Field(description="URL of the file, with range requests")
    thumb: str = Field(description="URL of a JPEG")
    preview: str = Field(description="URL of a small mp4 of this clip, for browsers that cannot play the file")

    @classmethod
    def of(cls, library: Library, hit: Hit, strength: float | None = None) -> "ClipAnswer":
        """Say of a hit what a client may know."""
        name = name_of_clip(hit.clip_id)
        return cls(
            id=name,
            library=library.name,
            video=library.path_of(hit),
            start_seconds=hit.start_seconds,
            end_seconds=hit.end_seconds,
            score=hit.score,
            strength=strength,
            band=None if strength is None else band_of(strength),
            **{kind: f"/{kind}/{name}?library={library.name}" for kind in ("media", "thumb", "preview")},
        )


class LineAnswer(_Answer):
    """A line of what is said or subtitled."""

    start_seconds: float
    end_seconds: float
    text: str
    lang: str | None = Field(description="its language, where something says so")

    @classmethod
    def of(cls, line: Speech) -> "LineAnswer":
        """Say of a line what a client may know."""
        return cls(start_seconds=line.start_seconds, end_seconds=line.end_seconds, text=line.text, lang=line.lang)


class MomentAnswer(_Answer):
    """Neighbouring clips of one video that answer together."""

    video: str = Field(description="path of the file inside the library")
    start_seconds: float = Field(description="where the first clip starts")
    end_seconds: float = Field(description="where the last clip ends")
    score: float = Field(description="of the best clip")
    num_clips: int = Field(description="how many hits it joins")
    peak: ClipAnswer = Field(description="its best clip")
    matched: list[Literal["seen", "said"]] = Field(description="whether the query was found in the pictures, the words")
    lines: list[LineAnswer] = Field(description="what is said of the query")

    @classmethod
    def of_answer(cls, library: Library, answer: Answer, strength: float) -> "MomentAnswer":
        """Say of an answer what a client may know."""
        said = ["said"] if answer.said_place is not None else []
        seen = ["seen"] if answer.seen_place is not None else []
        lines = [LineAnswer.of(line) for line in answer.lines]
        return cls.of(library, answer.moment, strength).model_copy(update={"matched": [*seen, *said], "lines": lines})

    @classmethod
    def of(cls, library: Library, moment: Moment, strength: float | None = None) -> "MomentAnswer":
        """Say of a moment what a client may know."""
        peak = ClipAnswer.of(library, moment.peak, strength)
        return cls(
            video=peak.video,
            start_seconds=moment.start_seconds,
            end_seconds=moment.end_seconds,
            score=moment.score,
            num_clips=moment.num_clips,
            peak=peak,
            matched=["seen"],
            lines=[],
        )


class CurvePoint(_Answer):
    """How well one clip of a video answers."""

    start_seconds: float
    end_seconds: float
    score: float


class CurveAnswer(_Answer):
    """How well a video answers a query over its time."""

    video: str = Field(description="path of the file inside the library")
    background: float = Field(description="score of an average clip of the library")
    points: list[CurvePoint] = Field(description="its clips in the order of time")
    moments: list[MomentAnswer] = Field(description="its best moments, best first")

    @classmethod
    def of(cls, library: Library, curve: Curve, k: int) -> "CurveAnswer":
        """Say of a curve what a client may know."""
        points = [
            CurvePoint(start_seconds=hit.start_seconds, end_seconds=hit.end_seconds, score=hit.score)
            for hit in curve.hits
        ]
        return cls(
            video=ClipAnswer.of(library, curve.hits[0]).video,
            background=curve.background,
            points=points,
            moments=[MomentAnswer.of(library, moment) for moment in curve.moments(k)],
        )


class QueryAnswer(_Answer):
    """The query as it was understood."""

    text: str = Field(description="as it was asked")
    lang: str | None = Field(description="code of the language it is probably in; the answers do not depend on it")
    lang_name: str | None = Field(description="that language's own name")
    direction: str = Field(description="ltr or rtl")

    @classmethod
    def of(cls, library: Library, text: str) -> "QueryAnswer":
        """Guess a query's language."""
        lang = library.guess.of(text)
        name = LANGUAGES[lang].own_name if lang in LANGUAGES else None
        return cls(text=text, lang=lang, lang_name=name, direction=text_direction(lang or ""))


class HitsAnswer(_Answer):
    """Clips, best first."""

    query: QueryAnswer
    hits: list[ClipAnswer]

    @classmethod
    def to(cls, library: Library, text: str, first: int, k: int, wanted: Filter | None) -> "HitsAnswer":
        """Answer a query with k clips, leaving out the `first` best."""
        found, query = library.hits(text, first, k, wanted), QueryAnswer.of(library, text)
        strengths = library.strengths([hit.score for hit in found], query.lang)
        hits = [ClipAnswer.of(library, hit, strength) for hit, strength in zip(found, strengths, strict=True)]
        return cls(query=query, hits=hits)


class MomentsAnswer(_Answer):
    """Moments, best first."""

    query: QueryAnswer | None = Field(description="none for moments that look like a clip or a file")
    moments: list[MomentAnswer]

    @classmethod
    def to(cls, library: Library, text: str, first: int, k: int, by: By, wanted: Filter | None) -> "MomentsAnswer":
        """Answer a query with k moments, leaving out the `first` best."""
        found, query = library.answers(text, first, k, by, wanted), QueryAnswer.of(library, text)
        strengths = library.strengths([answer.moment.score for answer in found], query.lang)
        pairs = zip(found, strengths, strict=True)
        moments = [MomentAnswer.of_answer(library, answer, strength) for answer, strength in pairs]
        return cls(query=query, moments=moments)


class LibraryAnswer(_Answer):
    """An index that can be asked."""

    name: str
    num_clips: int
    langs: list[str] = Field(description="languages its model was trained on")
    speech_langs: list[str] = Field(description="languages in which something is said or subtitled")
    folders: list[str] = Field(description="folders at the top of the library, the first 200")

    @classmethod
    def of(cls, library: Library) -> "LibraryAnswer":
        """Describe an index."""
        contents = library.contents()
        return cls(
            name=library.name,
            num_clips=contents.num_clips,
            langs=list(library.index.encoder.model.langs),
            speech_langs=list(contents.speech_langs),
            folders=list(contents.folders),
        )


class HealthAnswer(_Answer):
    """That the server is up."""

    status: str
    version: str


class Login(_Answer):
    """A token, to be exchanged for a cookie."""

    token: str = Field(min_length=1, max_length=512)
