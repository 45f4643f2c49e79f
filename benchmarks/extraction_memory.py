"""Memory of a run over a film of two hours and over 5,000 short files: it must stay flat.

    python benchmarks/extraction_memory.py [--part film|files|plot] [--hours 2] [--files 5000]

Each part runs `polyreel extract` with the pixels extractor in a process of its own and notes its resident memory twice
a second: all of it, and what is not file cache (anonymous). The film is made by copying packets, the short files are
one second each. Results: results/extraction_memory.json, .md and .png.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from video_files import FFMPEG, FOLDER, Sample

RESULTS = Path(__file__).parents[1] / "results"
SECONDS_BETWEEN = 0.5
CODE = (
    "import sys; from pathlib import Path\n"
    "from polyreel import Dataset, open_extractor; from polyreel.data.clips import Clip\n"
    "from polyreel.data.feature_settings import Sampling; from polyreel.video.extract import *\n"
    "hours, source = float(sys.argv[3]), sys.argv[1]\n"
    "if hours:\n"
    "    clips = [Clip(clip_id=str(n), video='film.mp4', start_seconds=4.0 * n, end_seconds=4.0 * n + 4, split='all',\n"
    "                  source='film') for n in range(int(hours * 900))]\n"
    "    source = Dataset.build('film', clips, [], videos_folder=Path(source))\n"
    "sampling = Sampling.key_frames() if hours else Sampling()\n"
    "extract(source, open_extractor('pixels'), sys.argv[2], ExtractionSettings(sampling=sampling, num_workers=2))"
)


def main() -> None:
    """Measure the parts that were asked for, and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["film", "files", "plot"])
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--files", type=int, default=5000)
    words = parser.parse_args()
    path = RESULTS / "extraction_memory.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "videos"
        if words.part in (None, "film"):
            results["film"] = {"hours": words.hours, **watch(make_film(folder, words.hours), words.hours)}
        if words.part in (None, "files"):
            results["files"] = {"files": words.files, **watch(make_files(Path(temporary) / "short", words.files), 0)}
    path.write_text(json.dumps(results) + "\n", encoding="utf-8")
    write_table(results)
    plot(results)


def make_film(folder: Path, hours: int) -> Path:
    """Make one film by copying packets."""
    folder.mkdir()
    sample = Sample(size="720p", codec="h264", content="film", key_seconds=2, seconds=hours * 3600)
    shutil.copy(sample.path(), folder / "film.mp4")
    return folder


def make_files(folder: Path, num_files: int) -> Path:
    """Make many short files that differ in their last bytes."""
    folder.mkdir()
    short = FOLDER / "one-second.mp4"
    if not short.exists():
        source = Sample(size="720p", codec="h264", content="film", key_seconds=2).path()
        subprocess.run(
            [FFMPEG, "-v", "error", "-y", "-i", source, "-t", "1", "-vf", "scale=320:180", short], check=True
        )
    content = short.read_bytes()
    for number in range(num_files):
        (folder / f"{number:05}.mp4").write_bytes(content + number.to_bytes(4, "little"))
    return folder


def watch(videos: Path, hours: int) -> dict[str, list[float] | float]:
    """Run over a folder, and note time and memory in megabytes."""
    run = subprocess.Popen([sys.executable, "-c", CODE, str(videos), str(videos.parent / f"store{hours}"), str(hours)])
    process, started = psutil.Process(run.pid), time.monotonic()
    seconds, resident, anonymous = [], [], []
    while run.poll() is None:
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:
            break
        seconds.append(round(time.monotonic() - started, 1))
        resident.append(round(memory.rss / 1e6, 1))
        anonymous.append(round((memory.rss - memory.shared) / 1e6, 1))
        if len(seconds) % 20 == 0:
            print(f"{seconds[-1]:7.1f} s  {resident[-1]:6.1f} MB", flush=True)
        time.sleep(SECONDS_BETWEEN)
    assert run.wait() == 0
    return {"seconds": seconds, "resident_mb": resident, "anonymous_mb": anonymous, **flatness(seconds, anonymous)}


def flatness(seconds: list[float], megabytes: list[float]) -> dict[str, float]:
    """Compare the second and the last quarter of a run: medians, and growth from one to the other."""
    quarters = [float(np.median(part)) for part in np.array_split(np.array(megabytes), 4)]
    growth = round(quarters[3] - quarters[1], 1)
    return {
        "second_quarter_mb": quarters[1],
        "last_quarter_mb": quarters[3],
        "growth_mb": growth,
        "most_mb": max(megabytes),
    }


def write_table(results: dict[str, dict[str, float]]) -> None:
    """Write the table."""
    names = {"film": "one film of {hours} hours, 1,800 clips", "files": "{files} files of a second"}
    lines = [
        "| run | seconds | second quarter, MB | last quarter, MB | most, MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for part, row in results.items():
        cells = [
            names[part].format(**row),
            row["seconds"][-1],
            row["second_quarter_mb"],
            row["last_quarter_mb"],
            row["most_mb"],
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    (RESULTS / "extraction_memory.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def plot(results: dict[str, dict[str, list[float]]]) -> None:
    """Plot memory over the share of the run that is done."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    for part, row in results.items():
        label = f"a film of {row['hours']} hours" if part == "film" else f"{row['files']:,} files of a second"
        share = np.array(row["seconds"]) / row["seconds"][-1] * 100
        axes.plot(share, row["anonymous_mb"], label=label)
    axes.set(xlabel="share of the run's time, %", ylabel="memory without file cache, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(RESULTS / "extraction_memory.png", dpi=120)


if __name__ == "__main__":
    main()
