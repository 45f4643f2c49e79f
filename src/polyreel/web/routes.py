"""The routes: a few lines each over an index.

Whatever a client sends is checked by the types of the arguments and by the wall in front (`wall.py`); what cannot be
answered is a status and one sentence, never a traceback.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.responses import Response as PlainResponse

from polyreel import __version__
from polyreel.search.index import Hit
from polyreel.web.access import COOKIE, SESSION_SECONDS, is_same
from polyreel.web.answers import (
    ClipAnswer,
    HealthAnswer,
    HitsAnswer,
    LibraryAnswer,
    Login,
    MomentAnswer,
    MomentsAnswer,
    QueryAnswer,
)
from polyreel.web.site import Library, Site, clip_of_name

MOST_HITS, MOST_SKIPPED, MOST_QUERY_CHARACTERS = 100, 1000, 500
KEPT_A_DAY = {"cache-control": "private, max-age=86400"}

Words = Annotated[str, Query(min_length=1, max_length=MOST_QUERY_CHARACTERS, description="in any language")]
Number = Annotated[int, Query(ge=1, le=MOST_HITS, description="how many")]
First = Annotated[int, Query(ge=0, le=MOST_SKIPPED, description="how many of the best to leave out, for paging")]
LibraryName = Annotated[str | None, Query(max_length=200, description="which index; the first, if none is named")]


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


SiteHere = Annotated[Site, Depends(_site)]


def _asked(site: SiteHere, library: LibraryName = None) -> Library:
    found = site.library(library)
    if found is None:
        raise HTTPException(404, f"there is no library of this name; there are {', '.join(site.libraries)}")
    return found


Asked = Annotated[Library, Depends(_asked)]


def _clip(library: Asked, clip: str) -> Hit:
    return library.index.clip(clip_of_name(clip))


Clip = Annotated[Hit, Depends(_clip)]
router = APIRouter()


@router.get("/libraries")
def list_libraries(site: SiteHere) -> list[LibraryAnswer]:
    """List the indexes that can be asked."""
    return [LibraryAnswer.of(library) for library in site.libraries.values()]


@router.get("/search")
def search(library: Asked, q: Words, k: Number = 10, first: First = 0) -> HitsAnswer:
    """Find clips, best first."""
    found, query = library.hits(q, first, k), QueryAnswer.of(library, q)
    strengths = library.strengths([hit.score for hit in found], query.lang)
    hits = [ClipAnswer.of(library, hit, strength) for hit, strength in zip(found, strengths, strict=True)]
    return HitsAnswer(query=query, hits=hits)


@router.get("/moments")
def find_moments(library: Asked, q: Words, k: Number = 10, first: First = 0) -> MomentsAnswer:
    """Find moments, best first: neighbouring clips of one video count as one."""
    found, query = library.moments(q, first, k), QueryAnswer.of(library, q)
    strengths = library.strengths([moment.score for moment in found], query.lang)
    moments = [MomentAnswer.of(library, moment, strength) for moment, strength in zip(found, strengths, strict=True)]
    return MomentsAnswer(query=query, moments=moments)


@router.get("/like/{clip}")
def find_like(library: Asked, clip: Clip, k: Number = 10) -> MomentsAnswer:
    """Find moments that look like a clip."""
    moments = [MomentAnswer.of(library, moment) for moment in library.like(clip.clip_id, k)]
    return MomentsAnswer(query=None, moments=moments)


@router.get("/clips/{clip}")
def show_clip(library: Asked, clip: Clip) -> ClipAnswer:
    """Say where a clip lies."""
    return ClipAnswer.of(library, clip)


@router.get("/media/{clip}", response_class=FileResponse)
def send_media(clip: Clip) -> FileResponse:
    """Send the clip's file; players ask for parts of it by ranges."""
    if not clip.video.is_file():
        raise HTTPException(404, "the file is not there any more; `polyreel index` brings the index up to date")
    return FileResponse(clip.video, content_disposition_type="inline", filename=clip.video.name)


@router.get("/thumb/{clip}", response_class=FileResponse)
def send_thumbnail(site: SiteHere, library: Asked, clip: Clip) -> FileResponse:
    """Send a JPEG of the clip's middle."""
    return FileResponse(site.pictures[library.name].thumbnail(clip), headers=KEPT_A_DAY)


@router.get("/preview/{clip}", response_class=FileResponse)
def send_preview(site: SiteHere, library: Asked, clip: Clip) -> FileResponse:
    """Send the clip as a small mp4, for browsers that cannot play the file itself."""
    return FileResponse(site.pictures[library.name].preview(clip), headers=KEPT_A_DAY)


@router.post("/login", status_code=204)
def log_in(site: SiteHere, login: Login, response: Response) -> None:
    """Exchange the token for a cookie that scripts cannot read."""
    if site.access.token is None or not is_same(login.token, site.access.token):
        raise HTTPException(401, "this is not the token")
    cookie = site.sessions.open()
    response.set_cookie(COOKIE, cookie, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict", path="/")


@router.get("/health")
def tell_health() -> HealthAnswer:
    """Say that the server is up."""
    return HealthAnswer(status="ok", version=__version__)


@router.get("/metrics", response_class=PlainTextResponse)
def tell_metrics(site: SiteHere) -> PlainResponse:
    """Say what the server has done, as Prometheus reads it."""
    clips = {"polyreel_clips": float(sum(len(library.index) for library in site.libraries.values()))}
    return PlainTextResponse(site.counters.text(clips), media_type="text/plain; version=0.0.4")
