"""How fast frames are read, as ratios to a loop that decodes everything and converts nothing.

    pip install imageio-ffmpeg opencv-python-headless
    .venv/bin/python benchmarks/decoding.py [--minutes 5]

Encodes one minute of 720p and 1080p, H.264 and HEVC, film and noise, a key frame each 2, 5 and 10 s (see
`video_files.py`), and times on each: every second exactly, every second without frames that no other refers to, and
key frames alone, at 224 x 224 pixels in RGB; against PyAV's bare loop, `ffmpeg -f null`, a bare key-frame loop, OpenCV
read through, and one exact seek a frame. Then twelve frames of a two-hour file. Each runs in a process of its own, and
its seconds of processor time and on the clock are counted, loading excepted; the table shows the first, which say what
reading costs also where other work shares the machine. What takes less than ten seconds runs three times, and the least
counts. What is measured is kept, so that the script can be stopped and goes on. Writes `results/decoding.{json,md}`
and `docs/images/decoding.png`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib import import_module
from itertools import product
from pathlib import Path

from video_files import FFMPEG, Sample

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "decoding.json"
WAYS = ("bare", "every", "references", "bare key", "key")
OTHERS = ("ffmpeg", "opencv", "seeks")  # of noise with a key frame each 5 s only: they take long there
KEYS = (2, 5, 10)
SAMPLES = [
    Sample(size=size, codec=codec, content=content, key_seconds=key)
    for content, size, codec, key in product(("film", "noise"), ("720p", "1080p"), ("h264", "hevc"), KEYS)
]
FILM = Sample(size="720p", codec="h264", content="film", key_seconds=5, seconds=7200)
MINUTE = Sample(size="720p", codec="h264", content="film", key_seconds=5)
LOADED = ("av", "cv2", "polyreel.video.pyav", "polyreel.video.sampling")
SIDE, NUM_SEEKS, NUM_UNIFORM = 224, 4, 12
NUM_TURNS, SHORT_SECONDS = 3, 10.0  # what takes less is measured again; the least counts


Measured = dict[str, dict[str, list[float]]]  # file -> way -> seconds of processor time, seconds passed


def bare(path: Path, skip: str = "DEFAULT") -> None:
    """Decode with as many threads as ours, and look at nothing."""
    import os

    import av

    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        codec.thread_type, codec.thread_count, codec.skip_frame = "AUTO", len(os.sched_getaffinity(0)), skip
        for _ in container.decode(video=0):
            pass


def ours(path: Path, kind: str, num_uniform: int = 0) -> None:
    """Read frames as an extractor would have them."""
    from polyreel.data.feature_settings import Sampling
    from polyreel.video.decode import FrameRequest, open_video, read_frames
    from polyreel.video.sampling import choose_moments

    sampling = {
        "every": Sampling.every(1.0),
        "references": Sampling.every(1.0, frames="references"),
        "key": Sampling.key_frames(),
        "uniform": Sampling.uniform(NUM_UNIFORM),
    }[kind]
    with open_video(path) as video:
        (moments,) = choose_moments(video, [(0.0, video.probe.duration_seconds)], sampling)
        request = FrameRequest(seconds=moments, size=(SIDE, SIDE))
        for _ in read_frames(video, [request], batch_size=32, only_references=kind == "references"):
            pass


def opencv(path: Path) -> None:
    """Grab every frame, and retrieve and shrink one a second."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    number = 0
    while capture.grab():
        if number % 30 == 15:
            cv2.resize(capture.retrieve()[1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        number += 1


def seeks(path: Path) -> None:
    """Seek to each of some moments and decode up to it."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for i in range(NUM_SEEKS):
            at = (i + 0.5) * 60 / NUM_SEEKS
            container.seek(int(at / stream.time_base), stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.time >= at - 1 / 60)
            frame.reformat(width=SIDE, height=SIDE, format="rgb24").to_ndarray()


def once(way: str, path: Path) -> None:
    """Do it one way."""
    if way == "bare":
        bare(path)
    elif way == "bare key":
        bare(path, "NONKEY")
    elif way == "ffmpeg":
        subprocess.run([FFMPEG, "-v", "error", "-i", str(path), "-map", "0:v:0", "-f", "null", "-"], check=True)
    elif way == "opencv":
        opencv(path)
    elif way == "seeks":
        seeks(path)
    else:
        ours(path, way)


def timed(way: str, path: Path) -> list[float]:
    """Time it in a process of its own, which has loaded everything before; return processor time and time passed."""
    command = [sys.executable, __file__, "--way", way, "--path", str(path)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    share = NUM_SEEKS / 60 if way == "seeks" else 1
    return [round(float(seconds) / share, 3) for seconds in found]


def others(sample: Sample) -> tuple[str, ...]:
    """Return the ways of others that are measured on a file."""
    return OTHERS if sample.content == "film" or sample.key_seconds == 5 else ()


def least(ways: tuple[str, ...], path: Path) -> dict[str, list[float]]:
    """Time some ways in turn, the short ones of ours again; keep each one's run with the least processor time."""
    found = {way: timed(way, path) for way in ways}
    for _ in range(NUM_TURNS - 1):
        again = [way for way in ways if way not in OTHERS and found[way][0] < SHORT_SECONDS]
        found |= {way: min(found[way], timed(way, path)) for way in again}
    return found


def processor_seconds() -> float:
    """Return what this process and its children have used."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(deadline: float) -> Measured:
    """Measure what is not measured yet, until the deadline."""
    measured = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    in_turn = sorted(SAMPLES, key=lambda sample: (5, 2, 10).index(sample.key_seconds))  # one of each first
    tasks = [(FILM, ("uniform",)), *((sample, (*WAYS, *others(sample))) for sample in in_turn)]
    for sample, ways in tasks:
        seconds = measured.setdefault(sample.name, {})
        if set(ways) <= set(seconds) or time.monotonic() > deadline:
            continue
        path = sample.path()
        seconds |= least(tuple(way for way in ways if way not in seconds), path)
        seconds["megabits a second"] = [round(path.stat().st_size * 8 / 1e6 / sample.seconds, 2)]
        print(time.strftime("%H:%M:%S"), sample.name, seconds, flush=True)
        RESULT.write_text(json.dumps(measured, indent=2) + "\n")
    return {name: seconds for name, seconds in measured.items() if seconds}


def table(measured: Measured) -> str:
    """Write ratios to the bare loop."""
    lines = [
        "Processor time of PyAV's bare loop over the same file divided by that of each way; the last columns are key",
        "frames against a bare key-frame loop, and against the bare loop.",
        "",
        "| file | Mbit/s | `ffmpeg -f null` | OpenCV | a seek a frame | every second | references only "
        "| key / bare key | key / bare |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    pairs = [("bare", way) for way in ("ffmpeg", "opencv", "seeks", "every", "references")]
    pairs += [("bare key", "key"), ("bare", "key")]
    for sample in SAMPLES:
        seconds = measured.get(sample.name)
        if seconds:
            name = f"{sample.size} {sample.codec} {sample.content}, key each {sample.key_seconds} s"
            cells = [f"{seconds['megabits a second'][0]}", *(ratio(seconds, *pair) for pair in pairs)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    if FILM.name in measured and MINUTE.name in measured:
        whole, sparse = 120 * measured[MINUTE.name]["bare"][0], measured[FILM.name]["uniform"][0]
        lines += ["", "Twelve frames of a two-hour film (720p h264): "]
        lines[-1] += f"{sparse:.2f} s of processor time; decoding it, 120 times its minute, {whole:.0f} s: "
        lines[-1] += f"{whole / sparse:.0f} times as much."
    return "\n".join(lines) + "\n"


def ratio(seconds: dict[str, list[float]], than: str, way: str) -> str:
    """Say how many times less processor time one way takes than another."""
    return f"{seconds[than][0] / seconds[way][0]:.2f}" if way in seconds else "–"


def plot(measured: Measured, path: Path) -> None:
    """Draw how many times faster than decoding everything key frames are, against their distance."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    for content, size, codec in product(("film", "noise"), ("720p", "1080p"), ("h264", "hevc")):
        names = {s.key_seconds: s.name for s in SAMPLES if (s.content, s.size, s.codec) == (content, size, codec)}
        known = {key: measured[name] for key, name in names.items() if name in measured}
        points = [(key, seconds["bare"][0] / seconds["key"][0]) for key, seconds in known.items()]
        if points:
            style = {"marker": "o" if codec == "h264" else "s", "linestyle": "-" if content == "film" else "--"}
            axes.plot(*zip(*points, strict=True), label=f"{size} {codec}, {content}", **style)
    axes.set(xlabel="seconds between key frames", ylabel="times faster than decoding everything", xticks=KEYS, ylim=0)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=600, help="stop measuring after so long")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        for module in LOADED:
            import_module(module)
        before, started = processor_seconds(), time.perf_counter()
        once(asked.way, asked.path)
        print(processor_seconds() - before, time.perf_counter() - started)
        return
    measured = measure(time.monotonic() + 60 * asked.minutes)
    (ROOT / "results" / "decoding.md").write_text(table(measured))
    plot(measured, ROOT / "docs" / "images" / "decoding.png")
    print(table(measured))


if __name__ == "__main__":
    main()
