import io
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from polyreel.search.index import Index
from polyreel.web.app import create_app
from polyreel.web.site import clip_of_name, name_of_clip, names_of

Serve = Callable[..., TestClient]


def moments(client: TestClient, query: str, **more: object) -> list[dict]:
    answer = client.get("/moments", params={"q": query, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["moments"]


@pytest.mark.parametrize(
    ("query", "video", "span", "lang", "direction"),
    [
        ("blue", "wet & wild/both.mp4", (8, 12), None, "ltr"),
        ("蓝色", "wet & wild/both.mp4", (8, 12), "zh", "ltr"),
        ("أحمر", "wet & wild/both.mp4", (0, 8), "ar", "rtl"),
        ("grün", "green.mp4", (0, 4), "de", "ltr"),
    ],
)
def test_a_query_in_any_script_finds_its_moment(client, query, video, span, lang, direction):
    answer = client.get("/moments", params={"q": query, "k": 1}).json()
    found = answer["moments"][0]
    assert found["video"] == video
    assert (found["start_seconds"], round(found["end_seconds"])) == span
    assert (answer["query"]["lang"], answer["query"]["direction"]) == (lang, direction)


def test_search_gives_clips_and_paging_goes_on_where_it_stopped(client):
    everything = client.get("/search", params={"q": "red", "k": 4}).json()["hits"]
    assert len(everything) == 4
    rest = client.get("/search", params={"q": "red", "k": 2, "first": 2}).json()["hits"]
    assert [hit["id"] for hit in rest] == [hit["id"] for hit in everything[2:]]


def test_more_like_a_clip_leaves_the_clip_out(client):
    red = client.get("/search", params={"q": "red", "k": 2}).json()["hits"]
    found = client.get(f"/like/{red[0]['id']}", params={"k": 1}).json()["moments"]
    assert [moment["peak"]["id"] for moment in found] == [red[1]["id"]]


def test_a_clip_leads_to_its_file_its_picture_and_a_preview(client, indexed: Index):
    clip = moments(client, "blue", k=1)[0]["peak"]
    assert client.get(f"/clips/{clip['id']}").json() == {**clip, "score": 1.0, "strength": None, "band": None}
    media = client.get(clip["media"], headers={"range": "bytes=0-99"})
    assert (media.status_code, len(media.content), media.headers["content-type"]) == (206, 100, "video/mp4")
    assert media.content == (indexed.library_folder / clip["video"]).read_bytes()[:100]
    picture = Image.open(io.BytesIO(client.get(clip["thumb"]).content)).convert("RGB")
    assert picture.format is None and max(picture.size) <= 320
    red, green, blue = picture.resize((1, 1)).getpixel((0, 0))
    assert blue > 200 and red < 60 and green < 60
    preview = client.get(clip["preview"])
    assert preview.headers["content-type"] == "video/mp4" and preview.content[4:8] == b"ftyp"


def test_a_file_that_is_gone_is_said_so(client, indexed: Index):
    clip = moments(client, "green", k=1)[0]["peak"]
    file = indexed.library_folder / "green.mp4"
    file.rename(file.with_suffix(".away"))
    try:
        for kind in ("media", "thumb", "preview"):
            answer = client.get(clip[kind])
            assert answer.status_code == 404
            assert "is not there any more; `polyreel index` brings the index up to date" in answer.json()["detail"]
    finally:
        file.with_suffix(".away").rename(file)


@pytest.mark.parametrize("kind", ["clips", "media", "thumb", "preview", "like"])
@pytest.mark.parametrize(
    "name", ["x", "..%2F..%2Fetc%2Fpasswd", "%00", "a" * 3000, quote(urlsafe_b64encode(b"/etc/passwd").decode())]
)
def test_what_names_no_clip_is_not_found(client, kind, name):
    answer = client.get(f"/{kind}/{name}")
    assert answer.status_code == 404
    assert "detail" in answer.json()


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 422),
        ({"q": ""}, 422),
        ({"q": "   "}, 400),
        ({"q": "x" * 501}, 422),
        ({"q": "red", "k": 0}, 422),
        ({"q": "red", "k": 101}, 422),
        ({"q": "red", "k": "many"}, 422),
        ({"q": "red", "first": -1}, 422),
        ({"q": "red", "library": "other"}, 404),
        ({"q": "\x00\ud7ff'; DROP TABLE clips; --"}, 200),
    ],
)
def test_questions_out_of_range_get_a_status_and_a_reason(client, params, status):
    for route in ("/search", "/moments"):
        answer = client.get(route, params=params)
        assert answer.status_code == status
        assert status == 200 or "detail" in answer.json()


def test_the_page_and_its_words_are_served_with_safe_headers(client):
    page = client.get("/")
    assert page.status_code == 200 and "<title>polyreel</title>" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in page.headers
    words = {code: client.get(f"/static/words/{code}.json").json() for code in ("en", "de", "es", "fr", "zh", "ar")}
    assert all(one.keys() == words["en"].keys() for one in words.values())
    assert all(text.strip() for one in words.values() for text in one.values())
    assert all(text.count("{") == words["en"][key].count("{") for one in words.values() for key, text in one.items())
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404


def test_every_word_the_page_names_is_there(client):
    import re

    static = "".join(client.get(f"/static/{name}").text for name in ("page.js", "player.js", "words.js"))
    named = re.findall(r'data-(?:word|title)="(\w+)"', client.get("/").text) + re.findall(r'say\("(\w+)"', static)
    assert set(named) == client.get("/static/words/en.json").json().keys()


def test_libraries_health_and_metrics(client):
    assert client.get("/libraries").json() == [{"name": "films", "num_clips": 4, "langs": ["en", "de", "zh", "ar"]}]
    assert client.get("/health").json()["status"] == "ok"
    moments(client, "red")
    lines = client.get("/metrics").text.splitlines()
    assert 'polyreel_requests_total{route="/moments",status="200"} 1' in lines
    assert "polyreel_clips 4" in lines


def test_the_log_is_json_and_holds_no_query_and_no_token(serve: Serve):
    lines: list[str] = []
    client = serve(lines, token="0123456789abcdef")
    client.get("/moments", params={"q": "a private matter"}, headers={"authorization": "Bearer 0123456789abcdef"})
    client.get("/nowhere/secret")
    records = [json.loads(line) for line in lines]
    assert [(one["method"], one["route"], one["status"]) for one in records] == [
        ("GET", "/moments", 200),
        ("GET", "other", 401),
    ]
    assert not any(word in line for line in lines for word in ("private", "0123456789abcdef", "secret"))


def test_the_api_describes_itself(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/search", "/moments", "/clips/{clip}", "/media/{clip}", "/thumb/{clip}", "/health", "/metrics"} <= {*paths}


def test_names_of_clips_are_safe_and_lead_back():
    for clip_id in ("a.mp4#0", "wet & wild/ünï?#4.5", "../x"):
        name = name_of_clip(clip_id)
        assert name.replace("-", "").replace("_", "").isalnum()
        assert clip_of_name(name) == clip_id
    for wrong in ("", "=", "a", "YWJ", "YWJj====", "ünï"):
        if wrong:
            with pytest.raises(KeyError):
                clip_of_name(wrong)


def test_indexes_are_named_by_their_folders(tmp_path: Path):
    folders = [tmp_path / "films" / ".polyreel", tmp_path / "library", tmp_path / "more" / "library"]
    assert names_of(folders) == ["films", "library", "library 2"]


def test_an_app_needs_indexes(client):
    from polyreel.web.access import Access

    with pytest.raises(ValueError, match="indexes are called nothing; expected one or more"):
        create_app([], Access())
