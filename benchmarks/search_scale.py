"""Searching 10^5 and 10^6 clips: how fast, how right, with and without filters, in process and over HTTP.

Clips and queries are made as `search_scale_data.py` says. One filter keeps 1 % of the clips at random, one a folder of
1 %, whose clips look alike. Near ties (1e-4) count as hits. Beside polyreel's index: one product with the matrix in
numpy, FAISS's IVF with as many lists but its own bytes and filter, and LanceDB's own index. Each part is a process of
its own, and what is done is kept, so the script may be called again to go on:

    python benchmarks/search_scale.py data 100000       (likewise 1000000; trains the student first)
    python benchmarks/search_scale.py build 100000
    python benchmarks/search_scale.py search 100000
    python benchmarks/search_scale.py http 100000
    python benchmarks/search_scale.py beside 100000
    python benchmarks/search_scale.py write             (results/search_scale.json and .md)

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Files are kept in
polyreel-search-scale in the folder for temporary files, 8 GB for the million.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow.compute as pc

from polyreel import Filter, Index
from polyreel.search.derived import exact_bars
from polyreel.search.rows import make_rows
from polyreel.search.table import ClipTable
from polyreel.similarity import Embeddings
from search_scale_data import DIM, FILTERS, QUERIES, WORK, clips_of, make_data
from search_scale_others import others

ROOT = Path(__file__).parents[1]
K, BATCH = 10, 20_000
Facts = dict[str, object]


def build(num: int) -> Facts:
    """Fill an index, batch by batch, and derive what a server maps; goes on where it was stopped."""
    folder, clips_ND = WORK / f"index-{num}", np.load(WORK / f"clips-{num}.npy", mmap_mode="r")
    began = time.monotonic()
    if not folder.is_dir():
        Index.create(folder, KnownQueries(), WORK)  # type: ignore[arg-type]
    table = ClipTable(folder, DIM)
    with PeakMemory() as filling:
        for first in range(len(table), num, BATCH):
            last = min(first + BATCH, num)
            table.put(make_rows(clips_of(first, last, num), clips_ND[first:last], DIM))
            print(f"{last}/{num} clips after {time.monotonic() - began:.0f} s", flush=True)
    with PeakMemory() as compacting:
        table.compact()
    filled = time.monotonic()
    with PeakMemory() as deriving:
        header = table.catch_up(np.load(WORK / "queries.npy")[::4])
    return {
        "fill_seconds": round(filled - began, 1),
        "derive_seconds": round(time.monotonic() - filled, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "table_bytes": size_of(folder / "clips.lance"),
        "derived_bytes": size_of(folder / "derived"),
        "own_peak_mb": {"filling": filling.mb, "last compaction": compacting.mb, "deriving": deriving.mb},
        "num_scanned": None if header is None else header.num_scanned,
        **update(table, num),
    }


def update(table: ClipTable, num: int) -> Facts:
    """Add eight videos, replace them by shorter ones, look one clip up, and take them out again."""
    clips = [
        replace(clip, clip_id=f"new{clip.clip_id}", video=f"new/{clip.video}") for clip in clips_of(0, QUERIES, num)
    ]
    rows, facts = make_rows(clips, np.load(WORK / "queries.npy"), DIM), {}
    shorter = rows.filter(pc.less(rows["start_seconds"], 100.0))
    actions = {
        f"adding {len(rows)} clips": lambda: table.put(rows),
        f"replacing them by {len(shorter)}": lambda: table.put(shorter),
        "reading one": lambda: table.rows([clips[0].clip_id], ["thumbnail"]),
        "taking them out": lambda: table.remove(sorted({clip.video for clip in clips})),
    }
    for name, act in actions.items():
        began, before = time.monotonic(), memory()["RssAnon"]
        with PeakMemory() as peak:
            act()
            seconds = time.monotonic() - began
            time.sleep(0.1)
        facts[name] = {"seconds": round(seconds, 3), "memory_mb": max(0, peak.mb - before)}
    return facts


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class KnownQueries:
    """An encoder that knows the queries' embeddings by their numbers, so that none is measured with the index."""

    model_folder, dim, fingerprint = None, DIM, "known-queries"

    def __init__(self) -> None:
        self._queries_QD = np.load(WORK / "queries.npy")
        self.extractor = self.model = self
        self.source, self.langs = "none", ("en", "it")

    def encode_text(self, texts: list[str]) -> Embeddings:
        """Look up queries by their numbers; any other text gets one of them."""
        numbers = [int(text.split()[-1]) if text.startswith("query ") else crc32(text.encode()) for text in texts]
        return np.array(self._queries_QD[[number % QUERIES for number in numbers]])


