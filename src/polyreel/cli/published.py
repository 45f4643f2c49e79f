"""Verbs that bring public data in: import msrvtt, vatex, youcook2, and fetch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.options import Quiet, Replace
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel import Dataset
    from polyreel.data.importers.published import Features

Source = Annotated[
    Path, Argument(metavar="SOURCE", help="Folder with the publisher's files, or one file.", show_default=False)
]
Output = Annotated[Path, Option("--output", "-o", metavar="DIR", help="Dataset to write.", show_default=False)]
Videos = Annotated[
    Path | None, Option("--videos", metavar="DIR", help="Folder of video files, called like clips or videos.")
]
FeatureFlags = Annotated[
    list[str] | None,
    Option("--features", metavar="NAME=FILE[:IDS]", help="Add features: an array and its ids, an .npz, a folder."),
]


def msrvtt(
    source: Source,
    output: Output,
    train_list: Annotated[
        Path | None, Option("--train-list", metavar="CSV", help="Clips to train on; others are left out.")
    ] = None,
    test_list: Annotated[
        Path | None, Option("--test-list", metavar="CSV", help="Clips to test on, and the caption asked for each.")
    ] = None,
    translation: Annotated[
        list[str] | None, Option("--translation", metavar="LANG=FILE", help="Translated captions; may be repeated.")
    ] = None,
    videos: Videos = None,
    features: FeatureFlags = None,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Import MSR-VTT from its videodatainfo files of 2016 or 2017.

    With lists such as MSRVTT_train.9k.csv and MSRVTT_JSFUSION_test.csv, retrieval's own splits (docs/datasets.md).

    Example: polyreel import msrvtt downloads/msrvtt -o data/msrvtt --translation de=msrvtt_de.json
    """
    from polyreel import import_msrvtt

    with shown(quiet) as progress:
        dataset = import_msrvtt(
            source,
            output,
            train_list=train_list,
            test_list=test_list,
            translations={lang: Path(file) for lang, file in pairs(translation, "LANG=FILE")},
            videos=videos,
            features=_features(features),
            replace=replace,
            progress=progress,
        )
    report(output, dataset)


def vatex(
    source: Source,
    output: Output,
    videos: Videos = None,
    features: FeatureFlags = None,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Import VATEX, English and Chinese, from its JSON files of version 1.0 or 1.1.

    Example: polyreel import vatex downloads/vatex -o data/vatex --features i3d=vatex_i3d
    """
    from polyreel import import_vatex

    with shown(quiet) as progress:
        dataset = import_vatex(
            source, output, videos=videos, features=_features(features), replace=replace, progress=progress
        )
    report(output, dataset)


def youcook2(
    source: Source,
    output: Output,
    videos: Videos = None,
    features: FeatureFlags = None,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Import YouCook2 from youcookii_annotations_trainval.json; validation videos become the test split.

    Example: polyreel import youcook2 downloads/youcook2 -o data/youcook2 --videos downloads/youcook2/raw_videos
    """
    from polyreel import import_youcook2

    with shown(quiet) as progress:
        dataset = import_youcook2(
            source, output, videos=videos, features=_features(features), replace=replace, progress=progress
        )
    report(output, dataset)


def fetch(
    name: Annotated[str, Argument(metavar="NAME", help="c2kd: the data and weights of its authors.")],
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="DIR", help="Where to; ~/.cache/polyreel/NAME unless said.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Download and unpack what others publish, going on where it stopped.

    Example: polyreel fetch c2kd -o downloads/c2kd
    """
    from polyreel import fetch as fetch_archives

    with shown(quiet) as progress:
        folder = fetch_archives(name, output, progress=progress)
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir() if path.is_dir()))}")


def _features(flags: Sequence[str] | None) -> "Features":
    from polyreel.data.importers.layout import FeatureLayout

    layouts = {}
    for name, files in pairs(flags, "NAME=FILE[:IDS]"):
        file, colon, ids = files.partition(":")
        layouts[name] = FeatureLayout(file=file, ids=ids if colon else None)
    return layouts


def pairs(flags: Sequence[str] | None, form: str) -> list[tuple[str, str]]:
    """Read flags NAME=VALUE, each name once."""
    found: dict[str, str] = {}
    for flag in flags or ():
        name, equals, value = flag.partition("=")
        if not (name and equals and value):
            raise BadParameter(f"{flag!r} is not of the form {form}")
        if name in found:
            raise BadParameter(f"{name!r} is said twice: {found[name]}, {value}; say it once")
        found[name] = value
    return list(found.items())


def report(output: Path, dataset: "Dataset") -> None:
    """Print what was odd about imported data, and how much of it there is."""
    for warning in dataset.recorded_warnings:
        print(f"warning: {warning}")
    print(f"{output}: {dataset.clips.num_rows} clips, {dataset.captions.num_rows} captions")
