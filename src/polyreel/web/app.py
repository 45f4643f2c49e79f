"""The server, put together: routes, the page's files, and the layers that every request passes first."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from polyreel import __version__
from polyreel.errors import PolyreelError, VideoError
from polyreel.web.access import Access, Sessions
from polyreel.web.counters import Counted, Counters, Log
from polyreel.web.pictures import Pictures
from polyreel.web.routes import router
from polyreel.web.site import Library, Site
from polyreel.web.wall import Wall

if TYPE_CHECKING:
    from starlette.types import ASGIApp

STATIC = Path(__file__).parent / "static"
_DESCRIPTION = "Search videos in any language. Where a token is needed, send it as `Authorization: Bearer TOKEN`."


def create_app(libraries: Sequence[Library], access: Access, log: Log | None = None) -> "ASGIApp":
    """Make the server.

    Args:
        libraries: the indexes, one or more, with different names.
        access: who may ask, and how much.
        log: takes a line of JSON a request; None: no log.

    Returns:
        An ASGI application.

    Raises:
        ValueError: there are no indexes, or two of one name.
    """
    names = [library.name for library in libraries]
    if not names or len({*names}) < len(names):
        raise ValueError(f"indexes are called {', '.join(names) or 'nothing'}; expected one or more, each its own name")
    sessions, counters = Sessions(), Counters()
    app = FastAPI(title="polyreel", version=__version__, docs_url=None, redoc_url=None, description=_DESCRIPTION)
    app.state.site = Site(
        libraries={library.name: library for library in libraries},
        pictures={library.name: Pictures(library.pictures_folder) for library in libraries},
        access=access,
        sessions=sessions,
        counters=counters,
    )
    app.include_router(router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(PolyreelError, _say_why)
    app.add_exception_handler(ValueError, _say_why)
    app.add_exception_handler(KeyError, _say_why)
    return Counted(Wall(app, access, sessions), counters, log)


def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


def _say_why(_: Request, error: Exception) -> JSONResponse:
    """Answer in one sentence: 404 what is not there, 503 what cannot be used now, 400 a wrong question."""
    if isinstance(error, KeyError | VideoError):
        return JSONResponse({"detail": str(error.args[0])}, status_code=404)
    return JSONResponse({"detail": str(error)}, status_code=503 if isinstance(error, PolyreelError) else 400)
