"""Verbs that measure: evaluate, compare."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from polyreel.cli.options import AsJson, Quiet, Split, Threads, open_model, print_json, seed_of, split_of, use_threads
from polyreel.cli.progress import shown

Output = Annotated[
    Path | None, Option("--output", "-o", metavar="REPORT", help="Folder to keep the rank of every query in.")
]
OutOf = Annotated[
    int | None, Option("--out-of", metavar="N", min=1, help="Clips as published; absent ones are misses in R@k.")
]
TiesOption = Annotated[
    Literal["chance", "optimistic"], Option("--ties", help="Tied candidates in random order, or the right one first.")
]


def evaluate(
    run: Annotated[Path, Argument(metavar="RUN", help="A run, or a model folder.", show_default=False)],
    dataset: Split,
    output: Output = None,
    langs: Annotated[
        list[str] | None, Option("--lang", metavar="CODE", help="Ask in this language only; may be repeated.")
    ] = None,
    name: Annotated[str, Option("--name", help="What tables call it; the folder's name unless said.")] = "",
    num_clips: OutOf = None,
    ties: TiesOption = "chance",
    threads: Threads = 1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model in every language and both directions.

    The split is "test" unless said.

    Example: polyreel evaluate demo/runs/c2kd demo/world:test -o demo/reports/c2kd
    """
    use_threads(threads)
    from polyreel import Dataset
    from polyreel import evaluate as measure
    from polyreel.evaluation.tables import one_system

    folder, split = split_of(dataset, "test")
    opened, model = Dataset.open(folder), open_model(run)
    with shown(quiet) as progress:
        report = measure(
            model,
            opened,
            features=opened.features(model.features.extractor),
            split=split,
            langs=langs,
            name=name or run.name,
            seed=seed_of(run),
            num_clips=num_clips,
            ties=ties,
            progress=progress,
        )
    if as_json:
        print_json(report.to_json())
    else:
        print(one_system(report, "t2v").text(), one_system(report, "v2t").text(), sep="\n\n")
    if output is not None:  # last, so that what was measured is seen even if it cannot be kept there
        report.save(output)


def compare(
    folders: Annotated[list[Path], Argument(metavar="REPORT", help="Two or more reports.", show_default=False)],
    baseline: Annotated[
        str | None, Option("--baseline", metavar="NAME", help="Hold all against this one; else each against each.")
    ] = None,
    html: Annotated[Path | None, Option("--html", metavar="FILE", help="Write a page with tables and plots.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold systems against one another, query by query, with intervals.

    Reports of the same name and different seeds are one system.

    Example: polyreel compare demo/reports/c2kd demo/reports/teacher --html demo/report.html
    """
    from polyreel import Report
    from polyreel import compare as hold_against
    from polyreel.evaluation.html import write_html
    from polyreel.evaluation.tables import by_system, of_differences

    by_name: dict[str, list[Report]] = {}
    for report in map(Report.open, folders):
        by_name.setdefault(report.name, []).append(report)
    systems = [Report.merged(seeds) for seeds in by_name.values()]
    comparison = hold_against(systems, baseline=baseline)
    if html is not None:
        write_html(html, systems, title=" and ".join(by_name), baseline=baseline)
    if as_json:
        print_json(comparison.to_json())
    else:
        tables = [by_system(systems), *(of_differences(comparison, pair) for pair in comparison.pairs())]
        print("\n\n".join(table.text() for table in tables))
