import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_reader import NoisyReader
from PIL import Image

from polyreel.errors import DataError
from polyreel.evaluation.gallery import Gallery, GalleryRow, pick_examples
from polyreel.evaluation.html import write_html
from polyreel.evaluation.plots import nice_ticks

EVIL = "<script>alert('x')</script> & \"quoted\""


class Page(HTMLParser):
    """Every element with its attributes, and whether all are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.stack = [], []
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def jpeg():
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(stream, "JPEG")
    return stream.getvalue()


def metrics_file(path, num_steps=40):
    rows = [{"step": step, "seconds": 0.1 * step, "loss": 5 / (step + 1), "parts": {}} for step in range(num_steps)]
    rows.insert(20, {"step": 19, "val": {"mean_recall_at_10": 31.5, "recall_at_10": {"en": 40.0, "de": 23.0}}})
    rows.append({"step": 39, "val": {"mean_recall_at_10": 30.5, "recall_at_10": {"en": 40.0, "de": 21.0}}})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def page(systems, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "run").mkdir()
    metrics_file(folder / "run" / "metrics.jsonl")
    rows = (
        GalleryRow(lang="ar", query=EVIL, right_clip_id="c1", ranked_clip_ids=("c1", "c2", EVIL)),
        GalleryRow(lang="zh", query="一只猫", right_clip_id="c7", ranked_clip_ids=tuple(f"c{i}" for i in range(1, 9))),
    )
    write_html(
        folder / "report.html",
        systems,
        title=EVIL,
        runs={"weak": folder / "run", EVIL: [metrics_file(folder / "b.jsonl")]},
        gallery=Gallery(system=EVIL, rows=rows, thumbnails={"c1": jpeg(), "c7": jpeg()}),
        notes=[EVIL],
    )
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_self_contained_and_well_formed(page):
    tags = {tag for tag, _ in Page(page).elements}
    assert not tags & {"script", "link", "iframe", "object", "a"}
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert all(attributes["src"].startswith("data:image/jpeg;base64,") for attributes in Page(page).all("img"))
    policy = next(entry for entry in Page(page).all("meta") if entry.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_words_are_escaped_everywhere(page):
    assert "<script" not in page and page.count("&lt;script&gt;alert") >= 6


def test_words_say_their_language_and_direction(page):
    assert {"lang": "en"} in Page(page).all("html")
    assert [(q["lang"], q["dir"]) for q in Page(page).all("q")] == [("ar", "rtl"), ("zh", "ltr")]
    assert '<b lang="de" dir="ltr">Deutsch</b>' in page


def test_every_picture_has_words_for_those_who_do_not_see_it(page):
    assert all(attributes["alt"] for attributes in Page(page).all("img"))
    outer = [attributes for attributes in Page(page).all("svg") if "viewbox" not in attributes]
    assert outer and all(attributes["role"] == "img" and attributes["aria-label"] for attributes in outer)
    assert "German (de): strong less weak" not in page
    assert re.search(r'aria-label="German \(de\): weak \d+\.\d \[\d+\.\d, \d+\.\d\]; strong', page)


def test_the_right_clip_is_marked_wherever_it_stands(page):
    assert [entry["class"] for entry in Page(page).all("li") if "right" in (entry.get("class") or "")] == [
        "right", "right late",
    ]  # fmt: skip
    assert 'alt="clip c1, rank 1, the right one"' in page and 'alt="clip c7, rank 7, the right one"' in page
    assert ">7 ✓<" in page and 'aria-label="clip c2, rank 2"' in page


def test_figures_on_the_page_are_those_of_the_reports(page, systems):
    for report in systems:
        for lang in (*report.langs, "mean"):
            row = report.row(lang, "R@10")
            assert f"{row.value:.1f} [{row.interval[0]:.1f}, {row.interval[1]:.1f}]" in page
    assert "weak: 31.5 at step 19" in page


def test_one_report_in_one_language_makes_a_page_too(measure, tmp_path):
    write_html(tmp_path / "one.html", [measure(langs=["en"])], title="One")
    text = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert Page(text).all("table") and "What the differences are" not in text and "All languages" not in text


def test_broken_metrics_are_refused(systems, tmp_path):
    with pytest.raises(DataError, match=r"metrics.jsonl does not exist; a run writes"):
        write_html(tmp_path / "x.html", systems, title="x", runs={"weak": tmp_path / "metrics.jsonl"})
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    with pytest.raises(DataError, match=r"metrics.jsonl line 2 is not JSON; it may have been cut short"):
        write_html(tmp_path / "x.html", systems, title="x", runs={"weak": tmp_path})


def test_examples_ask_the_same_sentence_in_every_language(dataset, features):
    model = NoisyReader({"en": 0.0, "de": 0.0, "sw": 0.0})
    rows = pick_examples(model, dataset, features=features, num_sentences=2)
    assert [row.lang for row in rows] == ["en", "de", "sw"] * 2
    assert rows[0].right_clip_id == rows[1].right_clip_id != rows[3].right_clip_id
    assert all(row.ranked_clip_ids[0] == row.right_clip_id and len(row.ranked_clip_ids) == 18 for row in rows)
    assert rows == pick_examples(model, dataset, features=features, num_sentences=2)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 8))
def test_ticks_enclose_and_are_few(low, span, most):
    ticks = nice_ticks(low, low + span, most)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step and ticks[-1] >= low + span - 1e-6 * step
    assert 2 <= len(ticks) <= most + 1


def test_ticks_by_hand():
    assert nice_ticks(0, 65, 8) == [0, 10, 20, 30, 40, 50, 60, 70]
    assert nice_ticks(-3.2, 12, 5) == [-5, 0, 5, 10, 15]
    assert nice_ticks(0, 0) == nice_ticks(0, 1)
