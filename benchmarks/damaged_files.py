"""What 500 damaged videos do to the reader: nothing worse than a sentence.

    .venv/bin/python benchmarks/damaged_files.py [--count 500] [--seed 0] [--results FOLDER]

Makes damaged files from good ones of six kinds: cut short, bytes flipped, headers swapped, holes of zeros, a wrong
suffix, random bytes, and a huge declared size. Each is read as an extractor would, in a process that may take 20 s and
1.5 GB of address space beyond what it starts with. Every file must be read as far as it goes, with a warning where that
is not to the end, or be refused with a reason: a crash, a hang or any other exception counts as a failure. Writes
`results/damaged_files.{json,md}`.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np

from polyreel.errors import VideoError
from polyreel.video.decode import FrameRequest, open_video, read_frames

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS, LIMIT_BYTES = 20, 1_500_000_000
GOOD = {
    "mp4": ("libx264", "yuv420p", {"preset": "veryfast", "g": "25"}),
    "mkv": ("libx265", "yuv420p", {"preset": "ultrafast", "g": "25", "x265-params": "log-level=none"}),
    "webm": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "g": "25"}),
    "avi": ("mpeg4", "yuv420p", {"g": "25", "qscale": "4"}),
    "ts": ("libx264", "yuv420p", {"preset": "veryfast", "g": "25"}),
    "mov": ("mjpeg", "yuvj420p", {}),
}
Content = bytearray


def write_good(path: Path) -> None:
    """Write 6 seconds of moving stripes with a little noise."""
    codec, pix_fmt, options = GOOD[path.suffix[1:]]
    random = np.random.default_rng(0)
    faststart = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=faststart) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, pix_fmt
        for number in range(150):
            stripes = 128 + 80 * np.sin(np.arange(160) / 9 + number / 5)
            pixels = stripes[None, :, None] + random.normal(0, 8, (96, 160, 3))
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut_short(content: Content, others: list[bytes], random: Random) -> Content:
    """Leave the beginning."""
    return content[: random.randrange(len(content))]


def flip_bytes(content: Content, others: list[bytes], random: Random) -> Content:
    """Change some bytes anywhere."""
    for _ in range(random.choice([1, 10, 100, 1000])):
        content[random.randrange(len(content))] ^= random.randrange(1, 256)
    return content


def swap_headers(content: Content, others: list[bytes], random: Random) -> Content:
    """Begin with another file's beginning."""
    length = random.choice([16, 512, 4096])
    return Content(random.choice(others)[:length]) + content[length:]


def zero_holes(content: Content, others: list[bytes], random: Random) -> Content:
    """Lose some stretches, as a broken download does."""
    for _ in range(random.randrange(1, 5)):
        length, start = random.randrange(64, 20_000), random.randrange(len(content))
        content[start : start + length] = bytes(min(length, len(content) - start))
    return content


def random_bytes(content: Content, others: list[bytes], random: Random) -> Content:
    """Keep at most the beginning."""
    return content[: random.choice([0, 0, 8, 64, 1024])] + random.randbytes(random.randrange(1, 100_000))


def leave(content: Content, others: list[bytes], random: Random) -> Content:
    """Change nothing; the suffix is another's."""
    return content


def huge_size(content: Content, others: list[bytes], random: Random) -> Content:
    """Overwrite numbers near the beginning, where sizes stand, with very large ones."""
    for _ in range(random.randrange(1, 4)):
        start, length = random.randrange(min(2000, len(content) - 8)), random.choice([2, 4, 8])
        content[start : start + length] = b"\x7f" + b"\xff" * (length - 1)
    return content


DAMAGES = {
    "cut short": cut_short,
    "bytes flipped": flip_bytes,
    "headers swapped": swap_headers,
    "holes of zeros": zero_holes,
    "wrong suffix": leave,
    "random bytes": random_bytes,
    "huge declared size": huge_size,
}


