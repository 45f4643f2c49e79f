"""The routes: a few lines each over an index.

Whatever a client sends is checked by the types of the arguments and by the wall in front (`wall.py`); what cannot be
answered is a status and one sentence, never a traceback. What reads a disk or computes is done in another thread, and
in one go, because threads that take turns at an interpreter wait for each other.
"""

from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.responses import Response as PlainResponse

from polyreel import __version__
from polyreel.errors import VideoError
from polyreel.search.filter import Filter
from polyreel.search.hits import Hit
from polyreel.search.hybrid import By
from polyreel.web.access import COOKIE, SESSION_SECONDS, is_same
from polyreel.web.answers import (
    ClipAnswer,
    CurveAnswer,
    HealthAnswer,
    HitsAnswer,
    LibraryAnswer,
    Login,
    MomentAnswer,
    MomentsAnswer,
    QueryAnswer,
)
from polyreel.web.asked_file import received
from polyreel.web.site import Library, Site, clip_of_name

_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
MOST_HITS, MOST_SKIPPED, MOST_QUERY_CHARACTERS = 100, 1000, 500
KEPT_A_DAY = {"cache-control": "private, max-age=86400"}

_EARLIEST, _LATEST = date(1900, 1, 1), date(2999, 12, 31)

Words = Annotated[str, Query(min_length=1, max_length=MOST_QUERY_CHARACTERS, description="in any language")]
Number = Annotated[int, Query(ge=1, le=MOST_HITS, description="how many")]
First = Annotated[int, Query(ge=0, le=MOST_SKIPPED, description="how many of the best to leave out, for paging")]
Seconds = Annotated[float, Query(ge=0, description="from the start of the file")]
LikeName = Annotated[str | None, Query(max_length=4000, description="a clip's id")]
LibraryName = Annotated[str | None, Query(max_length=200, description="which index; the first, if none is named")]


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


SiteHere = Annotated[Site, Depends(_site)]


async def _asked(site: SiteHere, library: LibraryName = None) -> Library:
    found = site.library(library)
    if found is None:
        raise HTTPException(404, f"there is no library of this name; there are {', '.join(site.libraries)}")
    return found


Asked = Annotated[Library, Depends(_asked)]


async def _wanted(
    path: Annotated[str | None, Query(max_length=500, description="a video, a folder, or a pattern with *")] = None,
    since: Annotated[date | None, Query(description="videos of this day and later")] = None,
    until: Annotated[date | None, Query(description="videos of this day and earlier")] = None,
    min_seconds: Annotated[float | None, Query(ge=0, description="videos that last so long or longer")] = None,
    max_seconds: Annotated[float | None, Query(ge=0, description="videos that last so long or shorter")] = None,
    speech: Annotated[str | None, Query(max_length=20, description="clips with subtitles in this language")] = None,
) -> Filter | None:
    for day in (since, until):
        if day is not None and not _EARLIEST <= day <= _LATEST:
            raise ValueError(f"{day} is no day a video was taken on; expected {_EARLIEST} to {_LATEST}")
    midnight = time()
    wanted = Filter(
        path=path or None,
        since=None if since is None else datetime.combine(since, midnight),
        until=None if until is None else datetime.combine(until + timedelta(days=1), midnight),
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        langs=() if speech is None else (speech,),
    )
    return None if wanted == Filter() else wanted


Wanted = Annotated[Filter | None, Depends(_wanted)]


def _clip(library: Asked, clip: str) -> Hit:
    return library.index.clip(clip_of_name(clip))


Clip = Annotated[Hit, Depends(_clip)]
router = APIRouter()


@router.get("/libraries")
def list_libraries(site: SiteHere) -> list[LibraryAnswer]:
    """List the indexes that can be asked."""
    return [LibraryAnswer.of(library) for library in site.libraries.values()]


@router.get("/search")
async def search(library: Asked, wanted: Wanted, q: Words, k: Number = 10, first: First = 0) -> HitsAnswer:
    """Find clips by what is seen, best first."""
    return await run_in_threadpool(HitsAnswer.to, library, q, first, k, wanted)


@router.get("/moments")
async def find_moments(
    library: Asked, wanted: Wanted, q: Words, k: Number = 10, first: First = 0, by: By = "both"
) -> MomentsAnswer:
    """Find moments by what is seen, what is said, or both, best first: neighbouring clips of one video count as one."""
    return await run_in_threadpool(MomentsAnswer.to, library, q, first, k, by, wanted)


@router.get("/like/{clip}")
def find_like(library: Asked, wanted: Wanted, clip: Clip, k: Number = 10) -> MomentsAnswer:
    """Find moments that look like a clip."""
    moments = [MomentAnswer.of(library, moment) for moment in library.like(clip.clip_id, k, wanted)]
    return MomentsAnswer(query=None, moments=moments)


@router.post("/like", openapi_extra=_FILE_BODY)
async def find_like_file(
    request: Request, library: Asked, wanted: Wanted, q: Words | None = None, k: Number = 10, first: First = 0
) -> MomentsAnswer:
    """Find moments that look like a picture or a short video, whose bytes are the body; with words, what fits both."""
    async with received(request) as path:
        try:
            found = await run_in_threadpool(library.like_file, path, q or "", first, k, wanted)
        except VideoError as error:
            raise HTTPException(400, str(error).replace(str(path), "the file that was sent")) from None
    query = None if q is None else await run_in_threadpool(QueryAnswer.of, library, q)
    return MomentsAnswer(query=query, moments=[MomentAnswer.of(library, moment) for moment in found])


@router.get("/curve/{clip}")
def draw_curve(
    library: Asked, clip: Clip, q: Words | None = None, like: LikeName = None, k: Number = 10
) -> CurveAnswer:
    """Say how well the video of a clip answers words, or looks like another clip, over its time."""
    return CurveAnswer.of(library, library.curve(clip, q, like), k)


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


@router.get("/cut/{clip}", response_class=FileResponse)
def send_cut(site: SiteHere, library: Asked, clip: Clip, start: Seconds, end: Seconds) -> FileResponse:
    """Send a part of the clip's file as a file, copied and not encoded again; it starts at the key frame before."""
    cut = site.pictures[library.name].cut(clip, (start, end))
    name = f"{clip.video.stem} {int(start) // 60}m{int(start) % 60:02}s{clip.video.suffix}"
    return FileResponse(cut, filename=name, headers=KEPT_A_DAY)


@router.post("/login", status_code=204)
def log_in(site: SiteHere, login: Login, response: Response) -> None:
    """Exchange the token for a cookie that scripts cannot read."""
    if site.access.token is None or not is_same(login.token, site.access.token):
        raise HTTPException(401, "this is not the token")
    cookie = site.sessions.open()
    response.set_cookie(COOKIE, cookie, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict", path="/")


@router.get("/health")
async def tell_health() -> HealthAnswer:
    """Say that the server is up."""
    return HealthAnswer(status="ok", version=__version__)


@router.get("/metrics", response_class=PlainTextResponse)
def tell_metrics(site: SiteHere) -> PlainResponse:
    """Say what the server has done, as Prometheus reads it."""
    clips = {"polyreel_clips": float(sum(len(library.index) for library in site.libraries.values()))}
    return PlainTextResponse(site.counters.text(clips), media_type="text/plain; version=0.0.4")
