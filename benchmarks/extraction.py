"""End to end: hours of 1080p video per hour of work, with a real image network, and which part bounds it.

    python benchmarks/extraction.py NETWORK.onnx [--seconds 60]

Each kind of run is measured against its parts in the same process: decoding alone (frames are made and thrown away)
and the network alone (the same number of rows). The part that takes longer bounds the run; a run that overlaps the two
well takes little longer than the processor time of both divided by the cores. int8 networks are made here with ONNX
Runtime's own tools. Results: results/extraction.json and .md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from os import cpu_count
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from polyreel.data.feature_settings import Sampling
from polyreel.data.features import FeatureStore
from polyreel.video.decode import FrameBatch, decode_frames, find_videos, open_video
from polyreel.video.extract import ExtractionSettings, extract
from polyreel.video.extractors import Network, open_extractor
from video_files import Sample

RESULTS = Path(__file__).parents[1] / "results"
NUM_FILES = 4
SAMPLINGS = {
    "every second, exact": Sampling.every(1),
    "every second, reference frames": Sampling.every(1, frames="references"),
    "key frames": Sampling.key_frames(),
}


class Nothing:
    """An extractor that costs nothing, to measure decoding alone."""

    name, source, fingerprint, dim, fit = "nothing", "nothing", "0", 1, "squeeze"
    frame_offsets, batch_size = (0.0,), 16

    def __init__(self, network: Network) -> None:
        self.frame_size = network.frame_size

    def run(self, frames: np.ndarray) -> np.ndarray:
        """Return a number a row."""
        return np.zeros((len(frames), 1), np.float32)

    def __call__(self, batch: FrameBatch) -> np.ndarray:
        """Return a number a frame."""
        return np.zeros((len(batch.frames), 1), np.float32)


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--seconds", type=int, default=30, help="length of each of the files")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        videos = make_videos(folder / "videos", words.seconds)
        network = open_extractor(f"onnx:{words.network}")
        assert isinstance(network, Network)
        rows = [row for name, sampling in SAMPLINGS.items() for row in measure(name, sampling, videos, network, folder)]
        rows += workers(videos, network, folder)
        networks = precisions(words.network, folder, videos)
    write({"machine_cores": cpu_count(), "files": NUM_FILES, "seconds_each": words.seconds, "runs": rows,
           "networks": networks})  # fmt: skip


def make_videos(folder: Path, seconds: int) -> Path:
    """Copy one encoded file, film-like, with a key frame every two seconds, under several names."""
    folder.mkdir()
    source = Sample(size="1080p", codec="h264", content="film", key_seconds=2, seconds=seconds).path()
    for number in range(NUM_FILES):
        shutil.copy(source, folder / f"{number}.mp4")
        with (folder / f"{number}.mp4").open("ab") as stream:
            stream.write(bytes(number + 1))  # else they would be recognised as copies
    return folder


def measure(name: str, sampling: Sampling, videos: Path, network: Network, folder: Path) -> list[dict[str, object]]:
    """Measure a run as it is, its decoding alone, and its network alone."""
    settings = ExtractionSettings(sampling=sampling)
    run = timed(lambda: extract(videos, network, fresh(folder), settings))
    stores: list[FeatureStore] = []
    decoding = timed(lambda: stores.append(extract(videos, Nothing(network), fresh(folder), settings)))
    num_rows = sum(stores[0].iter_lengths())
    batch = np.random.default_rng(0).integers(0, 256, (network.batch_size, 1, *network.frame_size[::-1], 3), np.uint8)
    alone = timed(lambda: [network.run(batch) for _ in range(-(-num_rows // network.batch_size))])
    bound = "decoding" if decoding["cpu_seconds"] > alone["cpu_seconds"] else "network"
    row = {"run": name, **run, "rows": num_rows, "decoding": decoding, "network": alone, "bound_by": bound}
    return [with_speed(row, videos)]


def workers(videos: Path, network: Network, folder: Path) -> list[dict[str, object]]:
    """Compare one decoding thread with two processes of one; the runs above have two threads."""
    settings = ExtractionSettings(num_workers=1, sampling=Sampling.every(1))
    run = timed(lambda: extract(videos, network, fresh(folder), settings))
    rows = [with_speed({"run": "every second, exact, 1 decoding thread", **run}, videos)]
    halves = [folder / "half0", folder / "half1"]
    for position, path in enumerate(find_videos(videos)):
        (halves[position % 2]).mkdir(exist_ok=True)
        shutil.copy(path, halves[position % 2])
    code = (
        "import sys; from pathlib import Path; from polyreel.video.extract import *; "
        "from polyreel import open_extractor; from polyreel.data.feature_settings import Sampling; "
        "settings = ExtractionSettings(num_workers=1, sampling=Sampling.every(1)); "
        "extract(sys.argv[1], open_extractor(sys.argv[3]), sys.argv[2], settings)"
    )
    started = perf_counter()
    calls = [[sys.executable, "-c", code, str(half), str(fresh(folder)), network.source] for half in halves]
    for process in [subprocess.Popen(call) for call in calls]:
        assert process.wait() == 0
    run = {
        "run": "every second, exact, 2 processes of 1 thread (start included)",
        "seconds": round(perf_counter() - started, 2),
    }
    return [*rows, with_speed(run, videos)]


def precisions(path: Path, folder: Path, videos: Path) -> list[dict[str, object]]:
    """Compare the network in float32 with int8 ones: rows a second, and how near the rows are."""
    whole = open_extractor(f"onnx:{path}")
    frames = real_frames(videos, whole.frame_size, 160)
    wanted = whole(frames)
    found = []
    for name, made in {"float32": path, **int8(path, folder, whole, frames)}.items():
        other = open_extractor(f"onnx:{made}")
        other(replace(frames, frames=frames.frames[:16], pts_seconds=frames.pts_seconds[:16]))
        run = timed(lambda other=other: other(frames))
        rows = other(frames)
        cosines = (rows * wanted).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(wanted, axis=1)
        entry = {"network": name, "rows_a_second": round(len(rows) / run["seconds"], 1), **run}
        size = round(made.stat().st_size / 1e6, 1)
        found.append({**entry, "megabytes": size, "worst_cosine": round(float(cosines.min()), 4)})
        print(f"{name}: {found[-1]}", flush=True)
    return found


def int8(path: Path, folder: Path, network: Network, frames: FrameBatch) -> dict[str, Path]:
    """Make int8 networks with ONNX Runtime's tools: dynamic, and static with ranges measured on frames."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            pixels = frames.frames[::5].astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
            self._left = iter([{network.settings.input: part[None]} for part in pixels])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    places = {name: folder / f"{name.replace(' ', '-')}.onnx" for name in ("int8 dynamic", "int8 static")}
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(path), str(prepared))
    quantize_dynamic(str(prepared), str(places["int8 dynamic"]), weight_type=QuantType.QUInt8)
    quantize_static(str(prepared), str(places["int8 static"]), Reader(), per_channel=True)
    return places