def bars(num: int) -> dict[str, Embeddings]:
    """Return what a score must reach to be among the exact ten best, by filter and query; computed once."""
    file = WORK / f"bars-{num}.npz"
    if not file.exists():
        clips_ND, queries_QD = np.load(WORK / f"clips-{num}.npy", mmap_mode="r"), np.load(WORK / "queries.npy")
        picks = np.random.default_rng(1).integers(0, 100, num) == 7
        folder = np.arange(num) * 100 // num == 7
        rows = {"none": clips_ND, "scattered": clips_ND[picks], "clustered": clips_ND[folder]}
        np.savez(file, **{name: exact_bars(queries_QD, rows_ND, K) for name, rows_ND in rows.items()})
    return dict(np.load(file))


def timed(num: int, ask: Callable[[Embeddings, Filter | None], list[float]]) -> Facts:
    """Ask every query with every filter; the first with a filter is told apart, it finds out what may be found."""
    queries_QD, facts = np.load(WORK / "queries.npy"), {}
    for name, wanted in FILTERS.items():
        seconds, found, num_hits = [], [], []
        for query_D, bar in zip(queries_QD, bars(num)[name], strict=True):
            began = time.perf_counter()
            scores = ask(query_D, wanted)
            seconds.append(time.perf_counter() - began)
            found.append(sum(score >= bar for score in scores) / K)
            num_hits.append(len(scores))
        facts[name] = {"first_ms": round(seconds[0] * 1e3, 2), **percentiles(seconds[1:])}
        facts[name] |= {"recall_at_10": round(float(np.mean(found)), 4), "fewest_hits": min(num_hits)}
    return facts


def percentiles(seconds: list[float]) -> Facts:
    """Return milliseconds."""
    points = np.percentile(np.array(seconds) * 1e3, [50, 95, 99])
    return dict(zip(("p50_ms", "p95_ms", "p99_ms"), [round(float(one), 2) for one in points], strict=True))


def memory() -> dict[str, int]:
    """Return this process's own memory and what it has mapped from files, in MB."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if "Rss" in line)
    return {name: int(lines[name].split()[0]) // 1024 for name in ("RssAnon", "RssFile")}


class PeakMemory:
    """The most memory of its own that this process has within a block; files that it has mapped do not count."""

    mb = 0

    def __enter__(self) -> "PeakMemory":
        """Look twenty times a second."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._end.wait(0.05):
            self.mb = max(self.mb, memory()["RssAnon"])

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()


def search(num: int) -> Facts:
    """Ask in process: the first answer after opening, then all queries with all filters."""
    query_D, folder = np.load(WORK / "queries.npy")[0], WORK / f"index-{num}"
    Index.open(WORK / "index-100000", KnownQueries()).search(query_D, K)  # a warm interpreter
    bars(num)
    for file in (folder / "derived").iterdir():  # what a server in use has in memory; a disk is not measured here
        sum(1 for _ in iter(partial(file.open("rb").read, 1 << 24), b""))
    began = time.perf_counter()
    index = Index.open(folder, KnownQueries())
    index.search(query_D, K)
    first = time.perf_counter() - began
    facts = timed(num, lambda query_D, wanted: [hit.score for hit in index.search(query_D, K, filter=wanted)])
    return {"first_answer_seconds": round(first, 3), **memory(), **facts}


