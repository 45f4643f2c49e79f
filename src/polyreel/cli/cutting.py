"""Verbs about moments and whole videos of an index: cut, duplicates; and the curve that search --in prints."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from polyreel.cli.options import AsJson, Quiet, Threads, print_json, use_threads
from polyreel.cli.progress import clock_time, shown

if TYPE_CHECKING:
    from polyreel import Index
    from polyreel.search.curve import Curve
    from polyreel.search.duplicates import DuplicatePair

BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 80

InVideo = Annotated[
    str | None,
    Option("--in", metavar="VIDEO", help="Look inside one video: a path, or one in the library.", show_default=False),
]


def cut(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    text: Annotated[str, Argument(metavar="TEXT", help="What to look for, in any language.", show_default=False)],
    output: Annotated[
        Path,
        Option("--output", "-o", metavar="PLACE", help="A folder for clips, or a list: .csv .edl .otio"),
    ],
    k: Annotated[int, Option("-k", metavar="N", min=1, help="Number of moments.")] = 10,
    inside: InVideo = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Take the moments that a sentence describes out of the library: as files, or as a list for an editing program.

    Files are copied without decoding, so each begins at the key frame at or before its moment. EDL and OpenTimelineIO
    files open in editing programs, CSV in spreadsheets; they name the original files, which stay as they are.

    Example: polyreel cut library "ein roter Kreis" -k 20 -o kreise.otio
    """
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.curve import score_curve
    from polyreel.search.cuts import copy_moments, write_cut_list
    from polyreel.search.moments import find_moments

    index = Index.open(folder)
    query_D = index.embed(text)
    if inside is None:
        moments = find_moments(index, query_D, k)
    else:
        moments = score_curve(index, query_D, video_in(index, inside)).moments(k)
    if output.suffix:
        write_cut_list(output, moments, text)
    else:
        with shown(quiet) as progress:
            copy_moments(moments, output, progress=progress)
    print(f"{output}: {len(moments)} moments")


def duplicates(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    threshold: Annotated[
        float, Option("--threshold", metavar="X", help="Least agreement along the time shared, 0 to 1.")
    ] = 0.8,
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """List videos that show the same: encoded again, trimmed, or with something put in front. Deletes nothing.

    Example: polyreel duplicates library
    """
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.duplicates import find_duplicates, group_duplicates

    pairs = find_duplicates(list(Index.open(folder).sequences()), threshold=threshold)
    if as_json:
        print_json([asdict(pair) for pair in pairs])
        return
    groups = group_duplicates(pairs)
    for group in groups:
        print(*group, sep="\n")
        for pair in pairs:
            if pair.video in group:
                print(f"    {_how_alike(pair)}")
        print()
    several = "" if len(groups) == 1 else "s"
    print(f"look alike: {sum(map(len, groups))} videos in {len(groups)} group{several}; nothing was changed")


def video_in(index: "Index", words: str) -> str:
    """Return a video's path in the library: given as that, or as a path of the file system."""
    folder, path = index.library_folder.resolve(), Path(words).resolve()
    is_in_library = not Path(words).is_absolute() and (folder / words).exists()
    return words if is_in_library or not path.is_relative_to(folder) else path.relative_to(folder).as_posix()


def print_curve(curve: "Curve", k: int, as_json: bool) -> None:
    """Print how well a video answers over its time, and its best moments."""
    moments = curve.moments(k)
    if as_json:
        rows = [{**asdict(hit), "video": str(hit.video)} for hit in curve.hits]
        spans = [
            {"start_seconds": one.start_seconds, "end_seconds": one.end_seconds, "score": one.score} for one in moments
        ]
        print_json({"video": str(curve.video), "background": curve.background, "curve": rows, "moments": spans})
        return
    print(f"{curve.video}  0:00 {bars([hit.score for hit in curve.hits])} {clock_time(curve.hits[-1].end_seconds)}")
    for place, one in enumerate(moments, 1):
        print(f"{place:2}  {one.score:6.3f}  {clock_time(one.start_seconds)} – {clock_time(one.end_seconds)}")
    if not moments:
        print("no moment answers better than an average clip of the library")


def bars(scores: list[float]) -> str:
    """Draw numbers as bars between their lowest and highest; of many, the highest of each stretch."""
    width = min(len(scores), _MOST_BARS)
    edges = [round(place * len(scores) / width) for place in range(width + 1)]
    tops = [max(scores[start:end]) for start, end in pairwise(edges)]
    low, high = min(tops), max(tops)
    return "".join(BARS[round((top - low) / max(high - low, 1e-9) * (len(BARS) - 1))] for top in tops)


def _how_alike(pair: "DuplicatePair") -> str:
    offset = pair.offset_seconds
    where = "side by side" if offset == 0 else f"the second {abs(offset):g} s {'later' if offset > 0 else 'earlier'}"
    together = f"{clock_time(pair.shared_seconds)} together ({pair.share:.0%} of the shorter)"
    return f"{pair.similarity:.2f}  {pair.video} and {pair.other}: {together}, {where}"