def real_frames(videos: Path, size: tuple[int, int], num_frames: int) -> FrameBatch:
    """Decode frames of one of the videos."""
    path = find_videos(videos)[0]
    with open_video(path) as video:
        seconds = np.linspace(0, video.probe.duration_seconds * 0.99, num_frames).tolist()
    return decode_frames(path, seconds, size=size)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds work takes on the clock and on the processor, and how many cores that keeps busy."""
    clock, processor = perf_counter(), process_time()
    work()
    seconds, cpu = perf_counter() - clock, process_time() - processor
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "cores_busy": round(cpu / seconds, 2)}


def with_speed(row: dict[str, object], videos: Path) -> dict[str, object]:
    """Add how many hours of video an hour of work does, and say so."""
    hours = sum(duration(path) for path in find_videos(videos)) / 3600
    row["hours_per_hour"] = round(hours / (float(str(row["seconds"])) / 3600), 1)
    print(f"{row['run']}: {row['hours_per_hour']} hours of video an hour; {row}", flush=True)
    return row


def duration(path: Path) -> float:
    """Return a video's length in seconds."""
    with open_video(path) as video:
        return video.probe.duration_seconds


def fresh(folder: Path) -> Path:
    """Return a place where nothing is yet."""
    return Path(tempfile.mkdtemp(dir=folder)) / "store"


def write(results: dict[str, object]) -> None:
    """Write JSON and the table."""
    RESULTS.joinpath("extraction.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    lines = [
        "| run over 1080p H.264 | hours of video an hour | seconds | cores busy | decoding alone, CPU s "
        "| network alone, CPU s | bound by |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in results["runs"]:
        parts = [row.get("decoding", {}).get("cpu_seconds", ""), row.get("network", {}).get("cpu_seconds", "")]
        cells = [row[name] for name in ("run", "hours_per_hour", "seconds")]
        cells += [row.get("cores_busy", ""), *parts, row.get("bound_by", "")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| network | rows a second | MB | worst cosine to float32 |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {row['network']} | {row['rows_a_second']} | {row['megabytes']} | {row['worst_cosine']} |"
        for row in results["networks"]
    ]
    RESULTS.joinpath("extraction.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
