import io
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from polyreel.search.index import Index
from polyreel.web.app import create_app

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


@pytest.mark.parametrize(
    ("filters", "videos"),
    [
        ({"path": "green.mp4"}, {"green.mp4"}),
        ({"path": "wet & wild"}, {"wet & wild/both.mp4"}),
        ({"path": "*both*"}, {"wet & wild/both.mp4"}),
        ({"path": "nowhere"}, set()),
        ({"max_seconds": 5}, {"green.mp4"}),
        ({"min_seconds": 5, "max_seconds": 60}, {"wet & wild/both.mp4"}),
        ({"since": "2020-01-01"}, {"green.mp4", "wet & wild/both.mp4"}),
        ({"until": "2020-01-01"}, set()),
        ({"speech": "de"}, {"green.mp4"}),
        ({"speech": "fr"}, set()),
    ],
)
def test_filters_say_what_may_be_found(client, filters, videos):
    assert {one["video"] for one in moments(client, "red", k=10, **filters)} == videos
    hits = client.get("/search", params={"q": "red", **filters}).json()["hits"]
    assert {hit["video"] for hit in hits} == videos


def test_filters_hold_for_more_like_this_too(client):
    clip = client.get("/search", params={"q": "red", "k": 1}).json()["hits"][0]
    found = client.get(f"/like/{clip['id']}", params={"path": "green.mp4"}).json()["moments"]
    assert [one["video"] for one in found] == ["green.mp4"]


@pytest.mark.parametrize(
    "params",
    [{"since": "yesterday"}, {"min_seconds": -1}, {"path": "x" * 501}, {"by": "smell"}, {"until": "2020-13-01"}],
)
def test_filters_that_mean_nothing_are_refused(client, params):
    assert client.get("/moments", params={"q": "red", **params}).status_code == 422


@pytest.mark.parametrize(
    "params", [{"since": "0001-01-01"}, {"until": "9999-12-31"}, {"min_seconds": 5, "max_seconds": 1}]
)
def test_filters_out_of_range_are_refused(client, params):
    answer = client.get("/moments", params={"q": "red", **params})
    assert answer.status_code == 400
    assert "expected 1900-01-01 to 2999-12-31" in answer.text or "ends before it starts" in answer.text


def test_what_is_said_is_found_with_its_line(client):
    first = moments(client, "heute ruhig")[0]
    assert (first["video"], first["start_seconds"], first["end_seconds"]) == (
        "green.mp4",
        0.0,
        pytest.approx(4, abs=0.1),
    )
    assert "said" in first["matched"]
    assert [(line["text"], line["lang"], line["start_seconds"]) for line in first["lines"]] == [
        ("Das Meer ist heute ruhig", "de", 1.0)
    ]
    only_said = moments(client, "heute ruhig", by="said")
    assert [(one["matched"], one["start_seconds"], one["end_seconds"]) for one in only_said] == [(["said"], 1.0, 3.0)]
    assert all(one["matched"] == ["seen"] and not one["lines"] for one in moments(client, "heute ruhig", by="seen"))


def test_a_curve_says_how_a_video_answers_over_its_time(client):
    clip = moments(client, "blue", k=1)[0]["peak"]
    curve = client.get(f"/curve/{clip['id']}", params={"q": "blue"}).json()
    assert curve["video"] == "wet & wild/both.mp4"
    assert [point["start_seconds"] for point in curve["points"]] == [0, 4, 8]
    assert max(curve["points"], key=lambda point: point["score"])["start_seconds"] == 8
    assert [(one["start_seconds"], one["num_clips"]) for one in curve["moments"]] == [(8, 1)]
    like = client.get(f"/curve/{clip['id']}", params={"like": clip["id"]}).json()
    assert like["points"][2]["score"] == pytest.approx(1.0)
    assert client.get(f"/curve/{clip['id']}").status_code == 400
    assert client.get(f"/curve/{clip['id']}", params={"like": "nothing"}).status_code == 404


def test_a_part_of_a_file_can_be_saved(client, tmp_path):
    import av

    clip = moments(client, "blue", k=1)[0]["peak"]
    address = clip["media"].replace("/media/", "/cut/")
    answer = client.get(address, params={"start": 8, "end": 12})
    assert answer.status_code == 200
    named = answer.headers["content-disposition"]
    assert named.startswith("attachment; filename") and "both 0m08s.mp4" in unquote(named)
    with av.open(io.BytesIO(answer.content)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    for start, end in ((5, 5), (8, 4), (0, 601)):
        assert client.get(address, params={"start": start, "end": end}).status_code == 400
    assert client.get(address, params={"start": -1, "end": 5}).status_code == 422


def test_an_index_that_took_anothers_place_answers_soon(tmp_path: Path, write_video):
    """The old one answers while the new one's model is loaded."""
    import time

    import numpy as np
    from small_model import small_retriever

    from polyreel.search.encoder import SearchEncoder
    from polyreel.search.library import open_library, update_library
    from polyreel.web.access import Access
    from polyreel.web.site import Library

    write_video(tmp_path / "videos" / "a.mp4", np.zeros((2, 32, 32, 3), np.uint8), [0, 2])
    for name, dim in (("one", 8), ("two", 12)):
        small_retriever(embed_dim=dim).save(tmp_path / name)
    encoders = [SearchEncoder.open(tmp_path / name) for name in ("one", "two")]
    for encoder in encoders[:1]:
        update_library(open_library(tmp_path / "index", tmp_path / "videos", encoder), tmp_path / "videos", encoder)
    library = Library(name="a", index=Index.open(tmp_path / "index"))
    client = TestClient(create_app([library], Access(host_names=None)))
    assert len(moments(client, "a video")) == 1
    update_library(open_library(tmp_path / "index", tmp_path / "videos", encoders[1]), tmp_path / "videos", encoders[1])
    end = time.monotonic() + 60
    while library.index.header.dim != 12:
        assert len(moments(client, "a video")) == 1
        assert time.monotonic() < end
        time.sleep(0.05)
    assert len(moments(client, "a video")) == 1


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
    names = [file.name for file in files("polyreel.web").joinpath("static").iterdir()]
    static = "".join(client.get(f"/static/{name}").text for name in names if name.endswith(".js"))
    named = re.findall(r'data-(?:word|title)="(\w+)"', client.get("/").text) + re.findall(r'say\("(\w+)"', static)
    assert set(named) == client.get("/static/words/en.json").json().keys()


def test_libraries_health_and_metrics(client):
    assert client.get("/libraries").json() == [
        {
            "name": "films",
            "num_clips": 4,
            "langs": ["en", "de", "zh", "ar"],
            "speech_langs": ["de"],
            "folders": ["wet & wild"],
        }
    ]
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
