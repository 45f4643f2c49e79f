"""Who may ask the server, and how much: one wall in front of all routes.

A server on the loopback address needs no password, but a page from elsewhere that a browser was talked into opening
must not reach it: the `Host` it was asked by has to be a name of this machine (or DNS rebinding would get through), and
a write has to come from the server's own page. Anywhere else a token is needed. API clients send it as a bearer header;
a browser exchanges it for a cookie, because a `<video>` can send no header, and no URL ever holds a secret. Tokens are
compared in constant time.
"""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

COOKIE = "polyreel_session"
SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 1000
MOST_CLIENTS = 10_000
LOGINS_A_MINUTE = 10
FEWEST_TOKEN_CHARACTERS = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Tell whether an address to bind to can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask, and how much.

    Attributes:
        token: what clients must know; None: nobody is asked, for servers on the loopback address alone.
        host_names: names the server may be asked by, without port; None: any.
        requests_a_minute: by client address, beyond which it is told to wait; media and pictures not counted.
        most_in_flight: searches at a time, beyond which the server says that it is busy.
        most_files: pictures and videos at a time that are sent to ask with; a slow sender holds up no search.
    """

    token: str | None = None
    host_names: frozenset[str] | None = LOOPBACK_NAMES
    requests_a_minute: int = 600
    most_in_flight: int = 32
    most_files: int = 4

    def __post_init__(self) -> None:
        """Check the token.

        Raises:
            ValueError: it is too short to keep anybody out.
        """
        if self.token is not None and len(self.token) < FEWEST_TOKEN_CHARACTERS:
            raise ValueError(
                f"the token has {len(self.token)} characters; expected {FEWEST_TOKEN_CHARACTERS} or more, such as "
                "`openssl rand -hex 32` prints"
            )


def access_for(host: str, token: str | None) -> Access:
    """Return who may ask a server bound to an address.

    Raises:
        ValueError: the address can be reached from other machines and there is no token, or one that is too short.
    """
    if is_loopback(host):
        return Access(token=token)
    if token is None:
        raise ValueError(
            f"{host} can be reached from other machines, so a token is needed: write one into a file "
            "(`openssl rand -hex 32 > token`) and add --token-file token; or leave --host at 127.0.0.1"
        )
    return Access(token=token, host_names=None)


class Sessions:
    """Cookies of browsers that knew the token; kept in memory, so a restart asks again.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()

    def open(self) -> str:
        """Start a session; the oldest gives way where there are too many."""
        name = secrets.token_urlsafe(32)
        self._ends[name] = self._clock() + SESSION_SECONDS
        while len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        return name

    def holds(self, name: str) -> bool:
        """Tell whether a session is open."""
        return self._ends.get(name, -1.0) > self._clock()


class Pace:
    """How often each client asked within the last minute.

    Args:
        most: times a minute.
        clock: gives seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Note one more request of a client; False where that is too many."""
        now = self._clock()
        times = self._times.setdefault(client, deque())
        self._times.move_to_end(client)
        while len(self._times) > MOST_CLIENTS:
            self._times.popitem(last=False)
        while times and times[0] <= now - 60.0:
            times.popleft()
        if len(times) >= self._most:
            return False
        times.append(now)
        return True


def is_same(given: str, expected: str) -> bool:
    """Compare secrets; the time it takes tells nothing about either, their length included."""
    digests = (hashlib.sha256(word.encode("utf-8", "replace")).digest() for word in (given, expected))
    return hmac.compare_digest(*digests)


def host_name(host_header: str) -> str:
    """Return the name in a `Host` header, without its port and in lower case."""
    name, _, port = host_header.strip().lower().rpartition(":")
    return name if name and port.isdigit() else host_header.strip().lower()


def comes_from_own_page(origin: str | None, host_header: str) -> bool:
    """Tell whether a write's `Origin` is the server itself; programs send none, browsers always do."""
    return origin is None or (origin != "null" and urlsplit(origin).netloc.lower() == host_header.strip().lower())
