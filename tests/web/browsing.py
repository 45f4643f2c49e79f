"""The page, opened in a real browser, for tests that use it as a person would."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from polyreel.search.index import Index
from polyreel.web.access import Access
from polyreel.web.app import create_app
from polyreel.web.site import Library


@contextmanager
def served(index: Index, *others: Index, **access: object) -> Iterator[str]:
    """Serve on a free port until the test is over."""
    names = ["films", *(f"more {number}" for number in range(len(others)))]
    libraries = [Library(name=name, index=one) for name, one in zip(names, (index, *others), strict=True)]
    app = create_app(libraries, Access(**access))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def until(page, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression holds; the page's own rules forbid the browser driver's way of waiting."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never came true: {expression}"
        page.wait_for_timeout(50)


def best(page) -> str:
    page.wait_for_selector(".card")
    return page.locator(".card .name").first.text_content()
