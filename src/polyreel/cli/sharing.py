"""Verbs that give data to others and take it from them: check, share, import hub."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option

from polyreel.cli.options import AsJson, DatasetFolder, Quiet, Replace, print_json
from polyreel.cli.progress import shown
from polyreel.cli.published import report


def check(dataset: DatasetFolder, as_json: AsJson = False) -> None:
    """Look for everything that is wrong in a dataset folder; exit with 1 if anything is.

    Example: polyreel check data/mine
    """
    from polyreel import check as check_folder

    if not dataset.is_dir():
        raise BadParameter(f"{dataset} is no folder", param_hint="DATASET")
    problems = check_folder(dataset)
    if as_json:
        print_json([{"place": problem.place, "fault": problem.fault} for problem in problems])
    else:
        print("\n".join([*map(str, problems), f"{dataset}: {len(problems) or 'no'} problems"]))
    if problems:
        raise Exit(1)


def share(
    dataset: DatasetFolder,
    output: Annotated[Path, Option("--output", "-o", metavar="PLACE", help="What to write.", show_default=False)],
    form: Annotated[
        Literal["hub", "webdataset", "csv"],
        Option("--as", help="hub: Parquet and a card; webdataset: tar shards of features; csv: a spreadsheet."),
    ] = "hub",
    license_name: Annotated[
        str, Option("--license", metavar="NAME", help="Of the captions, as the hub calls it, like cc-by-4.0.")
    ] = "unknown",
    push: Annotated[str | None, Option("--push", metavar="OWNER/NAME", help="Upload it to the hub as well.")] = None,
    extractor: Annotated[
        str | None,
        Option("--features", metavar="NAME", help="webdataset: of which extractor; the only one unless said."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a dataset for others: for the Hugging Face hub, for WebDataset, or as a spreadsheet.

    Example: polyreel share data/mine --as csv -o captions.csv
    """
    from polyreel import Dataset
    from polyreel.data.sharing.hub import push_hub_folder, write_hub_folder
    from polyreel.data.sharing.shards import write_shards
    from polyreel.data.sharing.spreadsheet import write_csv

    if push is not None and form != "hub":
        raise BadParameter(f"only what is written --as hub goes there, not --as {form}", param_hint="--push")
    opened = Dataset.open(dataset)
    if form == "csv":
        print(f"{write_csv(opened, output)}: {opened.captions.num_rows} captions")
    elif form == "webdataset":
        with shown(quiet) as progress:
            shards = write_shards(opened, _only(opened.extractors, extractor), output, progress=progress)
        print(f"{output}: {len(shards)} shards")
    else:
        folder = write_hub_folder(opened, output, license_name=license_name)
        print(push_hub_folder(folder, push) if push else f'{folder}: load_dataset("{folder}", "captions") reads it')


def import_hub(
    source: Annotated[str, Argument(metavar="SOURCE", help="OWNER/NAME on the hub, or a folder.", show_default=False)],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Dataset to write.", show_default=False)],
    replace: Replace = False,
) -> None:
    """Import what `polyreel share --as hub` wrote, from the hub or from a folder.

    Example: polyreel import hub someone/their-captions -o data/theirs
    """
    from polyreel import import_hub

    report(output, import_hub(source, output, replace=replace))


def _only(extractors: tuple[str, ...], asked: str | None) -> str:
    if asked is not None or len(extractors) == 1:
        return asked or extractors[0]
    raise BadParameter(f"say which features: there are {', '.join(extractors) or 'none'}", param_hint="--features")
