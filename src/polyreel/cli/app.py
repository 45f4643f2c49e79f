"""The table of verbs: which word runs which function. A new verb is one line here."""

from typing import Annotated

from typer import Exit, Option, Typer

from polyreel import __version__
from polyreel.cli import (
    adding,
    browsing,
    cutting,
    data,
    doctor,
    evaluation,
    features,
    indexing,
    official,
    published,
    publishing,
    quality,
    search,
    serving,
    sharing,
    tables,
    training,
    translation,
)

app = Typer(
    name="polyreel",
    rich_markup_mode=None,  # rich would double the time that --help takes
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
importers = Typer(rich_markup_mode=None, help="Bring data of any origin into a dataset folder.")

stores = Typer(rich_markup_mode=None, help="Look after feature stores.")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"polyreel {__version__}")
        raise Exit


@app.callback()
def polyreel(
    version: Annotated[bool, Option("--version", help="Print the version.", callback=_print_version)] = False,
    debug: Annotated[bool, Option("--debug", help="Show where an error came from; may stand anywhere.")] = False,
) -> None:
    """Search any video library in any language, and train the model that does it.

    Example: polyreel world demo/world, then polyreel describe demo/world
    """


app.command("world")(data.world)
app.add_typer(importers, name="import")
importers.command("tables")(data.import_tables)
importers.command("msrvtt")(published.msrvtt)
importers.command("vatex")(published.vatex)
importers.command("youcook2")(published.youcook2)
importers.command("reference")(official.import_reference)
importers.command("checkpoint")(official.import_checkpoint)
importers.command("hub")(sharing.import_hub)
app.command("fetch")(published.fetch)
app.command("describe")(data.describe)
app.command("extract")(features.extract)
app.add_typer(stores, name="features")
stores.command("describe")(features.describe)
stores.command("merge")(features.merge)
stores.command("verify")(features.verify)
app.command("subtitles")(data.subtitles)
app.command("check")(sharing.check)
app.command("share")(sharing.share)
app.command("translate")(translation.translate)
app.command("judge")(quality.judge)
app.command("convert")(translation.convert)
app.command("train")(training.train)
app.command("add-language")(adding.add_language)
app.command("profile")(training.profile)
app.command("bank")(training.bank)
app.command("evaluate")(evaluation.evaluate)
app.command("compare")(evaluation.compare)
app.command("browse")(browsing.browse)
app.command("table")(tables.table)
app.command("query-bank")(evaluation.query_bank)
app.command("trec")(evaluation.trec)
app.command("experiment")(training.experiment)
app.command("reproduce")(training.reproduce)
app.command("export")(publishing.export)
app.command("publish")(publishing.publish)
app.command("index")(indexing.index)
app.command("search")(search.search)
app.command("cut")(cutting.cut)
app.command("duplicates")(cutting.duplicates)
app.command("serve")(serving.serve)
app.command("doctor")(doctor.doctor)
