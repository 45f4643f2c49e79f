"""Adding 100 videos to a library of 10,000: does it touch only them? And how soon does a server beside it show one?

The library is 10,100 small real files, each with bytes of its own. The index of the first 10,000 holds made vectors, so
that nothing but the update is measured; the files of every step are decoded, with the `pixels` extractor and an
untrained model. Each step is done in a small library too, and the rows of all other videos are compared before and
after. Then `polyreel index --watch` and `polyreel serve` run as processes of their own, and files are put in. Writes
results/library_update.json and .md. Needs no data.

    python benchmarks/library_update.py [--files 10000] [--added 100] [--watched 10]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from polyreel import Index, Retriever, SearchEncoder
from polyreel.data.feature_settings import Sampling
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.search.changes import find_changes
from polyreel.search.library import LibraryUpdate, open_library, update_library
from polyreel.search.rows import IndexedClip
from polyreel.similarity import unit
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.pixels import PixelExtractor

ROOT = Path(__file__).parents[1]
FILES_A_FOLDER = 500
WINDOW_SECONDS, PORT = 4.0, 8765
STEPS = ("nothing", "added", "moved", "touched", "deleted")


def write_videos(folder: Path, num: int, first: int = 0) -> list[Path]:
    """Write small videos, alike but for some bytes that no player looks at."""
    one = folder.parent / "one.mp4"
    one.parent.mkdir(parents=True, exist_ok=True)
    if not one.exists():
        with av.open(str(one), "w") as container:
            stream = container.add_stream("libx264", rate=5)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for shade in range(20):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * shade, np.uint8))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    content, files = one.read_bytes(), []
    for number in range(first, first + num):
        path = folder / f"{number // FILES_A_FOLDER:03}" / f"{number:06}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + number.to_bytes(16, "little"))
        files.append(path)
    return files


def untrained_encoder(folder: Path) -> SearchEncoder:
    """Save and open a small model that has learned nothing."""
    features = feature_settings(PixelExtractor(), Sampling())
    texts = ["a red video", "a blue video"]
    settings = TextSettings(width=16, vocab_size=60), VideoSettings(pooling="mean"), features
    Retriever.build(*settings, embed_dim=64, langs=["en"], training_texts=texts).save(folder)
    return SearchEncoder.open(folder)


def made_index(folder: Path, library: Path, encoder: SearchEncoder) -> Index:
    """Index a library with made vectors, stamped as if every file had been decoded."""
    index = open_library(folder, library, encoder)
    stamps = find_changes({}, library, WINDOW_SECONDS).to_encode
    vectors = unit(np.random.default_rng(0).normal(size=(len(stamps), encoder.dim)))
    clips = [
        IndexedClip(
            clip_id=f"{video}#0",
            video=video,
            start_seconds=0.0,
            end_seconds=4.0,
            file_stamp=stamp.text,
            video_seconds=4.0,
        )
        for video, stamp in stamps.items()
    ]
    index.add(clips, vectors, encoder.fingerprint)
    index.compact()
    return index


def rows_of(index: Index) -> dict[str, tuple[str, bytes]]:
    """Return stamp and vector of each video."""
    return {one.video: (one.clips[0].file_stamp, one.embeddings_ND.tobytes()) for one in index.sequences()}


def measured(index: Index, library: Path, encoder: SearchEncoder) -> tuple[float, LibraryUpdate, int]:
    """Bring an index up to date: seconds, what was done, and how many rows of videos known before have changed."""
    before = rows_of(index)
    start = time.perf_counter()
    update = update_library(index, library, encoder)
    seconds = time.perf_counter() - start
    after = rows_of(index)
    return seconds, update, sum(after.get(video) != row for video, row in before.items())


def steps(library: Path, files: list[Path], num: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is done to a library, one thing after another."""
    total = len(files)
    yield "nothing", lambda: None
    yield "added", lambda: write_videos(library, num, total)
    moved = library / "moved"

    def move() -> None:
        moved.mkdir()
        for path in files[:num]:
            path.rename(moved / path.name)

    yield "moved", move
    yield "touched", lambda: [path.touch() for path in files[num : 2 * num]]
    yield "deleted", lambda: [path.unlink() for path in sorted(moved.iterdir())[1:]]


