"""The verb that makes an index and keeps it up to date: index."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option, confirm

from polyreel.cli.options import Device, Quiet, Threads, use_threads
from polyreel.cli.progress import shown
from polyreel.errors import ItemsFailedError

if TYPE_CHECKING:
    from polyreel import Index
    from polyreel.search.library import LibraryUpdate


Model = Annotated[
    str | None,
    Option(
        "--model",
        metavar="MODEL",
        help="A run, a model folder, exported or not, or a name on the hub; SigLIP 2 unless said.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None, Option("--output", "-o", metavar="INDEX", help="Folder of the index; VIDEOS/.polyreel unless said.")
]
ExtractorName = Annotated[
    str | None, Option("--extractor", metavar="NAME", help="Of frames, if the model does not say or it has moved.")
]
Watch = Annotated[bool, Option("--watch", help="Stay, and follow the folder until Ctrl-C.")]
Prune = Annotated[bool, Option("--prune", help="Drop videos whose whole folder is gone, too.")]
StoreUrl = Annotated[
    str | None,
    Option("--store", metavar="URL", help="Of rows: qdrant://HOST:6333/NAME or s3://BUCKET/NAME.", show_default=False),
]
Verify = Annotated[bool, Option("--verify", help="Compare searches with exact ones.")]


def index(
    videos: Annotated[Path, Argument(metavar="VIDEOS", help="A folder with videos in it.", show_default=False)],
    model: Model = None,
    output: Output = None,
    extractor: ExtractorName = None,
    watch: Watch = False,
    prune: Prune = False,
    store: StoreUrl = None,
    verify: Verify = False,
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
    from polyreel.cli.first_run import encoder_for, tell_estimate
    from polyreel.search.library import open_library

    if extractor is not None and model is None:
        raise BadParameter("say with which --model it goes", param_hint="--extractor")
    folder = output or videos / ".polyreel"
    encoder = encoder_for(folder, videos, model, extractor, device, is_quiet=quiet)
    opened = open_library(folder, videos, encoder, store=store)
    if not quiet and not len(opened):
        tell_estimate(videos, opened.encoder)
    try:
        _update(opened, videos, prune, quiet)
    except ItemsFailedError as error:
        if not watch:
            raise
        print(error, file=sys.stderr)
    if opened.catch_up() and not quiet:
        print(f"{folder}: lists for fast searches derived anew")
    if verify:
        _tell_recall(opened)
    if watch:
        from polyreel.search.watching import watch_library

        print(f"following {videos}  (Ctrl-C stops)", flush=True)
        watch_library(opened, videos, opened.encoder, report=lambda one: _tell_update(opened, one))


def _update(index: "Index", videos: Path, prune: bool, quiet: bool) -> None:
    """Bring an index up to date, and say what that did."""
    from polyreel import update_library

    with shown(quiet) as progress:
        update = update_library(index, videos, index.encoder, prune=prune, progress=progress)
    if update.missing and _wants_to_drop(update):
        update = update_library(index, videos, index.encoder, prune=True)
    print(f"{index.folder}: {len(index)} clips; {_what_changed(update)}", flush=True)


def _tell_recall(index: "Index") -> None:
    from polyreel.search.verification import verify

    found = verify(index)
    print(
        f"{index.folder}: recall@10 {found.recall:.4f} against exact searches of {found.num_clips} clips "
        f"({found.num_queries} {found.asked} asked)"
    )


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
