"""add-language: further languages for a trained student, from sentence pairs alone."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from polyreel.cli.options import AsJson, Quiet, Threads, print_json, use_threads
from polyreel.cli.progress import shown


def add_language(
    run: Annotated[Path, Argument(metavar="RUN", help="A finished run.", show_default=False)],
    pairs: Annotated[
        list[str],
        Option("--pairs", metavar="FILE", help="Pairs: .tsv, .tmx, parallel file, hf:NAME; may be repeated."),
    ],
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="NEW", help="The new run; RUN-de for German unless said."),
    ] = None,
    steps: Annotated[int, Option("--steps", metavar="N", min=1, help="Steps to learn.")] = 400,
    doubt: Annotated[
        float, Option("--doubt", metavar="X", min=0, help="How far doubtful pairs count less; 0: all alike.")
    ] = 0.0,
    threads: Threads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Teach a trained student a language from sentence pairs, without any video.

    Each file says its languages: en-de.tsv, corpus.en beside corpus.de, a .tmx memory. The text tower alone learns, so
    every index of clips stays valid. Of the states looked at, only one is kept in which no language the student had has
    lost more than a point of R@10 on the run's validation queries. The same command goes on after a stop.

    Example: polyreel add-language demo/runs/c2kd --pairs en-sw.tsv -o demo/runs/c2kd-sw
    """
    use_threads(threads)
    from polyreel.data.pairs import gather_pairs
    from polyreel.training.add_language import add_language as add
    from polyreel.training.adding import AddingSettings

    place = output or run.with_name("-".join([run.name, *gather_pairs(pairs)]))
    with shown(quiet or as_json) as progress:
        added = add(run, pairs, place, settings=AddingSettings(steps=steps, doubt=doubt), progress=progress)
    if as_json:
        print_json(added.to_json())
    else:
        print(f"{added.text()}\n{added.run}: finished; its index of clips is the one there was")
