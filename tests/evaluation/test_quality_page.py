"""The page about translations: whole, safe, and in its own languages."""

import re

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.evaluation.quality_page import write_quality_page
from polyreel.translation.quality_settings import QualitySettings
from polyreel.translation.rating import rate
from polyreel.translation.summary import summarise


def test_the_page_shows_scores_shares_and_the_worst_texts(tmp_path):
    texts = {"en": "two <dogs>", "de": "drei <b>Hunde</b>", "fr": "deux chiens"}
    captions = [Caption(caption_id="a#0", clip_id="a", lang=lang, text=text) for lang, text in texts.items()]
    dataset = Dataset.build("tiny & small", [Clip(clip_id="a", video="a", split="train", source="a")], captions)
    settings = QualitySettings(without=("language", "copied"))
    write_quality_page(tmp_path / "page.html", summarise(dataset.name, rate(dataset, settings)), settings)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>Translations of tiny &amp; small</h1>" in page
    assert "<span>2 translations</span>" in page and "<span>1 score below 0.5</span>" in page
    assert '<p lang="de" dir="ltr">drei &lt;b&gt;Hunde&lt;/b&gt;</p>' in page
    assert "<b>0.00</b> 2 became 3" in page
    assert "Deutsch" in page and "français" in page
    assert "Nothing was found." in page, "French has no fault"
    assert "without = (&#x27;language&#x27;, &#x27;copied&#x27;)" in page or "without = ('language', 'copied')" in page
    assert not re.search(r"<script|https?://", page)
    bars = re.findall(r"<rect[^>]*>", page)
    assert len(bars) == 2 * 20
