"""How fast the error browser is with 10,000 queries, in headless Chromium without a network.

    .venv/bin/python benchmarks/error_browser.py [--chromium PATH]

Makes up 10,000 queries in four languages about 1,000 clips, three systems and a picture a clip (noise, which compresses
worse than any frame), writes the page through `write_html`, and opens it five times: seconds until the first queries
are drawn, then milliseconds of every filter, search and order, from the event to the drawn page. Needs the package
playwright and a Chromium. Writes `results/error_browser.json`.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.evaluation.browser import Browser
from polyreel.evaluation.examination import Examinee, examine
from polyreel.evaluation.html import write_html
from polyreel.evaluation.report import evaluate
from polyreel.similarity import unit

ROOT = Path(__file__).parents[1]
NUM_CLIPS, NUM_SENTENCES, DIM, TIMES = 1_000, 2_500, 64, 5
LANGS = ("en", "de", "zh", "ru")
WORDS = "a red circle rolls over the green hill while two small dogs run past an old house at night".split()


class Reader:
    """Reads the number of a clip out of a text, more or less well."""

    def __init__(self, noise: float, seed: int) -> None:
        self.noise, self.random = noise, np.random.default_rng(seed)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Return the clip's vector with noise."""
        meant = np.stack([vector(int(text.split()[-1])) for text in texts])
        return unit(meant + self.noise * self.random.standard_normal(meant.shape))

    def encode_clips(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mean of the features."""
        return unit(np.stack([rows.mean(axis=0) for rows in features]))


def vector(number: int) -> np.ndarray:
    """Return the vector of a clip."""
    return np.random.default_rng(number).standard_normal(DIM)


def made_up(folder: Path) -> tuple[Dataset, FeatureStore]:
    """Make clips, captions and features."""
    random = np.random.default_rng(0)
    clips = [
        Clip(clip_id=f"clip{i:04}", video=f"clip{i:04}.mp4", split="test", source=f"film{i // 2}")
        for i in range(NUM_CLIPS)
    ]
    captions = [
        Caption(
            caption_id=f"sentence{i}", clip_id=f"clip{i % NUM_CLIPS:04}", lang=lang,
            text=" ".join([*random.choice(WORDS, random.integers(5, 16)), str(i % NUM_CLIPS)]),
            origin="human" if lang == "en" else "machine-translated",
        )
        for i in range(NUM_SENTENCES)
        for lang in LANGS
    ]  # fmt: skip
    with FeatureWriter(folder, FeatureSettings(extractor="made up", extractor_fingerprint="0", dim=DIM)) as writer:
        for number, clip in enumerate(clips):
            writer.add(clip.clip_id, vector(number)[None].astype(np.float32))
    return Dataset.build("made up", clips, captions), FeatureStore.open(folder)


def picture(seed: int) -> bytes:
    """Return noise as a JPEG of the size that pages show."""
    coarse = np.random.default_rng(seed).integers(0, 255, (36, 48, 3), np.uint8)
    stream = BytesIO()
    Image.fromarray(coarse).resize((192, 144)).save(stream, "JPEG", quality=80)
    return stream.getvalue()


def write_page(folder: Path) -> Path:
    """Examine three readers and write the page."""
    dataset, features = made_up(folder / "features")
    readers = {
        name: Reader(noise, seed)
        for seed, (name, noise) in enumerate([("student", 2.6), ("teacher", 2.2), ("old", 3.0)])
    }
    reports = [evaluate(reader, dataset, features=features, name=name) for name, reader in readers.items()]
    found = examine([Examinee(name=name, model=one, features=features) for name, one in readers.items()], dataset)
    pictures = {clip_id: picture(number) for number, clip_id in enumerate(dataset.clip_ids)}
    write_html(folder / "page.html", reports, title="Made up", browser=Browser(examination=found, pictures=pictures))
    return folder / "page.html"


def measure(page_file: Path, chromium: str) -> dict[str, list[float]]:
    """Open the page again and again, and use it."""
    from playwright.sync_api import Page, sync_playwright

    def select(name: str, value: str) -> Callable[[Page], object]:
        return lambda page: page.select_option(f"select[name={name}]", value)

    uses: dict[str, Callable[[Page], object]] = {
        "filter by language": select("facet0", "1"),
        "filter by outcome": select("outcome", "lost"),
        "search words": lambda page: page.fill("input[name=words]", "green hill"),
        "order by rank ahead": select("order", "ahead"),
        "order by clips in common": select("order", "apart"),
    }
    found: dict[str, list[float]] = {"seconds to first queries": [], **{f"{use}, ms": [] for use in uses}}
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        for time in range(TIMES):
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_context(offline=True).new_page()
            page.goto(page_file.as_uri())
            page.wait_for_selector(".browser[data-state=ready]", timeout=60_000)
            ready = page.evaluate("performance.getEntriesByName('browser-ready')[0].startTime")
            found["seconds to first queries"].append(round(ready / 1000, 3))
            for use, act in uses.items():
                page.evaluate("document.getElementById('browser-form').reset()")
                page.wait_for_timeout(200)
                page.evaluate("performance.clearMeasures()")
                act(page)
                while not page.evaluate("performance.getEntriesByName('browser-refresh').length"):
                    page.wait_for_timeout(50)
                took = page.evaluate("performance.getEntriesByName('browser-refresh').at(-1).duration")
                found[f"{use}, ms"].append(round(took, 1))
            browser.close()
            print(f"{time + 1}/{TIMES} { ({use: values[-1] for use, values in found.items()}) }", flush=True)
    return found


def main() -> None:
    """Write the page, measure, keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    asked = parser.parse_args()
    if asked.chromium is None:
        sys.exit("no Chromium found; say where it is with --chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = write_page(Path(folder))
        num_bytes = page.stat().st_size
        print(f"page of {num_bytes / 1e6:.1f} MB", flush=True)
        measured = measure(page, asked.chromium)
    result = {
        "queries": NUM_SENTENCES * len(LANGS), "clips": NUM_CLIPS, "pictures": NUM_CLIPS, "systems": 3,
        "page, MB": round(num_bytes / 1e6, 2), **measured, "cores": os.cpu_count(), "machine": platform.machine(),
    }  # fmt: skip
    (ROOT / "results" / "error_browser.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
