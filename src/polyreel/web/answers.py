"""What the API answers, as frozen values; the OpenAPI description is made of them."""

from pydantic import BaseModel, ConfigDict, Field

from polyreel.languages import LANGUAGES, text_direction
from polyreel.search.index import Hit
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
            video=hit.video.relative_to(library.index.library_folder).as_posix(),
            start_seconds=hit.start_seconds,
            end_seconds=hit.end_seconds,
            score=hit.score,
            strength=strength,
            band=None if strength is None else band_of(strength),
            **{kind: f"/{kind}/{name}?library={library.name}" for kind in ("media", "thumb", "preview")},
        )


class MomentAnswer(_Answer):
    """Neighbouring clips of one video that answer together."""

    video: str = Field(description="path of the file inside the library")
    start_seconds: float = Field(description="where the first clip starts")
    end_seconds: float = Field(description="where the last clip ends")
    score: float = Field(description="of the best clip")
    num_clips: int = Field(description="how many hits it joins")
    peak: ClipAnswer = Field(description="its best clip")

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


class MomentsAnswer(_Answer):
    """Moments, best first."""

    query: QueryAnswer | None = Field(description="none for moments that look like a clip")
    moments: list[MomentAnswer]


class LibraryAnswer(_Answer):
    """An index that can be asked."""

    name: str
    num_clips: int
    langs: list[str] = Field(description="languages its model was trained on")

    @classmethod
    def of(cls, library: Library) -> "LibraryAnswer":
        """Describe an index."""
        langs = list(library.index.encoder.model.langs)
        return cls(name=library.name, num_clips=len(library.index), langs=langs)


class HealthAnswer(_Answer):
    """That the server is up."""

    status: str
    version: str


class Login(_Answer):
    """A token, to be exchanged for a cookie."""

    token: str = Field(min_length=1, max_length=512)
