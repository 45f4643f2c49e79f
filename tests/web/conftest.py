"""A server on real videos, asked in process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import served
from fastapi.testclient import TestClient
from PIL import ImageColor

from polyreel.data.feature_settings import Sampling
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import update_library
from polyreel.similarity import Embeddings, unit
from polyreel.storage import fingerprint
from polyreel.video.decode import FrameBatch
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.pixels import SIDE, PixelExtractor
from polyreel.web.access import Access
from polyreel.web.app import create_app
from polyreel.web.site import Library

COLOURS = {"red": "red", "rot": "red", "أحمر": "red", "green": "green", "grün": "green", "blue": "blue", "蓝色": "blue"}
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
TESTED_AS = frozenset({"testserver", "127.0.0.1", "localhost"})


class ColourReader:
    """Knows colours in four languages: a word stands where a picture of its colour does."""

    langs = ("en", "de", "zh", "ar")
    fingerprint = fingerprint("colours of the page")

    def __init__(self) -> None:
        self.features = feature_settings(PixelExtractor(), Sampling())

    def encode_clips(self, features: list[np.ndarray]) -> Embeddings:
        return unit(np.stack([rows.mean(axis=0) for rows in features]))

    def encode_text(self, texts: list[str]) -> Embeddings:
        return unit(np.stack([self._picture_of(text) for text in texts]))

    def _picture_of(self, text: str) -> np.ndarray:
        colours = [ImageColor.getrgb(COLOURS[word]) for word in text.split() if word in COLOURS] or [(128, 128, 128)]
        frames = np.stack([np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in colours])
        return PixelExtractor()(FrameBatch(frames=frames, pts_seconds=np.zeros(len(frames)))).mean(axis=0)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Index:
    """An index of two videos: green, and red then blue, which lies in a folder whose name is awkward."""
    folder = tmp_path_factory.mktemp("site")
    encoder = SearchEncoder(model=ColourReader(), extractor=PixelExtractor())
    for name, colours in (("green.mp4", ["green"]), ("wet & wild/both.mp4", ["red", "red", "blue"])):
        frames = [np.full((64, 96, 3), ImageColor.getrgb(colour), np.uint8) for colour in colours]
        times = [4.0 * i + step for i in range(len(frames)) for step in (0, 3.96)]
        write_video(folder / "videos" / name, np.repeat(frames, 2, axis=0), times)
    (folder / "videos" / "green.de.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nDas Meer ist heute ruhig\n")
    index = Index.create(folder / "index", encoder, folder / "videos")
    update_library(index, folder / "videos", encoder)
    return index


@pytest.fixture
def serve(indexed: Index) -> Callable[..., TestClient]:
    """Start a server in process, with whatever access a test is about."""

    def start(log: list[str] | None = None, **access: object) -> TestClient:
        settings = Access(**{"host_names": TESTED_AS, **access})
        app = create_app([Library(name="films", index=indexed)], settings, None if log is None else log.append)
        return TestClient(app, raise_server_exceptions=False)

    return start


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    return serve()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if not CHROMIUM.is_file():
        pytest.skip(f"needs Chromium at {CHROMIUM}: make browser")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def open_page(browser, indexed: Index) -> Iterator[Callable[..., object]]:
    """Open the page; whatever it complains of on its console fails the test."""
    complaints: list[str] = []
    with served(indexed) as address:

        def start(**settings: object):
            page = browser.new_context(**{"locale": "en-US", **settings}).new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            page.goto(address)
            return page

        yield start
    assert complaints == []
