"""The page in a real browser: type, move, play, from right to left, behind a login. Needs Chromium and playwright."""

import io

import pytest
from browsing import best, served, until
from PIL import Image

from polyreel.search.index import Index

pytestmark = pytest.mark.browser
TOKEN = "0123456789abcdef"


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
    until(page, "document.querySelector('.card .name')?.textContent === 'green.mp4'")
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


def test_filters_know_the_library_though_somebody_typed_at_once(open_page):
    page, held = open_page(), []
    page.route("**/libraries", lambda route: held.append(route))
    page.reload()
    page.fill("#query", "green")
    page.keyboard.press("Enter")
    assert best(page) == "green.mp4"
    assert page.locator("#folders option").count() == 0
    held[-1].continue_()
    until(page, "document.querySelector('#folders option')?.value === 'wet & wild'")


def test_filters_narrow_the_answers_and_stand_in_the_address(open_page):
    page = open_page()
    page.fill("#query", "red")
    page.keyboard.press("Enter")
    assert best(page) == "wet & wild/both.mp4"
    page.keyboard.press("f")
    page.wait_for_selector("#filter-path:focus")
    page.keyboard.type("green.mp4")
    page.keyboard.press("Enter")
    until(page, "[...document.querySelectorAll('.card .name')].every((one) => one.textContent === 'green.mp4')")
    assert "path=green.mp4" in page.url
    assert page.locator("#filter").text_content() == "Filters · 1"
    page.select_option("#filter-length", "long")
    until(page, "document.querySelector('#status').textContent === 'No moments found.'")
    page.reload()
    until(page, "document.querySelector('#filter').textContent === 'Filters · 2'")
    assert page.input_value("#filter-path") == "green.mp4"
    page.click("#filter")
    page.click("#clear")
    assert best(page) == "wet & wild/both.mp4"
    assert "path" not in page.url


def test_what_is_said_is_shown_and_played_from_its_line(open_page):
    page = open_page()
    page.click("#filter")
    assert page.locator("#filter-speech option").all_text_contents() == ["any", "German"]
    page.select_option("#filter-by", "said")
    page.fill("#query", "heute ruhig")
    page.press("#query", "Enter")
    assert best(page) == "green.mp4"
    assert page.locator(".card .said").text_content() == "Das Meer ist heute ruhig"
    page.locator(".card").first.click()
    until(page, "document.querySelector('#film').currentTime >= 1")
    assert page.locator("#when").text_content() == "0:01 – 0:03"


def test_the_player_draws_a_curve_and_looks_inside(open_page):
    page = open_page()
    page.fill("#query", "red")
    page.keyboard.press("Enter")
    assert best(page) == "wet & wild/both.mp4"
    page.keyboard.press("Enter")
    page.wait_for_selector("#curve .edge", state="attached")
    until(page, "document.querySelector('#film').readyState >= 2")
    before = page.locator("#curve .edge").get_attribute("d")
    assert page.locator("#when").text_content() == "0:00 – 0:08"
    page.keyboard.press("/")
    page.wait_for_selector("#words:focus")
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#when').textContent.startsWith('0:08 – ')")
    until(page, "document.querySelector('#film').currentTime >= 8")
    assert page.locator("#curve .edge").get_attribute("d") != before
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "both 0m08s.mp4"


def pixels(colour: str) -> bytes:
    Image.new("RGB", (96, 64), colour).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


GIVE = """([bytes, kind, type]) => {
  const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
  const Kind = type === "drop" ? DragEvent : ClipboardEvent;
  document.body.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, [kind]: data }));
}"""


def test_a_picture_is_asked_with_and_taken_out_by_keyboard_alone(open_page):
    page = open_page()
    page.focus("#choose")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "blue.png", "mimeType": "image/png", "buffer": pixels("blue")})
    assert best(page) == "wet & wild/both.mp4"
    first = "document.querySelector('.card .span').textContent.startsWith('0:08')"
    until(page, f"{first} && document.querySelector('#sketch').width === 96")
    page.keyboard.press("Enter")
    page.wait_for_selector("#player[open]")
    page.keyboard.press("Escape")
    page.fill("#query", '"green"^9')
    page.press("#query", "Enter")
    until(page, "document.querySelector('.card .name')?.textContent === 'green.mp4'")
    assert page.is_visible("#picture")
    page.fill("#query", "")
    page.press("#query", "Backspace")
    until(page, "!document.querySelector('.card, #picture:not([hidden]), #welcome[hidden]')")
    assert page.evaluate("document.activeElement.id") == "query"


@pytest.mark.parametrize(("type", "kind"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_a_picture_is_dropped_or_pasted_on_a_phones_width(open_page, type, kind):
    page = open_page(viewport={"width": 360, "height": 740}, locale="ar")
    page.evaluate(GIVE, [[*pixels("green")], kind, type])
    assert best(page) == "green.mp4"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#choose").get_attribute("aria-label") == "ابحث بصورة أو مقطع فيديو"
    page.click("#drop")
    page.wait_for_selector("#picture", state="hidden")


def test_one_of_several_libraries_is_chosen(browser, indexed: Index):
    with served(indexed, indexed) as address:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(address)
        page.select_option("#library", "more 0")
        page.fill("#query", "green")
        page.press("#query", "Enter")
        assert best(page) == "green.mp4"
        assert "library=more" in page.url
        page.reload()
        until(page, "document.querySelector('#library').value === 'more 0'")


@pytest.mark.parametrize("lang", ["en", "de", "es", "fr", "zh", "ar"])
def test_every_interface_fits_a_phone_with_its_filters_open(open_page, lang):
    page = open_page(viewport={"width": 360, "height": 740}, locale=lang, color_scheme="dark")
    page.fill("#query", "green")
    page.press("#query", "Enter")
    best(page)
    page.click("#filter")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".card").first.click()
    page.wait_for_selector("#curve .edge", state="attached")
    assert page.evaluate(
        "document.querySelector('#player').scrollWidth <= document.querySelector('#player').clientWidth"
    )
