"""Verbs that measure: evaluate, compare, query-bank, trec."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from polyreel.cli.options import (
    AsJson,
    Device,
    Quiet,
    Split,
    Threads,
    model_folder,
    open_model,
    print_json,
    seed_of,
    split_of,
    use_threads,
)
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel import Report, Retriever
    from polyreel.evaluation.asking import Scoring
    from polyreel.models.devices import DeviceName
    from polyreel.models.onnx_retriever import OnnxRetriever

Output = Annotated[
    Path | None, Option("--output", "-o", metavar="REPORT", help="Folder to keep the rank of every query in.")
]
OutOf = Annotated[
    int | None, Option("--out-of", metavar="N", min=1, help="Clips as published; absent ones are misses in R@k.")
]
TiesOption = Annotated[
    Literal["chance", "optimistic"], Option("--ties", help="Tied candidates in random order, or the right one first.")
]
Langs = Annotated[
    list[str] | None, Option("--lang", metavar="CODE", help="Ask in this language only; may be repeated.")
]
ProtocolName = Annotated[
    str | None, Option("--protocol", metavar="NAME", help="As published, e.g. msrvtt-1k-a-9k (docs/evaluation.md).")
]
HubnessOption = Annotated[
    Literal["none", "bank", "dual"],
    Option("--hubness", help="Correct for hubs: by the model's query bank, or by dual softmax over all test queries."),
]


def evaluate(
    run: Annotated[Path, Argument(metavar="RUN", help="A run, or a model folder.", show_default=False)],
    dataset: Split,
    output: Output = None,
    langs: Langs = None,
    name: Annotated[str, Option("--name", help="What tables call it; the folder's name unless said.")] = "",
    num_clips: OutOf = None,
    ties: TiesOption = "chance",
    protocol: ProtocolName = None,
    hubness: HubnessOption = "none",
    device: Device = "cpu",
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
            protocol=protocol,
            scoring=_scoring(run, model, hubness, device),
            progress=progress,
        )
    _show(report, as_json)
    if output is not None:  # last, so that what was measured is seen even if it cannot be kept there
        report.save(output)


def _show(report: "Report", as_json: bool) -> None:
    from polyreel.evaluation.language_tables import tables_of

    if as_json:
        print_json(report.to_json())
    else:
        print("\n\n".join(table.text() for table in tables_of(report)))


def _scoring(
    run: Path,
    model: "Retriever | OnnxRetriever",
    hubness: Literal["none", "bank", "dual"],
    device: "DeviceName",
) -> "Scoring":
    """Put the model where it is to compute, and say how it is scored."""
    from polyreel.evaluation.asking import Scoring
    from polyreel.models.devices import open_device
    from polyreel.similarity import QueryBank

    place = open_device(device)
    model.to(place)
    bank = QueryBank.open(model_folder(run), model.fingerprint) if hubness == "bank" else None
    temperature = bank.temperature if bank else Scoring().temperature
    return Scoring(hubness=hubness, bank=bank, temperature=temperature, device=str(place))


def compare(
    folders: Annotated[list[Path], Argument(metavar="REPORT", help="Two or more reports.", show_default=False)],
    baseline: Annotated[
        str | None, Option("--baseline", metavar="NAME", help="Hold all against this one; else each against each.")
    ] = None,
    html: Annotated[Path | None, Option("--html", metavar="FILE", help="Write a page with tables and plots.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold systems against one another, query by query, with intervals.

    Reports of the same name and different seeds are one system. Any number of systems; the last table says what holds
    among all that was compared.

    Example: polyreel compare demo/reports/c2kd demo/reports/teacher --html demo/report.html
    """
    from polyreel import Report
    from polyreel import compare as hold_against
    from polyreel.evaluation.html import write_html
    from polyreel.evaluation.tables import by_system, of_differences, what_holds

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
        differences = [of_differences(comparison, pair) for pair in comparison.pairs()]
        tables = [by_system(systems), *differences, what_holds(comparison)]
        print("\n\n".join(table.text() for table in tables))


def query_bank(
    run: Annotated[Path, Argument(metavar="RUN", help="A run, or a model folder.", show_default=False)],
    dataset: Split,
    chosen_on: Annotated[
        str, Option("--chosen-on", metavar="SPLIT", help="Clips that the temperature is chosen on.")
    ] = "val",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Keep training captions beside a model, against hubs.

    Hubs are clips that are near to almost any text. `evaluate --hubness bank` and `search --bank` take off what the
    captions of the bank say is too much. The split is "train" unless said.

    Example: polyreel query-bank demo/runs/c2kd demo/world
    """
    use_threads(threads)
    from polyreel import Dataset
    from polyreel.evaluation.banks import make_query_bank

    folder, split = split_of(dataset, "train")
    opened, model = Dataset.open(folder), open_model(run)
    features = opened.features(model.features.extractor)
    with shown(quiet) as progress:
        chosen = make_query_bank(model, opened, features=features, split=split, chosen_on=chosen_on, progress=progress)
    chosen.bank.save(model_folder(run))
    for temperature, recall in chosen.recall.items():
        print(f"temperature {temperature:g}: R@10 {recall:.1f} on {chosen_on!r}")
    sizes = ", ".join(f"{len(rows)} {lang}" for lang, rows in chosen.bank.by_lang.items())
    print(
        f"{model_folder(run)}: bank of {sizes} captions, temperature {chosen.bank.temperature:g}; without it "
        f"{chosen.recall_without:.1f}"
    )


def trec(
    folder: Annotated[Path, Argument(metavar="REPORT", help="A report.", show_default=False)],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Folder for the files.", show_default=False)],
) -> None:
    """Write a report as run and qrels files, which trec_eval, ir-measures and others read.

    A pair of files a language and direction, a run a seed.

    Example: polyreel trec demo/reports/c2kd -o demo/trec
    """
    from polyreel import Report
    from polyreel.evaluation.trec import write_trec

    print("\n".join(str(path) for path in write_trec(Report.open(folder), output)))
