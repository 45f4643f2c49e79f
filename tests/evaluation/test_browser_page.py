"""The error browser in a real browser, offline: what it counts is what numpy counts, and the keyboard moves it."""

import shutil

import numpy as np
import pytest
from noisy_reader import NoisyReader

from polyreel.evaluation.browser import Browser
from polyreel.evaluation.examination import Examinee, examine
from polyreel.evaluation.html import write_html

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def found(dataset, features):
    student = NoisyReader({"en": 1.0, "de": 1.5, "sw": 3.0})
    teacher = NoisyReader({"en": 0.5}, seed=3)
    return examine(
        [
            Examinee(name="strong", model=student, features=features),
            Examinee(name="teacher", model=teacher, features=features, reads="en"),
        ],
        dataset,
        metric="R@1",
    )


@pytest.fixture(scope="module")
def page(found, systems, tmp_path_factory):
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    file = tmp_path_factory.mktemp("page") / "page.html"
    write_html(file, systems, title="Why", browser=Browser(examination=found))
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(offline=True, viewport={"width": 390, "height": 800}).new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector(".browser[data-state=ready]")
        yield page
        assert problems == []
        browser.close()


@pytest.fixture(autouse=True)
def afresh(request):
    page = request.getfixturevalue("page")
    page.click("button[type=reset]")
    page.wait_for_timeout(150)


def chosen(page, **values):
    for name, value in values.items():
        page.select_option(f"select[name={name}]", value)
    page.wait_for_timeout(200)


def shown(page):
    return [
        int(number)
        for number in page.eval_on_selector_all("article[data-query]", "all => all.map(a => a.dataset.query)")
    ]


def test_slices_have_the_figures_and_intervals_of_numpy(page, found):
    rows = page.eval_on_selector_all(
        "#browser-slices tbody tr", "all => all.map(r => [...r.children].map(c => c.innerText))"
    )
    langs = np.array(found.queries["lang"].to_pylist())
    sources = np.array(found.clips["source"].to_pylist())
    place = {name: row for row, name in enumerate(found.clips["clip_id"].to_pylist())}
    source_Q = sources[[place[name] for name in found.queries["clip_id"].to_pylist()]]
    assert [row[0] for row in rows] == ["English", "German", "Swahili"]
    for row, lang in zip(rows, ("en", "de", "sw"), strict=True):
        ours, theirs = found.recall_SQ[:, langs == lang]
        difference = ours - theirs
        mean = difference.mean()
        groups = np.unique(source_Q[langs == lang])
        sums = [difference[source_Q[langs == lang] == group].sum() for group in groups]
        sizes = [(source_Q[langs == lang] == group).sum() for group in groups]
        square = ((np.array(sums) - mean * np.array(sizes)) ** 2).sum()
        half = 1.959964 * np.sqrt(square * len(groups) / (len(groups) - 1)) / len(difference)
        ends = [float(word.replace("−", "-").strip("[],*")) for word in row[4].split() if word != "*"]
        assert [int(row[1]), float(row[2]), float(row[3])] == [
            len(difference),
            round(ours.mean(), 1),
            round(theirs.mean(), 1),
        ]
        np.testing.assert_allclose(ends, [mean, mean - half, mean + half], atol=0.051)


def test_the_first_query_is_the_one_furthest_behind(page, found):
    gap = np.log2(found.ranks_SQ[0]) - np.log2(found.ranks_SQ[1])
    assert gap[shown(page)[0]] == gap.max()
    chosen(page, order="hardest")
    assert found.ranks_SQ[0, shown(page)[0]] == found.ranks_SQ[0].max()


def test_filters_leave_what_fits(page, found):
    chosen(page, facet0="2", outcome="lost")
    langs = np.array(found.queries["lang"].to_pylist())
    fits = (langs == "sw") & (found.ranks_SQ[0] > 1) & (found.ranks_SQ[1] <= 1)
    assert page.inner_text("#browser-count").startswith(f"{fits.sum()} of {len(fits)} queries")
    assert all(fits[shown(page)])


def test_words_and_clips_are_found(page, found):
    page.fill("input[name=words]", "DE CLIP 5 ")
    page.wait_for_timeout(200)
    assert {found.queries["text"][query].as_py()[:9] for query in shown(page)} == {"de clip 5"}
    page.locator("article button.picture").first.click()
    assert page.input_value("input[name=words]").startswith("clip:c")


def test_the_keyboard_is_enough(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "words"
    page.keyboard.press("Escape")
    first = shown(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert int(page.evaluate("document.activeElement.dataset.query")) == first[1]
    page.keyboard.press("n")
    assert "page 2" in page.inner_text("#browser-count") and not set(shown(page)) & set(first)
    page.keyboard.press("p")
    assert shown(page) == first


def test_a_phone_needs_no_sideways_scrolling(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