def http(num: int) -> Facts:
    """Ask `polyreel serve`'s application, one client and eight, for 20 seconds each."""
    server = subprocess.Popen([sys.executable, __file__, "serve", str(num)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/search?q=query+0", timeout=30).close()
                break
            except OSError:
                time.sleep(0.1)
        return {f"{clients} clients": load(address, clients, seconds=20.0) for clients in (1, 8)}
    finally:
        server.kill()
        server.wait()


def load(address: str, num_clients: int, seconds: float) -> Facts:
    """Let clients ask one query after another."""
    times: list[float] = []
    end = time.monotonic() + seconds

    def ask(client: int) -> None:
        number = client
        while time.monotonic() < end:
            query, began = urllib.parse.quote(f"query {number % QUERIES}"), time.perf_counter()
            urllib.request.urlopen(f"{address}/search?q={query}&k=10", timeout=30).read()
            times.append(time.perf_counter() - began)
            number += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(num_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"requests": len(times), **percentiles(times)}


def serve(num: int) -> None:
    """Serve on a free port of the loopback address; the first line says where."""
    import socket

    import uvicorn

    from polyreel.web.access import Access
    from polyreel.web.app import create_app
    from polyreel.web.site import Library

    index = Index.open(WORK / f"index-{num}", KnownQueries())  # type: ignore[arg-type]
    index.search(np.load(WORK / "queries.npy")[0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    access = Access(requests_a_minute=10**9)
    print(f"http://127.0.0.1:{port}", flush=True)
    uvicorn.run(create_app([Library(name="scale", index=index)], access), port=port, log_level="warning")


def beside(num: int) -> Facts:
    """Ask the others the same."""
    return {name: timed(num, ask) for name, ask in others(num, K)}


def rows_of_table(name: str, facts: Facts) -> Iterator[str]:
    """Yield a line of the table for each filter."""
    for wanted in FILTERS:
        one = facts[wanted]
        assert isinstance(one, dict)
        cells = [one[key] for key in ("first_ms", "p50_ms", "p95_ms", "p99_ms", "recall_at_10", "fewest_hits")]
        yield f"| {name} | {wanted} | {' | '.join(map(str, cells))} |\n"


def write() -> None:
    """Gather what was measured."""
    facts = {file.stem: json.loads(file.read_text()) for file in sorted(WORK.glob("*-1*0.json"))}
    page = "# Searching 10^5 and 10^6 clips of 512 dimensions\n"
    for num in (num for num in (100_000, 1_000_000) if f"search-{num}" in facts):
        page += (
            f"\n## {num:,} clips\n\n| what | filter | first ms | p50 ms | p95 ms | p99 ms | recall@10 | fewest hits |\n"
        )
        page += "|---|---|--:|--:|--:|--:|--:|--:|\n" + "".join(rows_of_table("polyreel", facts[f"search-{num}"]))
        for name, one in facts.get(f"beside-{num}", {}).items():
            page += "".join(rows_of_table(name, one))
        for part in ("data", "build", "search", "http"):
            plain = {key: one for key, one in facts.get(f"{part}-{num}", {}).items() if key not in FILTERS}
            page += f"\n{part}: {json.dumps(plain)}\n"
    (ROOT / "results" / "search_scale.json").write_text(json.dumps(facts, indent=2) + "\n")
    (ROOT / "results" / "search_scale.md").write_text(page)


PARTS = {"data": make_data, "build": build, "search": search, "http": http, "beside": beside}

if __name__ == "__main__":
    WORK.mkdir(exist_ok=True)
    if sys.argv[1] == "write":
        write()
    elif sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        measured = PARTS[sys.argv[1]](int(sys.argv[2]))
        (WORK / f"{sys.argv[1]}-{int(sys.argv[2])}.json").write_text(json.dumps(measured, indent=2))
        print(json.dumps(measured, indent=2))
