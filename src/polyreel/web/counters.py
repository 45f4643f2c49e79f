"""What the server has done, in the text format that Prometheus reads, and as one JSON line a request.

Neither holds a query, a token or a file's name: routes are named by their pattern.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
Log = Callable[[str], None]


class Counters:
    """Requests by route and status, and how long they took until their last byte."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(BUCKETS_SECONDS))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self._lock:
            self._requests[route, status] += 1
            self._seconds[route] += seconds
            for place, bound in enumerate(BUCKETS_SECONDS):
                self._buckets[route][place] += seconds <= bound

    def text(self, gauges: dict[str, float]) -> str:
        """Return all counters, and some figures that were measured now, as Prometheus reads them."""
        with self._lock:
            lines = [f"# TYPE {name} gauge\n{name} {value:g}" for name, value in gauges.items()]
            lines.append("# TYPE polyreel_requests_total counter")
            for (route, status), count in sorted(self._requests.items()):
                lines.append(f'polyreel_requests_total{{route="{route}",status="{status}"}} {count}')
            lines.append("# TYPE polyreel_request_seconds histogram")
            for route, counts in sorted(self._buckets.items()):
                total = sum(count for (one, _), count in self._requests.items() if one == route)
                pairs = [*zip(map(str, BUCKETS_SECONDS), counts, strict=True), ("+Inf", total)]
                lines += [f'polyreel_request_seconds_bucket{{route="{route}",le="{le}"}} {n}' for le, n in pairs]
                lines.append(f'polyreel_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}')
                lines.append(f'polyreel_request_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"


class Counted:
    """The outermost ASGI layer: count every request, and write one line about it.

    Args:
        app: what answers.
        counters: where it is counted.
        log: takes a line of JSON; None writes none.
    """

    def __init__(self, app: "ASGIApp", counters: Counters, log: Log | None) -> None:
        self._app, self._counters, self._log = app, counters, log

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass one request on, and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_noting(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self._counters.note(route, status, seconds)
            if self._log is not None:
                record = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "method": scope["method"]}
                self._log(json.dumps({**record, "route": route, "status": status, "ms": round(1000 * seconds, 2)}))
