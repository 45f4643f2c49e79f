"""The ASGI layer that applies `Access` to every request, answers the forbidden ones, and adds the safe headers.

It stands outside the routes, so that none can forget it, and passes bodies through untouched, so that videos stream.
"""

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from polyreel.web.access import (
    COOKIE,
    LOGINS_A_MINUTE,
    Access,
    Pace,
    Sessions,
    comes_from_own_page,
    host_name,
    is_same,
)
from polyreel.web.asked_file import MOST_FILE_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 4096
MOST_URL_BYTES = 8192
OPEN_PATHS = frozenset({"/", "/login", "/health", "/favicon.ico"})  # and /static/: the page itself holds no secrets
UNCOUNTED = ("/media/", "/thumb/", "/preview/", "/static/")  # what a page full of hits asks for by the dozen
ASKS_WITH_FILE = "/like"
SEARCHES = ("/search", "/moments", "/curve/")
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


class Wall:
    """Refuse what `Access` does not allow; pass everything else on.

    Args:
        app: the routes.
        access: who may ask, and how much.
        sessions: of browsers that knew the token.
    """

    def __init__(self, app: "ASGIApp", access: Access, sessions: Sessions) -> None:
        self._app, self._access, self._sessions = app, access, sessions
        self._requests = Pace(access.requests_a_minute)
        self._logins = Pace(LOGINS_A_MINUTE)
        self._num_in_flight = self._num_files = 0

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_safely(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_safely)
            return
        counts = scope["path"].startswith(SEARCHES)
        sends_file = scope["path"] == ASKS_WITH_FILE
        self._num_in_flight += counts
        self._num_files += sends_file
        try:
            await self._app(scope, receive, send_safely)
        finally:
            self._num_in_flight -= counts
            self._num_files -= sends_file

    def _refusal(self, scope: "Scope") -> JSONResponse | None:
        headers, path, access = Headers(scope=scope), scope["path"], self._access
        host = headers.get("host", "")
        if access.host_names is not None and host_name(host) not in access.host_names:
            return _refuse(403, "asked by a name that is not this machine's; use http://127.0.0.1 or localhost")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_URL_BYTES:
            return _refuse(414, f"the address is longer than {MOST_URL_BYTES} bytes")
        if scope["method"] not in ("GET", "HEAD"):
            if not comes_from_own_page(headers.get("origin"), host):
                return _refuse(403, "a write from another page is refused")
            most_bytes = MOST_FILE_BYTES if path == ASKS_WITH_FILE else MOST_BODY_BYTES
            if not _is_short(headers, most_bytes):
                return _refuse(413, f"expected a body of known length, at most {most_bytes} bytes")
        if not self._is_known(headers, path):
            return _refuse(401, "a token is needed: send it as `Authorization: Bearer TOKEN`, or log in on the page")
        client = scope["client"][0] if scope.get("client") else ""
        if path == "/login" and not self._logins.allows(client):
            return _refuse(429, "too many attempts; wait a minute", retry_after_seconds=60)
        if not path.startswith(UNCOUNTED) and not self._requests.allows(client):
            return _refuse(429, "too many requests; wait a minute", retry_after_seconds=60)
        if busy_with := self._busy_with(path):
            return _refuse(503, f"busy with other {busy_with}; try again in a second", retry_after_seconds=1)
        return None

    def _busy_with(self, path: str) -> str:
        if path.startswith(SEARCHES) and self._num_in_flight >= self._access.most_in_flight:
            return "searches"
        return "files" if path == ASKS_WITH_FILE and self._num_files >= self._access.most_files else ""

    def _is_known(self, headers: Headers, path: str) -> bool:
        token = self._access.token
        if token is None or path in OPEN_PATHS or path.startswith("/static/"):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return is_same(given.strip(), token)
        return self._sessions.holds(_session(headers.get("cookie", "")))


def _is_short(headers: Headers, most_bytes: int) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" not in headers and length.isdigit() and int(length) <= most_bytes


def _session(cookie_header: str) -> str:
    try:
        found = SimpleCookie(cookie_header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _refuse(status: int, reason: str, retry_after_seconds: int | None = None) -> JSONResponse:
    headers = {"retry-after": str(retry_after_seconds)} if retry_after_seconds is not None else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"detail": reason}, status_code=status, headers=headers)
