"""The verb that lays results out: table."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option


def table(
    results: Annotated[list[Path], Argument(metavar="RESULT...", help="JSON, as in results/.", show_default=False)],
    form: Annotated[Literal["md", "latex", "html", "text"], Option("--format", help="What to write.")] = "text",
    metric: Annotated[
        Literal["R@1", "R@5", "R@10", "MedR", "MnR"],
        Option("--metric", metavar="METRIC", help="R@1, R@5, R@10, MedR or MnR."),
    ] = "R@10",
    direction: Annotated[Literal["t2v", "v2t"], Option("--direction", help="Text to video, or video to text.")] = "t2v",
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
    ] = None,
) -> None:
    """Lay results out as tables, each with the fingerprints of data, recipes and code.

    Example: polyreel table results/*.json --format latex
    """
    from polyreel.evaluation.registry import result_page
    from polyreel.storage import write_text

    page = result_page(results, form, metric, direction)
    if output is None:
        print(page, end="")
    else:
        write_text(output, page)
