"""Verbs that bring data in: world, import tables, describe, subtitles."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from polyreel.cli.options import AsJson, DatasetFolder, Quiet, Replace, print_json
from polyreel.cli.progress import shown
from polyreel.cli.published import report


def world(
    folder: Annotated[Path, Argument(metavar="DIR", help="Folder to write the dataset to.", show_default=False)],
    clips: Annotated[int, Option("--clips", metavar="N", min=1, help="Number of clips.")] = 300,
    seed: Annotated[int, Option("--seed", metavar="N", min=0, help="The same seed draws the same world.")] = 0,
    captions: Annotated[int, Option("--captions", metavar="N", min=1, max=12, help="Sentences about each clip.")] = 4,
    translations: Annotated[
        int | None,
        Option("--translations", metavar="N", min=0, help="In other languages, keep only N for a training clip."),
    ] = None,
    noise: Annotated[
        float,
        Option("--noise", metavar="SHARE", min=0, max=1, help="Share of the kept ones that name something wrong."),
    ] = 0.0,
    quiet: Quiet = False,
) -> None:
    """Draw a small world of real mp4 clips with captions in nine languages, as a dataset.

    A demo, a fixture and a controlled experiment: nothing about real video follows from it.

    Example: polyreel world demo/world --clips 300 --seed 0
    """
    from polyreel import make_world
    from polyreel.world import WORLD_LANGS

    others = [lang for lang in WORLD_LANGS if lang != "en"]
    with shown(quiet) as progress:
        dataset = make_world(
            folder,
            num_clips=clips,
            seed=seed,
            captions_per_clip=captions,
            captions_per_lang=None if translations is None else dict.fromkeys(others, translations),
            noise=noise,
            progress=progress,
        )
    print(f"{folder}: {dataset.clips.num_rows} clips, {dataset.captions.num_rows} captions")


def import_tables(
    source: Annotated[Path, Argument(metavar="SOURCE", help="Folder with the files.", show_default=False)],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Dataset to write.", show_default=False)],
    layout: Annotated[
        str | None,
        Option("--layout", metavar="FILE", help="A TOML file or a shipped layout; SOURCE/import.toml unless said."),
    ] = None,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Import your own tables: CSV, TSV, JSON lines or Parquet, with or without features.

    A small import.toml says which file and column holds what (docs/quickstart.md shows one).

    Example: polyreel import tables downloads/mydata -o data/mydata --layout mydata.toml
    """
    from polyreel import import_tables

    with shown(quiet) as progress:
        dataset = import_tables(source, output, layout=layout, replace=replace, progress=progress)
    report(output, dataset)


def describe(dataset: DatasetFolder, as_json: AsJson = False) -> None:
    """Show what a dataset holds: clips, captions by language and origin, features, splits.

    Example: polyreel describe demo/world
    """
    from polyreel import Dataset
    from polyreel import describe as describe_dataset

    description = describe_dataset(Dataset.open(dataset))
    if as_json:
        print_json(description.to_json())
    else:
        print("\n".join(description.lines()))


def subtitles(
    videos: Annotated[
        Path, Argument(metavar="VIDEOS", help="A dataset, or any folder with videos in it.", show_default=False)
    ],
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Parquet file; by default inside the dataset.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Collect the subtitles beside and inside videos in one table, to be searched and not trained on.

    Example: polyreel subtitles films -o films/speech.parquet
    """
    from polyreel import Dataset
    from polyreel.video.subtitles import collect_speech

    source = Dataset.open(videos) if (videos / "dataset.json").is_file() else videos
    with shown(quiet) as progress:
        found = collect_speech(source, output, progress=progress)
    for reason in found.skipped:
        print(reason)
    num_videos = len({row.video for row in found.speech})
    print(f"{len(found.speech)} lines in {num_videos} videos; {len(found.skipped)} sources were passed over")
