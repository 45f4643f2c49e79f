"""The page in a real browser: type, move, play, from right to left, behind a login. Needs Chromium and playwright."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from polyreel.search.index import Index
from polyreel.web.access import Access
from polyreel.web.app import create_app
from polyreel.web.site import Library

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
TOKEN = "0123456789abcdef"


@contextmanager
def served(index: Index, **access: object) -> Iterator[str]:
    """Serve on a free port until the test is over."""
    app = create_app([Library(name="films", index=index)], Access(**access))
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


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if not CHROMIUM.is_file():
        pytest.skip(f"needs Chromium at {CHROMIUM}: make browser")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def open_page(browser, indexed: Index) -> Iterator[Callable[..., object]]:
    """Open the page; whatever it complains of on its console fails the test."""
    complaints: list[str] = []
    with served(indexed) as address:

        def start(**settings: object):
            page = browser.new_context(**{"locale": "en-US", **settings}).new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            page.goto(address)
            return page

        yield start
    assert complaints == []


def until(page, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression holds; the page's own rules forbid the browser driver's way of waiting."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never came true: {expression}"
        page.wait_for_timeout(50)


def best(page) -> str:
    page.wait_for_selector(".card")
    return page.locator(".card .name").first.text_content()


@pytest.mark.parametrize(
    ("query", "video"), [("green", "green.mp4"), ("蓝色", "wet & wild/both.mp4"), ("أحمر", "wet & wild/both.mp4")]
)
def test_a_query_in_three_scripts_plays_its_moment(open_page, query, video):
    page = open_page()
    page.fill("#query", query)
    page.keyboard.press("Enter")
    assert best(page) == video
    assert page.evaluate("getComputedStyle(document.querySelector('#query')).direction") == (
        "rtl" if query == "أحمر" else "ltr"
    )
    peak = page.evaluate(f"fetch('/moments?k=1&q={query}').then((r) => r.json()).then((a) => a.moments[0].peak)")
    page.locator(".card").first.click()
    until(page, "document.querySelector('#film').readyState >= 2")
    until(page, f"document.querySelector('#film').currentTime >= {peak['start_seconds']}")
    assert page.evaluate("document.querySelector('#film').currentTime") <= peak["end_seconds"] + 0.5


def test_the_keyboard_is_enough(open_page):
    page = open_page()
    page.keyboard.type("green")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card:focus")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[...document.querySelectorAll('.card')].indexOf(document.activeElement)") == 1
    page.keyboard.press("Enter")
    page.wait_for_selector("#player[open]")
    title = page.locator("#title").text_content()
    page.keyboard.press("p")
    until(page, f"document.querySelector('#title').textContent != {title!r}")
    page.keyboard.press("Escape")
    page.wait_for_selector("#player:not([open])", state="attached")
    page.keyboard.press("l")
    until(page, "location.hash.startsWith('#like=')")
    page.go_back()
    assert best(page) == "green.mp4"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"


def test_the_interface_turns_for_arabic_and_remembers(open_page):
    page = open_page()
    page.select_option("#interface", "ar")
    until(page, "document.documentElement.dir == 'rtl'")
    assert page.locator("#go").text_content() == "بحث"
    page.reload()
    until(page, "document.documentElement.lang == 'ar'")


def test_a_phone_has_no_sideways_scrolling(open_page):
    page = open_page(viewport={"width": 360, "height": 740})
    page.fill("#query", "green")
    page.keyboard.press("Enter")
    best(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_file_the_browser_cannot_play_becomes_a_preview(open_page, indexed: Index, write_video):
    page = open_page()
    page.route("**/media/**", lambda route: route.fulfill(body=b"not a film", content_type="video/x-unknown"))
    page.fill("#query", "green")
    page.keyboard.press("Enter")
    best(page)
    page.locator(".card").first.click()
    until(page, "document.querySelector('#film').readyState >= 2")
    assert "/preview/" in page.evaluate("document.querySelector('#film').currentSrc")
    assert "preview" in page.locator("#note").text_content()


def test_a_token_is_asked_for_once(browser, indexed: Index):
    with served(indexed, token=TOKEN) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#door[open]")
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('#refused').textContent != ''")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#door:not([open])", state="attached")
        page.fill("#query", "green")
        page.keyboard.press("Enter")
        assert best(page) == "green.mp4"
        until(page, "document.querySelector('.card img').naturalWidth > 0")