def read(path: str) -> dict[str, object]:
    """Read a file at two frames a second, and say how far one got."""
    soft = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    started = time.monotonic()
    try:
        with open_video(Path(path), threads=2) as video:
            duration = video.probe.duration_seconds
            request = FrameRequest(seconds=[i / 2 for i in range(min(round(2 * duration) + 1, 100))], size=(64, 64))
            read_to = max(batch.pts_seconds[-1] for _, batch in read_frames(video, [request], batch_size=8))
            found = {"outcome": "read", "read_to_seconds": round(float(read_to), 2), "warnings": list(video.warnings)}
    except VideoError as error:
        found = {"outcome": "refused", "reason": str(error).replace(path, Path(path).name)}
    except Exception as error:  # whatever else comes out is what this script looks for
        found = {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}
    return {**found, "seconds": round(time.monotonic() - started, 2)}


def read_apart(path: Path, pool: "multiprocessing.pool.Pool") -> dict[str, object]:
    """Read in a process of the pool, and give up after a while."""
    try:
        return pool.apply_async(read, (str(path),)).get(LIMIT_SECONDS)
    except multiprocessing.TimeoutError:
        return {"outcome": "failed", "reason": f"no end after {LIMIT_SECONDS} s, or the process died"}


def make(folder: Path, count: int, seed: int) -> list[tuple[str, Path]]:
    """Write the damaged files, in turn of each kind of damage and each kind of file."""
    good = {suffix: folder / f"good.{suffix}" for suffix in GOOD}
    for path in good.values():
        write_good(path)
    contents = {suffix: path.read_bytes() for suffix, path in good.items()}
    made = []
    for number in range(count):
        random = Random(seed * 1_000_003 + number)
        damage = list(DAMAGES)[number % len(DAMAGES)]
        suffix = list(GOOD)[number // len(DAMAGES) % len(GOOD)]
        others = [content for other, content in contents.items() if other != suffix]
        content = DAMAGES[damage](Content(contents[suffix]), others, random)
        shown = random.choice([other for other in GOOD if other != suffix]) if damage == "wrong suffix" else suffix
        path = folder / f"{number:03}-{damage.replace(' ', '-')}.{shown}"
        path.write_bytes(content)
        made.append((damage, path))
    return made


def table(found: list[dict[str, object]]) -> str:
    """Count outcomes by damage."""
    lines = [
        "| damage | files | read to the end | read as far as it goes, with a warning | refused with a reason | failed |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for damage in [*DAMAGES, "all"]:
        rows = [row for row in found if damage in (row["damage"], "all")]
        counts = Counter("warned" if row.get("warnings") else row["outcome"] for row in rows)
        cells = [len(rows), *(counts[outcome] for outcome in ("read", "warned", "refused", "failed"))]
        lines.append(f"| {damage} | {' | '.join(map(str, cells))} |")
    slowest = max(float(str(row["seconds"])) for row in found if "seconds" in row)
    return "\n".join([*lines, "", f"The slowest took {slowest:.1f} s."]) + "\n"


def main() -> None:
    """Damage, read, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where to write")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        pool = multiprocessing.Pool(1, maxtasksperchild=1)
        for number, (damage, path) in enumerate(make(Path(folder), asked.count, asked.seed)):
            row = {"file": path.name, "damage": damage, **read_apart(path, pool)}
            found.append(row)
            if row["outcome"] == "failed":
                pool.terminate()
                pool = multiprocessing.Pool(1, maxtasksperchild=1)
                print(row, flush=True)
            if number % 50 == 49:
                print(number + 1, Counter(str(row["outcome"]) for row in found), flush=True)
        pool.terminate()
    (asked.results / "damaged_files.json").write_text(json.dumps(found, indent=1) + "\n")
    (asked.results / "damaged_files.md").write_text(table(found))
    print(table(found))
    sys.exit(any(row["outcome"] == "failed" for row in found))


if __name__ == "__main__":
    main()
