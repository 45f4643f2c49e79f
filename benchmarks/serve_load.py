"""What a server bears on loopback: 8 clients for a minute, alone, and beside a slow client and 1,000 idle connections.

    .venv/bin/python benchmarks/serve_load.py            # two minutes; --seconds for less

The server runs as a process of its own over 10,000 clips of random embeddings; a query costs one of 512 numbers made
from its letters, so that what is measured is the server and the search, not a network that reads. Limits of requests a
minute are off; all others are as they come. Writes `results/serve_load.json` and `results/serve_load.md`.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import numpy as np

from polyreel.data.feature_settings import FeatureSettings, Sampling
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.rows import IndexedClip
from polyreel.similarity import Embeddings, unit
from polyreel.storage import fingerprint
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.pixels import PixelExtractor

ROOT = Path(__file__).parents[1]
NUM_CLIPS, NUM_VIDEOS, DIM, NUM_CLIENTS, NUM_IDLE = 10_000, 100, 512, 8, 1_000
MEDIA_BYTES = 50_000_000
PATHS = ("/moments?k=24&q=", "/search?k=10&q=")
WORDS = "a red dog runs over the green field while two old men play chess in rain".split()


class LetterReader:
    """Turns a text into numbers by its letters: no network, always the same."""

    langs = ("en",)
    fingerprint = fingerprint("letters")

    def __init__(self) -> None:
        self.features: FeatureSettings = feature_settings(PixelExtractor(), Sampling())

    def encode_text(self, texts: Sequence[str]) -> Embeddings:
        """Return `[N, 512]`."""
        return unit(np.stack([np.random.default_rng([*text.encode()]).normal(size=DIM) for text in texts]))

    def encode_clips(self, features: Sequence[np.ndarray]) -> Embeddings:
        """Return `[N, 512]`: frames' means, repeated to the width of the texts."""
        return unit(np.stack([np.resize(rows_TD.mean(axis=0), DIM) for rows_TD in features]))


def make_index(folder: Path) -> None:
    """Write an index, and one large file that all its clips are in name parts of."""
    encoder = SearchEncoder(model=LetterReader(), extractor=PixelExtractor())
    index = Index.create(folder / "index", encoder, folder / "videos")
    (folder / "videos").mkdir()
    (folder / "videos" / "0.mp4").write_bytes(bytes(MEDIA_BYTES))
    rows_ND = unit(np.random.default_rng(0).normal(size=(NUM_CLIPS, DIM)))
    each = NUM_CLIPS // NUM_VIDEOS
    clips = [
        IndexedClip(clip_id=f"{i // each}.mp4#{i % each}", video=f"{i // each}.mp4", file_stamp="made",
                    start_seconds=4.0 * (i % each), end_seconds=4.0 * (i % each) + 4.0)
        for i in range(NUM_CLIPS)
    ]  # fmt: skip
    index.add(clips, rows_ND, encoder.fingerprint)


def serve(folder: Path, port: int) -> None:
    """Serve the index until ended."""
    import uvicorn

    from polyreel.web.access import Access
    from polyreel.web.app import create_app
    from polyreel.web.site import Library

    encoder = SearchEncoder(model=LetterReader(), extractor=PixelExtractor())
    library = Library(name="load", index=Index.open(folder / "index", encoder))
    app = create_app([library], Access(requests_a_minute=10**9), None)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def ask_until(end: float, port: int, seed: int) -> tuple[list[float], list[str]]:
    """Be one client over one connection: ask, wait for the answer, ask again; return seconds, and what went wrong."""
    rng = np.random.default_rng(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took: list[float] = []
    wrong: list[str] = []
    while time.perf_counter() < end:
        address = PATHS[len(took) % 2] + "+".join(rng.choice(WORDS, 6))
        began = time.perf_counter()
        try:
            connection.request("GET", address)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or not json.loads(body):
                wrong.append(str(answer.status))
        except (OSError, http.client.HTTPException, ValueError) as error:
            wrong.append(type(error).__name__)
            connection.close()
        took.append(time.perf_counter() - began)
    connection.close()
    return took, wrong


def load(port: int, seconds: float) -> dict[str, object]:
    """Let all clients ask at once, and summarise."""
    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(NUM_CLIENTS) as clients:
        found = list(clients.map(lambda seed: ask_until(end, port, seed), range(NUM_CLIENTS)))
    took = 1000 * np.concatenate([np.array(one[0]) for one in found])
    wrong = [reason for one in found for reason in one[1]]
    p50, p95, p99 = np.percentile(took, [50, 95, 99]).round(1).tolist()
    return {
        "requests": len(took), "per_second": round(len(took) / seconds, 1), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
        "longest_ms": round(float(took.max()), 1), "errors": len(wrong), "what": sorted({*wrong}),
    }  # fmt: skip


def be_slow(port: int, media: str, is_over: Event) -> None:
    """Ask for a large file and read it by single bytes; beside it, send a request so slowly that it never ends."""
    reader, writer = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
    reader.sendall(f"GET {media} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    request = b"GET /moments?q=" + b"slow" * 1000
    try:
        for place in range(len(request)):
            if is_over.wait(0.2):
                return
            writer.sendall(request[place : place + 1])
            reader.recv(1)
    except OSError:
        is_over.wait()  # the server had enough of it, which is its right
    finally:
        reader.close()
        writer.close()


def measure(port: int, seconds: float) -> dict[str, dict[str, object]]:
    """Measure alone and in bad company."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/search?k=100&q=red")
    hits = json.loads(connection.getresponse().read())["hits"]
    media = f"/media/{_name('0.mp4#0')}"
    print(f"{len(hits)} hits; first load", flush=True)
    alone = load(port, seconds)
    print("alone", alone, flush=True)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(NUM_IDLE)]
    is_over = Event()
    slow = Thread(target=be_slow, args=(port, media, is_over))
    slow.start()
    beside = load(port, seconds)
    is_over.set()
    slow.join()
    for one in idle:
        one.close()
    print("in bad company", beside, flush=True)
    return {"8 clients": alone, "8 clients, 1 slow, 1,000 idle": beside}


def _name(clip_id: str) -> str:
    from polyreel.web.site import name_of_clip

    return name_of_clip(clip_id)


def table(found: dict[str, dict[str, object]]) -> str:
    """Lay the figures out in Markdown."""
    keys = ("requests", "per_second", "p50_ms", "p95_ms", "p99_ms", "longest_ms", "errors")
    lines = ["| | requests | a second | p50 ms | p95 ms | p99 ms | longest ms | errors |", "| --- |" + " ---: |" * 7]
    lines += ["| " + " | ".join([name, *(f"{row[key]:,}" for key in keys)]) + " |" for name, row in found.items()]
    return "\n".join(lines)


def main() -> None:
    """Start the server, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.port)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        make_index(Path(place))
        server = subprocess.Popen([sys.executable, __file__, "--serve", place, "--port", str(port)])
        try:
            _wait_for(port)
            found = measure(port, asked.seconds)
        finally:
            server.terminate()
            server.wait()
    facts = {"seconds": asked.seconds, "num_clips": NUM_CLIPS, "cores": len(os.sched_getaffinity(0)), "found": found}
    (ROOT / "results" / "serve_load.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    title = "# The server under load\n\n"
    title += f"{NUM_CLIPS:,} clips, {asked.seconds:g} s each, clients on the same {facts['cores']} cores\n\n"
    (ROOT / "results" / "serve_load.md").write_text(title + table(found) + "\n", "utf-8")
    print(table(found))


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit("the server did not start")


if __name__ == "__main__":
    main()
