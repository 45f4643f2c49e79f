from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from polyreel.web.access import COOKIE

Serve = Callable[..., TestClient]
TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""])
def test_another_name_than_this_machines_is_refused(client, host):
    """A page elsewhere may point its own name at 127.0.0.1; the browser then sends that name."""
    answer = client.get("/moments", params={"q": "red"}, headers={"host": host})
    assert answer.status_code == 403
    assert "asked by a name that is not this machine's" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/moments?q=red", "/search?q=red", "/libraries", "/metrics", "/openapi.json", "/x"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": "Bearer "},
        {"cookie": f"{COOKIE}={TOKEN}"},
        {"cookie": f"{COOKIE}="},
        {"cookie": '\x01;;;="'},
    ],
)
def test_without_the_token_nothing_is_told(serve: Serve, path, headers):
    answer = serve(token=TOKEN).get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_address_counts_for_nothing(serve: Serve):
    assert serve(token=TOKEN).get("/moments", params={"q": "red", "token": TOKEN}).status_code == 401


def test_the_page_itself_is_open_and_so_is_health(serve: Serve):
    client = serve(token=TOKEN)
    assert [client.get(path).status_code for path in ("/", "/static/page.js", "/health")] == [200, 200, 200]


def test_a_bearer_token_opens(serve: Serve):
    answer = serve(token=TOKEN).get("/moments", params={"q": "red"}, headers={"authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


def test_a_login_exchanges_the_token_for_a_cookie_that_scripts_cannot_read(serve: Serve):
    client = serve(token=TOKEN)
    assert client.post("/login", json={"token": "wrong"}).status_code == 401
    answer = client.post("/login", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
    assert client.get("/moments", params={"q": "red"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver.evil.example"])
def test_a_write_from_another_page_is_refused(serve: Serve, origin):
    answer = serve(token=TOKEN).post("/login", json={"token": TOKEN}, headers={"origin": origin})
    assert answer.status_code == 403


def test_guessing_tokens_is_slow(serve: Serve):
    client = serve(token=TOKEN)
    statuses = [client.post("/login", json={"token": f"guess {i}"}).status_code for i in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert client.post("/login", json={"token": TOKEN}).headers["retry-after"] == "60"


def test_bodies_and_addresses_have_limits(client):
    assert client.post("/login", content=b"x" * 5000).status_code == 413
    assert client.post("/login", content=iter([b"x"] * 3)).status_code == 413
    assert client.get("/moments", params={"q": "x" * 9000}).status_code == 414
    for malformed in (b"{", b"[]", b'{"token": 1}', b'{"token": ""}', b"\xff\xfe"):
        answer = client.post("/login", content=malformed, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)


def test_a_client_that_asks_too_often_is_told_to_wait(serve: Serve):
    client = serve(requests_a_minute=3)
    assert [client.get("/health").status_code for _ in range(4)] == [200, 200, 200, 429]
    clip = "anything"
    assert client.get(f"/thumb/{clip}").status_code == 404  # pictures are not counted


def test_a_server_that_is_full_says_so(serve: Serve):
    answer = serve(most_in_flight=0).get("/moments", params={"q": "red"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_possible(client, method):
    assert client.request(method, "/moments?q=red").status_code == 405


@pytest.mark.parametrize("value", ["bytes=abc", "bytes=5-1", "bytes=999999999-", "lines=0-1", "bytes=" + "0-1," * 200])
def test_odd_ranges_are_answered(client, value):
    clip = client.get("/search", params={"q": "red", "k": 1}).json()["hits"][0]
    assert client.get(clip["media"], headers={"range": value}).status_code in (200, 206, 400, 416)
