"""Verbs that search: index, search."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.options import AsJson, Device, Quiet, Threads, print_json, use_threads
from polyreel.cli.progress import clock_time, shown


def index(
    videos: Annotated[Path, Argument(metavar="VIDEOS", help="A folder with videos in it.", show_default=False)],
    model: Annotated[
        str | None,
        Option(
            "--model",
            metavar="MODEL",
            help="A run, a model folder, exported or not, or a name on the hub; SigLIP 2 unless said.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="INDEX", help="Folder of the index; VIDEOS/.polyreel unless said."),
    ] = None,
    extractor: Annotated[
        str | None, Option("--extractor", metavar="NAME", help="Of frames, if the model does not say or it has moved.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Index a folder of videos, or bring its index up to date.

    New and changed files are added, files that are gone are dropped, all others are left alone. The first run says
    what it will download, and how long it will take.

    Example: polyreel index ~/videos
    """
    use_threads(threads)
    from polyreel import update_library
    from polyreel.cli.first_run import encoder_for, tell_estimate
    from polyreel.search.library import open_library

    if extractor is not None and model is None:
        raise BadParameter("say with which --model it goes", param_hint="--extractor")
    folder = output or videos / ".polyreel"
    opened = open_library(folder, videos, encoder_for(folder, videos, model, extractor, device, is_quiet=quiet))
    if not quiet and not len(opened):
        tell_estimate(videos, opened.encoder)
    with shown(quiet) as progress:
        update = update_library(opened, videos, opened.encoder, progress=progress)
    print(
        f"{folder}: {len(opened)} clips; videos indexed {update.num_indexed}, removed {update.num_removed}, "
        f"unchanged {update.num_unchanged}"
    )


def search(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    text: Annotated[str, Argument(metavar="TEXT", help="What to look for, in any language.", show_default=False)],
    k: Annotated[int, Option("-k", metavar="N", min=1, help="Number of hits.")] = 5,
    bank: Annotated[
        str | None, Option("--bank", metavar="CODE", help="Against hubs: the query's language, or all.")
    ] = None,
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """Find the clips that a sentence describes, best first.

    Beside its score, a hit is strong, fair or weak: strong ones beat what 9 of 10 everyday queries find in this index.

    Example: polyreel search library "ein roter Kreis rollt nach links" -k 5
    """
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.strength import Strengths, band_of
    from polyreel.web.guess import LanguageGuess

    index = Index.open(folder)
    hits = index.search(text, k, bank=bank)
    lang = LanguageGuess(index.encoder.model.langs).of(text)
    strengths = Strengths(index).of([hit.score for hit in hits], lang)
    found = list(zip(hits, strengths, strict=True))
    if as_json:
        print_json(
            [{**asdict(hit), "video": str(hit.video), "strength": strength, "band": band_of(strength)}
             for hit, strength in found]
        )  # fmt: skip
        return
    for place, (hit, strength) in enumerate(found, 1):
        span = f"{clock_time(hit.start_seconds)} – {clock_time(hit.end_seconds)}"
        print(f"{place:2}  {hit.score:6.3f}  {band_of(strength):6}  {span:>13}  {hit.video}")
