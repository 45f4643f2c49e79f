"""Asking with a picture or a video: found by likeness, refused when it is too large, too long, or something else."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from PIL import Image, ImageColor

from polyreel.web.asked_file import MOST_FILE_BYTES, check_beginning

Serve = Callable[..., TestClient]
TOKEN = "0123456789abcdef"
BOTH = "wet & wild/both.mp4"


def picture(colour: str, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(file, kind)
    return file.getvalue()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; a test that used it leaves it empty."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_picture_finds_what_looks_like_it(client: TestClient, scratch: Path, kind: str):
    answer = client.post("/like", content=picture("blue", kind), params={"k": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"] is None
    (moment,) = answer.json()["moments"]
    assert (moment["video"], moment["start_seconds"], moment["matched"]) == (BOTH, 8, ["seen"])
    assert moment["peak"]["score"] > 0.8 and moment["peak"]["band"] is None
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".mov", ".webm"])
def test_a_video_finds_what_looks_like_it(client: TestClient, write_video, tmp_path: Path, suffix: str):
    green = np.full((2, 64, 96, 3), ImageColor.getrgb("green"), np.uint8)
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    file = write_video(tmp_path / f"asked{suffix}", green, [0, 2], codec=codec)
    answer = client.post("/like", content=file.read_bytes(), params={"k": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["moments"][0]["video"] == "green.mp4"


def test_words_and_filters_count_too(client: TestClient):
    """Words move the answer away from the picture, as far as their weight is; what is left out leaves it."""
    body = picture("blue")
    assert client.post("/like", content=body, params={"q": "-green", "k": 1}).json()["moments"][0]["video"] == BOTH
    with_words = client.post("/like", content=body, params={"q": '"rot"^9', "k": 1}).json()
    assert with_words["moments"][0]["start_seconds"] == 0 and with_words["moments"][0]["video"] == BOTH
    assert with_words["query"]["text"] == '"rot"^9'
    filtered = client.post("/like", content=body, params={"path": "green.mp4"}).json()["moments"]
    assert [one["video"] for one in filtered] == ["green.mp4"]
    everything = client.post("/like", content=body, params={"k": 3}).json()["moments"]
    assert client.post("/like", content=body, params={"k": 2, "first": 1}).json()["moments"] == everything[1:3]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "the body is empty; expected the bytes of a picture or a video"),
        (b"#EXTM3U\n#EXTINF:4,\n/etc/passwd\n", 415, "no picture and no video that is known here"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "no picture and no video that is known here"),
        (b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>", 415, "no picture and no video"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "no picture and no video that is known here"),
        (b"%PDF-1.7", 415, "no picture and no video that is known here"),
        (picture("red")[:60], 400, "the file that was sent "),
        (picture("red", "JPEG")[:40], 400, "the file that was sent "),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), 400, "the file that was sent "),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(100), 400, "the file that was sent "),
        (b"\x1aE\xdf\xa3" + b"\xff" * 500, 400, "the file that was sent "),
        (b"\xff\xd8\xff\xe0<MPD xmlns='urn:mpeg:dash:schema:mpd:2011' profiles='x'>", 415, "no picture and no video"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_line(client, scratch: Path, body: bytes, status: int, reason: str):
    answer = client.post("/like", content=body)
    assert (answer.status_code, answer.json()["detail"].count("\n")) == (status, 0)
    assert reason in answer.json()["detail"] and str(scratch) not in answer.text
    assert list(scratch.iterdir()) == []


def test_a_picture_that_promises_to_be_huge_is_refused(client: TestClient):
    header = bytearray(picture("red"))
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    answer = client.post("/like", content=bytes(header))
    assert answer.status_code == 400 and "the file that was sent" in answer.text


def test_a_long_video_is_refused(client: TestClient, write_video, tmp_path: Path):
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    answer = client.post("/like", content=write_video(tmp_path / "long.mp4", frames, [0, 130]).read_bytes())
    assert answer.status_code == 400
    assert "the video lasts 130 seconds; expected up to 120; ask with the part that you mean" in answer.json()["detail"]


def test_too_many_bytes_are_refused_by_their_number_and_while_they_come(client: TestClient, scratch: Path):
    declared = client.post("/like", content=b"", headers={"content-length": str(MOST_FILE_BYTES + 1)})
    assert declared.status_code == 413
    assert f"expected a body of known length, at most {MOST_FILE_BYTES} bytes" in declared.json()["detail"]
    chunked = client.post("/like", content=iter([picture("red")]))
    assert chunked.status_code == 413
    lying = client.post("/like", content=bytes(MOST_FILE_BYTES + 1), headers={"content-length": "5"})
    assert lying.status_code == 413 and "the file is larger than 64 MiB" in lying.text
    assert list(scratch.iterdir()) == []


def test_other_writes_stay_short(client: TestClient):
    assert client.post("/login", content=b"x" * 5000).status_code == 413


def test_only_who_may_ask_may_ask_with_a_file(serve: Serve):
    body = picture("red")
    other_page = serve().post("/like", content=body, headers={"origin": "http://evil.example"})
    assert other_page.status_code == 403 and "a write from another page is refused" in other_page.text
    guarded = serve(token=TOKEN)
    assert guarded.post("/like", content=body).status_code == 401
    assert guarded.post("/like", content=body, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_so_many_files_at_a_time(serve: Serve):
    answer = serve(most_files=0).post("/like", content=picture("red"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "busy with other files" in answer.text
    assert serve(most_files=0).get("/moments", params={"q": "red"}).status_code == 200


@pytest.mark.parametrize(
    "beginning", [b"\x47" + bytes(187) + b"\x47", b"\x00\x00\x01\xba", b"OggS", b"\x00\x00\x00\x20ftypavif"]
)
def test_kinds_are_told_by_their_first_bytes(beginning: bytes):
    check_beginning(beginning)
    with pytest.raises(HTTPException, match="415: the body is no picture and no video that is known here"):
        check_beginning(b" " + beginning)
