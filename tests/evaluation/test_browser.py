import base64
import hashlib
import io
import json
import re
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from noisy_reader import NoisyReader
from PIL import Image

from polyreel.errors import DataError
from polyreel.evaluation import html
from polyreel.evaluation.browser import Browser, slices_of
from polyreel.evaluation.examination import Examinee, examine
from polyreel.evaluation.html import write_html
from polyreel.evaluation.packing import narrowest, pack
from polyreel.evaluation.thumbnails import fit_pictures


def unpack(text):
    raw = zlib.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", raw[:4])
    found = json.loads(raw[8 : 8 + length])
    arrays, place = {}, 8 + length
    for name, kind, size in found["arrays"]:
        arrays[name] = np.frombuffer(raw, kind, size, place)
        place += -(-arrays[name].nbytes // 8) * 8
    return found["values"], arrays


def noise(seed, side=192):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="module")
def browser(dataset, features):
    clips = dataset.clips.append_column("category", pa.array(["sport", "music"] * 12))
    named = dataset._with(clips, dataset.captions)
    student = Examinee(name="strong", model=NoisyReader({"en": 1.0, "de": 1.5, "sw": 3.0}), features=features)
    teacher = Examinee(name="its teacher", model=NoisyReader({"en": 0.5}), features=features, reads="en")
    found = examine([student, teacher], named)
    return Browser(examination=found, pictures={name: noise(i) for i, name in enumerate(dataset.clip_ids)})


@pytest.fixture(scope="module")
def page(browser, systems, tmp_path_factory):
    file = tmp_path_factory.mktemp("browser") / "page.html"
    write_html(file, systems, title="Why", browser=browser)
    return file.read_text(encoding="utf-8")


def part(page, name):
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL).group(1)


def test_what_is_packed_comes_out_again():
    arrays = {"a": np.array([1, 2, 3], np.uint8), "b": np.array([0.5, np.nan], np.float32), "c": np.zeros(0, np.uint32)}
    values, found = unpack(pack({"wörter": ["犬", None]}, arrays))
    assert values == {"wörter": ["犬", None]} and list(found) == ["a", "b", "c"]
    assert all(np.array_equal(found[name], array, equal_nan=name == "b") for name, array in arrays.items())


@pytest.mark.parametrize(("most", "kind"), [(255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "uint32")])
def test_numbers_take_no_more_room_than_they_need(most, kind):
    assert narrowest(np.array([0, most])).dtype == kind


def test_the_page_holds_every_query_with_its_answers(page, browser):
    values, arrays = unpack(part(page, "browser-data"))
    found = browser.examination
    assert values["texts"] == found.queries["text"].to_pylist()
    assert values["names"] == ["strong", "its teacher"] and values["reads"] == [None, "en"]
    assert np.array_equal(arrays["answers"], found.clips_N) and np.array_equal(arrays["offsets"], found.offsets)
    assert np.array_equal(arrays["rank0"], found.ranks_SQ[0])
    assert abs(arrays["sims1"] / 10_000 - found.sims_SN[1]).max() <= 0.5e-4 + 1e-7
    assert values["colors"] == [1, 2], "a system has the colour it has elsewhere on the page, others come after"


def test_only_the_pages_own_script_may_run(page):
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1).replace("&#x27;", "'")
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp|eval\(|innerHTML", page)


def test_pictures_are_kept_once_a_clip(page, browser):
    pictures = json.loads(part(page, "browser-pictures"))
    ids = browser.examination.clips["clip_id"].to_pylist()
    assert [base64.b64decode(picture) for picture in pictures] == [browser.pictures[clip_id] for clip_id in ids]


def test_words_and_pictures_can_be_withheld(browser, systems, tmp_path):
    bare = Browser(examination=browser.examination, has_words=False)
    write_html(tmp_path / "bare.html", systems, title="Why", browser=bare)
    text = (tmp_path / "bare.html").read_text()
    values, _ = unpack(part(text, "browser-data"))
    assert values["texts"] is None and set(json.loads(part(text, "browser-pictures"))) == {None}
    assert "sentence 0" not in text


def test_slices_are_of_languages_lengths_origins_and_the_publishers_columns(browser):
    slices = slices_of(browser.examination)
    assert list(slices) == ["language", "length", "origin", "category"]
    names, codes = slices["category"]
    clips = dict(zip(*(browser.examination.clips[name].to_pylist() for name in ("clip_id", "category")), strict=True))
    assert [names[code] for code in codes] == [
        clips[name] for name in browser.examination.queries["clip_id"].to_pylist()
    ]
    lengths = slices["length"][1]
    characters = np.array([len(text) for text in browser.examination.queries["text"].to_pylist()])
    langs = np.array(browser.examination.queries["lang"].to_pylist())
    for lang in ("en", "de", "sw"):
        of_lang = langs == lang
        assert characters[of_lang & (lengths == 0)].max(initial=0) <= characters[of_lang & (lengths == 2)].min(
            initial=99
        )


def test_pictures_that_fit_stay_as_they_are():
    pictures = {"a": noise(0), "b": noise(1)}
    assert fit_pictures(pictures, 1_000_000).pictures == pictures


@pytest.mark.parametrize(("budget", "said"), [(45_000, "reduced to 144 pixels"), (4_600, "only the 2 of 3 clips")])
def test_pictures_that_do_not_fit_are_made_smaller_and_then_fewer(budget, said):
    pictures = {"a": noise(0), "b": noise(1), "c": noise(2)}
    fitted = fit_pictures(pictures, budget, {"a": 1, "b": 9, "c": 5})
    assert said in fitted.note
    assert sum(len(base64.b64encode(picture)) + 4 for picture in fitted.pictures.values()) <= budget
    assert list(fitted.pictures) == (["a", "b", "c"] if "144" in said else ["b", "c"])


def test_a_page_stays_under_its_weight_and_says_what_it_gave_up(browser, systems, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MAX_PAGE_BYTES", 200_000)
    write_html(tmp_path / "light.html", systems, title="Why", browser=browser)
    assert (tmp_path / "light.html").stat().st_size <= 200_000
    assert "keep this file small" in (tmp_path / "light.html").read_text()
    monkeypatch.setattr(html, "MAX_PAGE_BYTES", 20_000)
    with pytest.raises(
        DataError, match=r"page would weigh 0.\d MB without pictures; expected at most 0 MB; examine fewer"
    ):
        write_html(tmp_path / "x.html", systems, title="Why", browser=browser)
