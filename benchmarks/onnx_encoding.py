"""What exporting to ONNX gives on a CPU: speed, size and agreement of both towers against torch, one thread.

    .venv/bin/python benchmarks/onnx_encoding.py

Two models of random weights, which decide neither speed nor size, but do decide agreement: pieces from scratch with the
paper's video tower, and a 6-layer transformer of width 384 over the same pieces. Each is timed in turn as torch, ONNX,
and ONNX in 8 bits, in one process: one text at a time (milliseconds, median), 512 texts and 128 clips at once (a
second). Seconds from the start of Python to the first embedding are of a process each. Writes
`results/onnx_encoding.json`.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"
if TYPE_CHECKING:
    from polyreel import Retriever

ROOT = Path(__file__).parents[1]
DIM, FRAMES, SINGLE, TEXTS, CLIPS = 512, 30, 200, 512, 128
WORDS = "a man is playing the guitar while another one sings on stage in front of many people at night".split()
START = """
import sys
from polyreel.models.opening import open_model
open_model(sys.argv[1]).encode_text(["a dog runs"])
print("torch" in sys.modules)
"""


def texts(count: int) -> list[str]:
    """Make up captions."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(5, 15))) for _ in range(count)]


def build(name: str) -> "Retriever":
    """Make one of the two models."""
    import torch

    from polyreel import Retriever
    from polyreel.data.feature_settings import FeatureSettings
    from polyreel.models.settings import TextSettings, VideoSettings

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = {"pieces from scratch": {}, "6-layer transformer": {"num_layers": 6, "num_heads": 12, "width": 384}}
    return Retriever.build(
        TextSettings(**sizes[name]),
        VideoSettings(),
        FeatureSettings.imported("made up", DIM),
        embed_dim=512,
        langs=["en"],
        training_texts=[f"{word}{number}" for number in range(1500) for word in WORDS],
    )


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(folders: dict[str, Path]) -> dict[str, dict[str, object]]:
    """Time all forms of one model in turn, and hold what they say against torch's."""
    from polyreel.models.opening import open_model

    models = {form: open_model(folder) for form, folder in folders.items()}
    random = np.random.default_rng(1)
    clips = [random.normal(size=(FRAMES, DIM)).astype(np.float32) for _ in range(CLIPS)]
    asked = texts(TEXTS)
    single: dict[str, list[float]] = {form: [] for form in models}
    batch: dict[str, list[float]] = {form: [] for form in models}
    videos: dict[str, list[float]] = {form: [] for form in models}
    for text in asked[:SINGLE]:
        for form, model in models.items():
            single[form].append(seconds(lambda model=model, text=text: model.encode_text([text])))
    for _ in range(5):
        for form, model in models.items():
            batch[form].append(seconds(lambda model=model: model.encode_text(asked)))
            videos[form].append(seconds(lambda model=model: model.encode_clips(clips)))
    truth = models["torch"].encode_text(asked)
    found: dict[str, dict[str, object]] = {}
    for form, folder in folders.items():
        done = subprocess.run([sys.executable, "-c", START, str(folder)], capture_output=True, text=True, check=True)
        starts = [
            seconds(
                lambda folder=folder: subprocess.run([sys.executable, "-c", START, str(folder)], capture_output=True)
            )
            for _ in range(3)
        ]
        found[form] = {
            "one text, ms": round(1000 * float(np.median(single[form])), 3),
            "texts a second": round(TEXTS / float(np.median(batch[form]))),
            "clips a second": round(CLIPS / float(np.median(videos[form]))),
            "size, MB": round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6, 2),
            "start to first embedding, s": round(float(np.median(starts)), 2),
            "loads torch": done.stdout.split() == ["True"],
            "least cosine to torch": round(float((models[form].encode_text(asked) * truth).sum(axis=1).min()), 6),
        }
        print(form, found[form], flush=True)
    return found


def main() -> None:
    """Build, export, measure, keep the result."""
    from polyreel.models.onnx_export import export_onnx

    result: dict[str, object] = {}
    for name in ("pieces from scratch", "6-layer transformer"):
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as place:
            folders = {form: Path(place) / form for form in ("torch", "onnx", "onnx-int8")}
            model = build(name)
            model.save(folders["torch"])
            export_onnx(model, folders["onnx"])
            export_onnx(model, folders["onnx-int8"], is_int8=True)
            result[name] = measure(folders)
    result |= {"threads": 1, "cores": os.cpu_count(), "machine": platform.machine()}
    (ROOT / "results" / "onnx_encoding.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
