"""Verbs that search: index, search."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Option, confirm

from polyreel.cli.cutting import InVideo, print_curve, video_in
from polyreel.cli.options import AsJson, Device, Quiet, Threads, print_json, use_threads
from polyreel.cli.progress import clock_time, shown

if TYPE_CHECKING:
    from polyreel import Index
    from polyreel.search.hybrid import Answer
    from polyreel.search.library import LibraryUpdate
    from polyreel.storage import Json


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
    watch: Annotated[bool, Option("--watch", help="Stay, and follow the folder until Ctrl-C.")] = False,
    prune: Annotated[bool, Option("--prune", help="Drop videos whose whole folder is gone, too.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Index a folder of videos, or bring its index up to date.

    New and changed files are added, deleted ones dropped, moved ones follow, all others are left alone. Subtitles
    beside and inside videos are read too. With another --model a second index is built, and takes the old one's place
    when it is complete. The first run says what it will download, and how long it will take.

    Example: polyreel index ~/videos
    """
    use_threads(threads)
    from polyreel import update_library
    from polyreel.cli.first_run import encoder_for, tell_estimate
    from polyreel.search.header import is_index
    from polyreel.search.library import open_library
    from polyreel.search.migration import migrate

    if extractor is not None and model is None:
        raise BadParameter("say with which --model it goes", param_hint="--extractor")
    folder = output or videos / ".polyreel"
    if is_index(folder):
        migrate(folder)
    opened = open_library(folder, videos, encoder_for(folder, videos, model, extractor, device, is_quiet=quiet))
    if not quiet and not len(opened):
        tell_estimate(videos, opened.encoder)
    with shown(quiet) as progress:
        update = update_library(opened, videos, opened.encoder, prune=prune, progress=progress)
    if update.missing and _wants_to_drop(update):
        update = update_library(opened, videos, opened.encoder, prune=True)
    print(f"{folder}: {len(opened)} clips; {_what_changed(update)}", flush=True)
    if watch:
        from polyreel.search.watching import watch_library

        print(f"following {videos}  (Ctrl-C stops)", flush=True)
        watch_library(opened, videos, opened.encoder, report=lambda one: _tell_update(opened, one))


def _wants_to_drop(update: "LibraryUpdate") -> bool:
    """Say what is missing, and ask whoever sits there; nobody's answer is no."""
    some = ", ".join(update.missing[:3]) + (" …" if len(update.missing) > 3 else "")
    print(f"{len(update.missing)} videos are not there, and neither is their folder: {some}", file=sys.stderr)
    if sys.stdin.isatty() and confirm("A disk may be away. Drop them from the index?", default=False, err=True):
        return True
    print("they stay in the index; --prune drops them", file=sys.stderr)
    return False


def _tell_update(index: "Index", update: "LibraryUpdate") -> None:
    print(f"{len(index)} clips; {_what_changed(update)}", flush=True)
    for video, reason in update.failures.items():
        print(f"{video}: {reason}", file=sys.stderr, flush=True)


def _what_changed(update: "LibraryUpdate") -> str:
    moved = f"moved or touched {update.num_reused}, " if update.num_reused else ""
    return f"videos indexed {update.num_indexed}, {moved}removed {update.num_removed}, unchanged {update.num_unchanged}"


def search(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    text: Annotated[str, Argument(metavar="TEXT", help="What to look for, in any language.", show_default=False)],
    k: Annotated[int, Option("-k", metavar="N", min=1, help="Number of hits.")] = 5,
    bank: Annotated[
        str | None, Option("--bank", metavar="CODE", help="Against hubs: the query's language, or all.")
    ] = None,
    by: Annotated[
        Literal["both", "seen", "said"], Option("--by", help="Ask what is seen, what is said in subtitles, or both.")
    ] = "both",
    inside: InVideo = None,
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """Find the clips that a sentence describes, or in which it is said, best first.

    With --in: where in one video, as a curve over its time.

    Beside its score, a hit is strong, fair or weak: strong ones beat what 9 of 10 everyday queries find in this index.

    Example: polyreel search library "ein roter Kreis rollt nach links" -k 5
    """
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.hybrid import alone, find_said, fuse
    from polyreel.search.strength import Strengths, band_of
    from polyreel.web.guess import LanguageGuess

    index = Index.open(folder)
    if inside is not None:
        from polyreel.search.curve import score_curve

        print_curve(score_curve(index, index.embed(text), video_in(index, inside)), k, as_json)
        return
    query_D, lang = index.embed(text), LanguageGuess(index.encoder.model.langs).of(text)
    seen = [] if by == "said" else [alone(hit) for hit in index.search(query_D, k, bank=bank)]
    said = [] if by == "seen" else find_said(index, text, query_D, k)
    answers = fuse(seen, said)[:k]
    strengths = Strengths(index).of([answer.moment.score for answer in answers], lang)
    found = list(zip(answers, strengths, strict=True))
    if as_json:
        print_json([_as_json(answer, strength) for answer, strength in found])
        return
    for place, (answer, strength) in enumerate(found, 1):
        hit, moment = answer.moment.peak, answer.moment
        span = f"{clock_time(moment.start_seconds)} – {clock_time(moment.end_seconds)}"
        print(f"{place:2}  {hit.score:6.3f}  {band_of(strength):6}  {span:>13}  {hit.video}")
        for line in answer.lines:
            print(f"{'':20}{'seen and said' if answer.seen_place else 'said':>13}  “{line.text}”")


def _as_json(answer: "Answer", strength: float) -> dict[str, "Json"]:
    from polyreel.search.strength import band_of

    moment, hit = answer.moment, answer.moment.peak
    matched = [name for name, place in (("seen", answer.seen_place), ("said", answer.said_place)) if place]
    return {
        "clip_id": hit.clip_id,
        "video": str(hit.video),
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "score": hit.score,
        "strength": strength,
        "band": band_of(strength),
        "matched": matched,
        "said": [line.text for line in answer.lines],
    }
