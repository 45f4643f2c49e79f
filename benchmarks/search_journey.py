"""The whole journey on drawn videos, with pictures of the page: index, search, look inside, cut, find copies, serve.

Clips of a drawn world are joined to films of half a minute, some with subtitles, one of them twice; then every verb of
search runs on them with a student that was trained on that world, and a browser takes the pictures of docs/search.md.
What the verbs print goes to results/search_journey.txt. With another folder of videos and another model, it is the same
journey. Needs Chromium and playwright for the pictures.

    make demo
    python benchmarks/search_journey.py demo/world/videos demo/runs/c2kd-* -o demo/journey
"""

import argparse
import contextlib
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import uvicorn

from polyreel import Index
from polyreel.cli import main as polyreel
from polyreel.web.access import Access
from polyreel.web.app import create_app
from polyreel.web.site import Library

ROOT = Path(__file__).parents[1]
CLIPS_A_FILM, FILMS, RATE = 16, 8, 12
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LINES = {
    "en": ("We set out before sunrise.", "Nobody had slept that night.", "The old captain told us about the storm."),
    "de": ("Wir brachen vor Sonnenaufgang auf.", "Niemand hatte geschlafen.", "Der alte Kapitän erzählte vom Sturm."),
    "zh": ("我们在日出之前出发。", "那天晚上没有人睡觉。", "老船长给我们讲了那场暴风雨。"),
}
QUERY, SAID = "ein roter Kreis", "暴风雨"


def join(clips: list[Path], output: Path, crf: int = 26) -> None:
    """Decode clips and encode them as one film."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(output), "w") as target:
        stream, number = target.add_stream("libx264", rate=RATE, options={"crf": str(crf)}), 0
        for clip in clips:
            with av.open(str(clip)) as source:
                for frame in source.decode(video=0):
                    if number == 0:
                        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    frame.pts, frame.time_base, number = number, Fraction(1, RATE), number + 1
                    target.mux(stream.encode(frame))
        target.mux(stream.encode())


def make_library(clips: list[Path], folder: Path) -> None:
    """Make films, subtitles of three of them, and a coarser copy of one, without its start and end."""
    for film in range(min(FILMS, len(clips) // CLIPS_A_FILM)):
        some = clips[film * CLIPS_A_FILM : (film + 1) * CLIPS_A_FILM]
        join(some, folder / ("spring" if film % 2 else "autumn") / f"film {film + 1}.mp4")
        if film == 0:
            join(some[2:-1], folder / "copies" / "film 1 again.mkv", crf=38)
    for film, (lang, lines) in enumerate(LINES.items(), 1):
        place = folder / ("autumn" if film % 2 else "spring") / f"film {film}.{lang}.srt"
        rows = (
            f"{i + 1}\n00:00:{5 + 8 * i:02},000 --> 00:00:{8 + 8 * i:02},000\n{line}\n" for i, line in enumerate(lines)
        )
        place.write_text("\n".join(rows), encoding="utf-8")


def told(*words: str | Path) -> str:
    """Run a verb, and return the command with what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = polyreel([str(word) for word in words])
    shown = " ".join(
        f'"{word}"' if " " in str(word) else Path(word).name if "/" in str(word) else str(word) for word in words
    )
    return f"$ polyreel {shown}\n{printed.getvalue()}" + (f"(status {status})\n" if status else "")


@contextmanager
def served(index: Path) -> Iterator[str]:
    """Serve an index until the block ends."""
    app = create_app([Library(name="films", index=Index.open(index))], Access())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def take_pictures(address: str, folder: Path) -> None:
    """Use the page as a person would, and keep what it looks like."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        views = {
            "search-moments": {"viewport": {"width": 1280, "height": 800}, "locale": "de-DE"},
            "search-said": {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN", "color_scheme": "dark"},
            "search-inside": {"viewport": {"width": 1100, "height": 900}, "locale": "en-US"},
            "search-phone": {"viewport": {"width": 390, "height": 844}, "locale": "ar", "color_scheme": "dark"},
        }
        for name, how in views.items():
            page = browser.new_context(**how).new_page()
            page.set_default_timeout(300_000)
            page.goto(address)
            page.fill("#query", SAID if name == "search-said" else QUERY)
            page.keyboard.press("Enter")
            page.wait_for_selector(".card")
            if name != "search-inside":
                page.click("#filter")
            else:
                page.locator(".card").first.click()
                page.wait_for_selector("#curve path", state="attached")
            page.wait_for_timeout(4000)
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


def main() -> None:
    """Go all the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--as-they-are", action="store_true", help="index the videos themselves; no films are made")
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs" / "images")
    asked = parser.parse_args()
    library, index = (asked.videos if asked.as_they_are else asked.output / "films"), asked.output / "index"
    if not asked.as_they_are and not library.exists():
        make_library(sorted(asked.videos.glob("*.mp4")), library)
    lines = [told("index", library, "--model", asked.model, "-o", index, "--quiet")]
    lines.append(told("search", index, QUERY, "-k", "3"))
    lines.append(told("search", index, SAID, "-k", "2"))
    video = next(iter(sorted(Index.open(index).file_stamps())))
    lines.append(told("search", index, QUERY, "--in", video))
    lines.append(told("cut", index, QUERY, "-k", "3", "-o", asked.output / "kreise.edl"))
    lines.append((asked.output / "kreise.edl").read_text("utf-8"))
    lines.append(told("duplicates", index))
    lines.append(told("index", library, "-o", index, "--quiet"))
    text = "\n".join(lines).replace(str(library.resolve()) + "/", "")
    print(text)
    if not asked.as_they_are:
        (ROOT / "results" / "search_journey.txt").write_text(text, encoding="utf-8")
    with served(index) as address:
        take_pictures(address, asked.pictures)


if __name__ == "__main__":
    main()
