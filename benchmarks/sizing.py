"""What 10^7, 10^8 and 10^9 clips take, computed from what a clip was measured to take: writes docs/sizing.md.

    python benchmarks/sizing.py

Reads results/search_scale.json (the million: bytes a clip, time a query) and results/extraction.json (hours of video an
hour). What was not measured is arithmetic of the settings that `collection_settings` chooses, and is called so.
"""

import json
from pathlib import Path

from polyreel.search.qdrant import collection_settings

ROOT = Path(__file__).parents[1]
SIZES, DIM, MILLION = (10**7, 10**8, 10**9), 512, 10**6
CLIP_SECONDS, THUMBNAIL_BYTES = 4.0, 6_000
LINK_BYTES = 2 * 16 * 4 * 1.1  # of HNSW: twice m links of four bytes, and the upper levels
HEAD = """# How large, and how many machines

Computed by `benchmarks/sizing.py`; nothing here was run beyond a million clips. Clips are 4 seconds and 512 dimensions.
**Measured a clip** (at a million): {table:.0f} bytes in the table, {derived:.0f} bytes in what a process that answers
derives and maps, {anon:.0f} bytes of its own memory at most; half
of all queries take less than {p50} ms in process. Extraction gets through {speed} hours of video an hour on
two cores (1080p, a frame a second). **Arithmetic**: everything else.
Thumbnails, if they are stored, add about 6 kB a clip to LanceDB's table.

## LanceDB, in a folder or on object storage

Any number of processes read, each with its own derived files; what they map should fit in memory, or a query waits for
the disk. FAISS visits the same share of clips at any size, so a query's time grows with the number of clips; a process
for each part of a library divides it.

| clips | hours of video | table | with thumbnails | derived, mapped | own memory | query, one process |
|--:|--:|--:|--:|--:|--:|--:|
"""
QDRANT = """
## Qdrant

`polyreel index --store qdrant://…` chooses from the expected size: from {bytes_limit:.0f} GB of embeddings on,
embeddings on disk and one byte a dimension in memory; beyond ten million clips, shards of so many, each kept twice.
Memory is one byte a dimension and HNSW's links; disk is embeddings, payload ({payload:.0f} bytes, as LanceDB's rows
take without theirs) and both of these.

| clips | shards | copies | memory, all nodes | disk, all nodes | nodes of 64 GB |
|--:|--:|--:|--:|--:|--:|
"""
INDEXING = """
## Indexing

With Ray, machines add up as long as the disk that holds the videos keeps up: files are independent.

| clips | hours of video | days on 2 cores | days on 64 cores | days on 1,024 cores |
|--:|--:|--:|--:|--:|
"""
TAIL = """
Where a store keeps no thumbnails (Qdrant), they are made from the video files by the server that shows them, and kept
in its index folder; video files are never in a store. See [search at scale](search-at-scale.md).
"""


def size(number: float) -> str:
    """Spell bytes."""
    return f"{number / 1e12:.1f} TB" if number >= 1e12 else f"{number / 1e9:.0f} GB"


def main() -> None:
    """Compute, and write the page."""
    scale = json.loads((ROOT / "results" / "search_scale.json").read_text())
    built, asked = scale["build-1000000"], scale["search-1000000"]
    runs = json.loads((ROOT / "results" / "extraction.json").read_text())["runs"]
    speed = next(run["hours_per_hour"] for run in runs if run["run"] == "every second, exact")
    table, derived = built["table_bytes"] / MILLION, built["derived_bytes"] / MILLION
    anon, p50 = asked["RssAnon"] * 2**20 / MILLION, asked["none"]["p50_ms"]
    page = HEAD.format(table=table, derived=derived, anon=anon, p50=p50, speed=speed)
    for num in SIZES:
        hours, own, query_ms = num * CLIP_SECONDS / 3600, num * anon, p50 * num / MILLION
        page += f"| {num:,} | {hours:,.0f} | {size(num * table)} | {size(num * (table + THUMBNAIL_BYTES))} | "
        page += f"{size(num * derived)} | {size(own)} | {query_ms:,.0f} ms |\n"
    payload = max(table - 4 * DIM, 0.0)
    page += QDRANT.format(bytes_limit=(8 << 30) / 1e9, payload=payload)
    for num in SIZES:
        settings = collection_settings(DIM, num)
        copies, shards = settings["replication_factor"] or 1, settings["shard_number"] or 1
        assert isinstance(copies, int)
        in_memory = num * (DIM + LINK_BYTES) * copies
        on_disk = in_memory + num * (4 * DIM + payload) * copies
        nodes = max(1, -(-in_memory // 48e9))
        page += f"| {num:,} | {shards} | {copies} | {size(in_memory)} | {size(on_disk)} | {nodes:.0f} |\n"
    page += INDEXING
    for num in SIZES:
        hours = num * CLIP_SECONDS / 3600
        days = [hours / speed / 24 * 2 / cores for cores in (2, 64, 1024)]
        page += f"| {num:,} | {hours:,.0f} | {' | '.join(f'{one:,.1f}' for one in days)} |\n"
    (ROOT / "docs" / "sizing.md").write_text(page + TAIL)
    print(page)


if __name__ == "__main__":
    main()
