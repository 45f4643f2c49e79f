"""The verb that shows why: browse, a report's page with every query and its answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.options import Quiet, Split, Threads, seed_of, split_of, use_threads
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel import Dataset, Report
    from polyreel.evaluation.examination import Examinee


def browse(
    runs: Annotated[
        list[str],
        Argument(metavar="[NAME=]RUN...", help="Runs or models; the first is held against.", show_default=False),
    ],
    dataset: Split,
    output: Annotated[
        Path, Option("--output", "-o", metavar="FILE", help="The page to write; one file, at most 20 MB.")
    ] = Path("report.html"),
    teacher: Annotated[
        Path | None,
        Option("--teacher", metavar="RUN", help="Asked the English sentence; the first run's own unless said."),
    ] = None,
    langs: Annotated[
        list[str] | None, Option("--lang", metavar="CODE", help="Ask in this language only; may be repeated.")
    ] = None,
    without_material: Annotated[
        bool, Option("--without-material", help="Leave captions and pictures out, for data that may not be passed on.")
    ] = False,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Write a report with an error browser: every query, what each system answers, where they disagree.

    The split is "test" unless said.

    Example: polyreel browse c2kd=demo/runs/c2kd-* demo/world:test -o why.html
    """
    use_threads(threads)
    from polyreel import Dataset
    from polyreel.cli.pictures import has_videos, thumbnails
    from polyreel.evaluation.browser import Browser
    from polyreel.evaluation.examination import examine
    from polyreel.evaluation.html import write_html

    folder, split = split_of(dataset, "test")
    opened, paths = Dataset.open(folder), _named(runs)
    examinees = _examinees(paths, teacher, opened)
    with shown(quiet) as progress:
        reports = _reports(paths, examinees, opened, split, langs)
        found = examine(examinees, opened, split=split, langs=langs, progress=progress)
        shown_clips = [] if without_material else opened.split(split).clip_ids
        pictures = thumbnails(opened, shown_clips, progress) if has_videos(opened) else {}
    browser = Browser(examination=found, pictures=pictures, has_words=not without_material)
    write_html(output, reports, title=" and ".join(paths), runs=_with_curves(paths), browser=browser)
    print(f"{output}: {found.queries.num_rows:,} queries, {len(pictures):,} pictures, {_megabytes(output)}")


def _reports(
    paths: dict[str, Path], examinees: "list[Examinee]", dataset: "Dataset", split: str, langs: list[str] | None
) -> "list[Report]":
    """Measure the runs named; a teacher that reads English for another language has no figure of its own."""
    from polyreel import evaluate as measure

    return [
        measure(
            one.model, dataset, features=one.features, split=split, langs=langs, name=one.name,
            seed=seed_of(paths[one.name]),
        )
        for one in examinees
        if one.name in paths
    ]  # fmt: skip


def _with_curves(paths: dict[str, Path]) -> dict[str, Path] | None:
    """Return the runs that wrote how training went; None where there is none."""
    return {name: run for name, run in paths.items() if (run / "metrics.jsonl").is_file()} or None


def _named(runs: list[str]) -> dict[str, Path]:
    """Read [NAME=]RUN; without a name a run is called by its folder."""
    paths: dict[str, Path] = {}
    for words in runs:
        name, equals, path = words.partition("=")
        run = Path(path) if equals and not Path(words).exists() else Path(words)
        name = name if run == Path(path) and equals else run.name
        if name in paths:
            raise BadParameter(f"two runs are called {name!r}; name them apart, as in a={run}", param_hint="RUN")
        paths[name] = run
    return paths


def _examinees(paths: dict[str, Path], teacher: Path | None, dataset: "Dataset") -> "list[Examinee]":
    """Open the first run, its teacher, and the other runs."""
    from polyreel.cli.pictures import examinee, teacher_of
    from polyreel.data.dataset import PIVOT_LANG

    asked = [examinee(name, run, dataset) for name, run in paths.items()]
    first, run = next(iter(paths.items()))
    own = teacher_of(first, run, dataset)
    if teacher is not None:
        own = examinee(f"{first}'s teacher", teacher, dataset, reads=PIVOT_LANG)
    return [asked[0], *([own] if own else []), *asked[1:]]


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"
