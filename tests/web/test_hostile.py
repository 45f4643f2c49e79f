"""What people with bad intentions send: paths, ranges, bodies, headers, methods; and what a fuzzer makes of the API."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi.testclient import TestClient
from hypothesis.errors import Unsatisfiable

from polyreel.search.index import Index
from polyreel.web.access import COOKIE, Access
from polyreel.web.app import create_app
from polyreel.web.site import Library

Serve = Callable[..., TestClient]
TOKEN = "0123456789abcdef"
SECRET = b"root:x:0:0"


@contextmanager
def listening(index: Index, **access: object) -> Iterator[int]:
    """Serve on a free port: what a test client would tidy up reaches the server as it was sent."""
    app = create_app([Library(name="films", index=index)], Access(**access))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_keep_alive=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port(indexed: Index) -> Iterator[int]:
    with listening(indexed) as port:
        yield port


def send(port: int, request: bytes, patience_seconds: float = 60.0) -> bytes:
    """Send bytes, and return all that comes back until the server closes, or for as long as there is patience."""
    parts: list[bytes] = []
    with socket.create_connection(("127.0.0.1", port), timeout=patience_seconds) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                parts.append(part)
        except (TimeoutError, ConnectionError):
            pass
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def get(target: str, *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize(
    "target",
    [
        "/../../../../etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc/passwd",
        "/static/....//....//etc/passwd",
        "/static//etc/passwd",
        "/static/words/..%5c..%5capp.py",
        "/static/page.js%00.html",
        "/media/..%2f..%2fetc%2fpasswd",
        "/media//etc/passwd",
        "/media/L2V0Yy9wYXNzd2Q",
        "/media/Li4vLi4vLi4vZXRjL3Bhc3N3ZA",
        "/thumb/%252e%252e%252fetc%252fpasswd",
        "/preview/file:%2f%2f%2fetc%2fpasswd",
        "/clips/;cat%20/etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "//evil.example/",
        "/moments?q=red&library=../../etc",
    ],
)
def test_no_path_leads_out_of_the_index(port: int, target: str) -> None:
    answer = send(port, get(target))
    assert status_of(answer) in (400, 404)
    assert SECRET not in answer and b"Traceback" not in answer and b"import " not in answer


@pytest.mark.parametrize(
    "value",
    [
        "bytes=0-99999999999999999999999999",
        "bytes=-0",
        "bytes=--1",
        "bytes=-99999999999999999999",
        "bytes=1e3-",
        "bytes=0x10-",
        "bytes=" + ",".join(f"{i}-{i}" for i in range(3000)),
        "bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-",
        "bytes=\u0661-\u0662",
        "bytes",
        "=",
    ],
)
def test_odd_ranges_cost_no_more_than_the_file(client: TestClient, indexed: Index, value: str) -> None:
    clip = client.get("/search", params={"q": "red", "k": 1}).json()["hits"][0]
    answer = client.get(clip["media"], headers={"range": value.encode()})
    size = (indexed.library_folder / clip["video"]).stat().st_size
    assert answer.status_code in (200, 206, 400, 416, 431)
    assert len(answer.content) <= 2 * size + 100_000


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /moments?q=red HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Big: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n12345",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n{}",
        b"GET /moments?q=%ff%fe%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"\x00" * 1000,
        b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_no_proper_request_is_no_fault_of_the_server(port: int, request_bytes: bytes) -> None:
    """Smuggled lengths, doubled headers, other protocols: a status below 500 or a closed connection."""
    answer = send(port, request_bytes, patience_seconds=2.0)
    assert status_of(answer) < 500 and b"Traceback" not in answer
    assert status_of(send(port, get("/health"))) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example", "x-forwarded-for": "127.0.0.1"},
        {"x-http-method-override": "DELETE"},
        {"x-original-url": "/metrics", "x-rewrite-url": "/metrics"},
        {"authorization": f"Bearer {TOKEN} {TOKEN}"},
        {"authorization": "Bearer \udcff".encode("utf-8", "surrogateescape")},
        {"cookie": f"{COOKIE}=" + "a" * 5000},
        {"cookie": "; ".join(f"{COOKIE}=guess{i}" for i in range(50))},
        {"cookie": f"__Host-{COOKIE}=1; $Version=1; {COOKIE}=; {COOKIE}"},
    ],
)
def test_no_header_opens_a_server_that_wants_a_token(serve: Serve, headers: dict[str, str | bytes]) -> None:
    answer = serve(token=TOKEN).get("/moments", params={"q": "red"}, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b'{"token": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"token": "' + b"x" * 600 + b'"}',
        b'{"token": {"$ne": null}}',
        b'{"token": null}',
        b'{"token": "\\ud800"}',
        b'{"token": 1e999}',
        b'{"__proto__": {"token": "x"}}',
        b"\x00\x01\x02",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        json.dumps({"token": TOKEN + "\n"}).encode(),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_no_body_logs_in_or_breaks_anything(serve: Serve, body: bytes, kind: str) -> None:
    answer = serve(token=TOKEN).post("/login", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 401, 413, 422)
    assert "set-cookie" not in answer.headers and SECRET not in answer.content


def test_an_answer_never_repeats_markup_as_html(client: TestClient) -> None:
    script = "<script>alert(1)</script>"
    for path in (f"/clips/{script}", f"/moments?q={script}&k=0", f"/{script}"):
        answer = client.get(path)
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_whatever_the_description_allows_is_answered(indexed: Index) -> None:
    """A fuzzer makes requests of the OpenAPI description, proper and improper ones: never a status of 500 or above."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs the extra dev: schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    library = Library(name="films", index=indexed)
    library.keep_up()  # so that no answer waits for what is read once
    app = create_app([library], Access(host_names=None, requests_a_minute=1_000_000))
    asked: list[tuple[str, int]] = []

    @settings(
        max_examples=5, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    def ask(case) -> None:
        asked.append((case.operation.path, case.call(timeout=60).status_code))

    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        for mode in schemathesis.GenerationMode:
            try:
                given(case=found.ok().as_strategy(generation_mode=mode))(ask)()
            except (schemathesis.errors.SchemathesisError, Unsatisfiable):
                assert mode is schemathesis.GenerationMode.NEGATIVE, "of no arguments nothing improper can be made"
    assert len(asked) > 100 and {status for _, status in asked} >= {200, 404, 422}
    assert [one for one in asked if one[1] >= 500] == []