def follow_steps(place: Path, encoder: SearchEncoder, num_files: int, num: int) -> dict[str, object]:
    """Make a library and go through all steps."""
    files = write_videos(place / "videos", num_files)
    index = made_index(place / "index", place / "videos", encoder)
    found: dict[str, object] = {"files": num_files}
    for name, change in steps(place / "videos", files, num):
        change()
        seconds, update, changed = measured(index, place / "videos", encoder)
        found[name] = {
            "seconds": round(seconds, 3),
            "decoded": update.num_indexed,
            "taken_over": update.num_reused,
            "removed": update.num_removed,
            "unchanged": update.num_unchanged,
            "rows_of_other_videos_changed": changed - (update.num_reused + update.num_removed),
        }
        print(f"{num_files} files, {num} {name}: {found[name]}", flush=True)
    return found


@contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a verb as a process until the block ends."""
    command = [sys.executable, "-m", "polyreel.cli", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read what a process prints until a line has these words."""
    assert process.stdout is not None
    return next(line for line in process.stdout if words in line)


def asked_of_server(path: str) -> dict[str, object] | None:
    """Ask the server; None where it does not listen yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}") as answer:
            found: dict[str, object] = json.load(answer)
            return found
    except urllib.error.URLError:
        return None


def is_shown(video: str) -> bool:
    """Tell whether the server finds a new video."""
    query = urllib.parse.urlencode({"q": "a video", "k": 100, "path": "new"})
    return f'"{video}"' in json.dumps(asked_of_server(f"/search?{query}"))


def watched(place: Path, num: int) -> list[float]:
    """Put files into a followed folder, and return the seconds until a server beside it answers with each."""
    videos, library, seconds = place / "videos", place / "index", []
    with running("index", videos, "-o", library, "--watch", "--quiet") as watching:
        wait_for(watching, "following")
        with running("serve", library, "--port", str(PORT), "--quiet"):
            while asked_of_server("/health") is None:
                time.sleep(0.05)
            for number in range(num):
                source = write_videos(place / "outside", 1, 10**6 + number)[0]
                (videos / "new").mkdir(exist_ok=True)
                start = time.perf_counter()
                source.rename(videos / "new" / f"{number}.mp4")
                while not is_shown(f"new/{number}.mp4"):
                    time.sleep(0.05)
                seconds.append(time.perf_counter() - start)
                print(f"shown after {seconds[-1]:.2f} s", flush=True)
    return seconds


def table(result: dict[str, dict[str, object]], num: int, shown: dict[str, float]) -> str:
    """Write the result as Markdown."""
    heads = ["what changed", *(f"library of {size}" for size in result), "decoded", "other rows changed"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name in STEPS:
        steps = [found[name] for found in result.values()]
        assert all(isinstance(step, dict) for step in steps)
        seconds = [f"{step['seconds']:.2f} s" for step in steps]  # type: ignore[index]
        counts = [str(steps[-1][key]) for key in ("decoded", "rows_of_other_videos_changed")]  # type: ignore[index]
        lines.append(f"| {' | '.join([name if name == 'nothing' else f'{num} {name}', *seconds, *counts])} |")
    lines += [
        "",
        f"A server beside `polyreel index --watch` showed a new file after {shown['median']} s, the median of",
    ]
    lines.append(f"{shown['files']}; at most after {shown['most']} s.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--added", type=int, default=100)
    parser.add_argument("--watched", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoder = untrained_encoder(Path(folder) / "model")
        sizes = (2 * asked.added, asked.files)
        found = {str(size): follow_steps(Path(folder) / str(size), encoder, size, asked.added) for size in sizes}
        seconds = watched(Path(folder) / str(sizes[-1]), asked.watched)
    shown = {"median": round(statistics.median(seconds), 2), "most": round(max(seconds), 2), "files": len(seconds)}
    result = {"added": asked.added, "libraries": found, "seconds_until_shown": shown}
    (ROOT / "results" / "library_update.json").write_text(json.dumps(result, indent=2) + "\n")
    text = table(found, asked.added, shown)
    (ROOT / "results" / "library_update.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
