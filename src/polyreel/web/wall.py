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

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 4096
MOST_URL_BYTES = 8192
OPEN_PATHS = frozenset({"/", "/login", "/health", "/favicon.ico"})  # and /static/: the page itself holds no secrets
UNCOUNTED = ("/media/", "/thumb/", "/preview/", "/static/")  # what a page full of hits asks for by the dozen
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
        self._num_in_flight = 0

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
        self._num_in_flight += counts
        try:
            await self._app(scope, receive, send_safely)
        finally:
            self._num_in_flight -= counts

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
            if not _is_short(headers):
                return _refuse(413, f"expected a body of known length, at most {MOST_BODY_BYTES} bytes")
        if not self._is_known(headers, path):
            return _refuse(401, "a token is needed: send it as `Authorization: Bearer TOKEN`, or log in on the page")
        client = scope["client"][0] if scope.get("client") else ""
        if path == "/login" and not self._logins.allows(client):
            return _refuse(429, "too many attempts; wait a minute", retry_after_seconds=60)
        if not path.startswith(UNCOUNTED) and not self._requests.allows(client):
            return _refuse(429, "too many requests; wait a minute", retry_after_seconds=60)
        if path.startswith(SEARCHES) and self._num_in_flight >= access.most_in_flight:
            return _refuse(503, "busy with other searches; try again in a second", retry_after_seconds=1)
        return None

    def _is_known(self, headers: Headers, path: str) -> bool:
        token = self._access.token
        if token is None or path in OPEN_PATHS or path.startswith("/static/"):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return is_same(given.strip(), token)
        return self._sessions.holds(_session(headers.get("cookie", "")))


def _is_short(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" not in headers and length.isdigit() and int(length) <= MOST_BODY_BYTES


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
