"""Verbs about features: extract, and what looks after stores."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from polyreel.cli.options import AsJson, Quiet, print_json
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel.video.plan import Plan

Store = Annotated[Path, Argument(metavar="STORE", help="Folder of a feature store.", show_default=False)]
Videos = Annotated[
    str, Argument(metavar="VIDEOS", help="A dataset, or a folder or URL with videos in it.", show_default=False)
]
Extractors = Annotated[
    list[str],
    Option(
        "--extractor",
        metavar="NAME",
        help="pixels, onnx:FILE, clip:MODEL, clip-bf16:MODEL or s3d:FILE; several share one pass over the videos.",
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    Option(
        "--output",
        "-o",
        metavar="STORE",
        help="Folder or URL of the store, with several extractors of one store each; by default in the dataset.",
    ),
]
Frames = Annotated[
    str | None,
    Option(
        "--frames",
        metavar="WHICH",
        help="every:SECONDS, uniform:NUMBER, key, key:SECONDS, or references:SECONDS (frames that others are decoded "
        "from, faster); by default one a second, and 8 to 512 a clip.",
    ),
]
Workers = Annotated[
    int | None, Option("--workers", metavar="N", min=1, help="Files decoded at a time; one a core unless said.")
]
Cluster = Annotated[
    str | None, Option("--cluster", metavar="ADDRESS", help='A Ray cluster; "auto": the one this machine is in.')
]
Float16 = Annotated[bool, Option("--float16", help="Keep numbers in half the bytes.")]
FullHash = Annotated[
    bool, Option("--full-hash", help="Recognise files by all of their bytes, not by size, time and samples.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Say what would be done, and do nothing.")]


def extract(
    videos: Videos,
    extractor: Extractors,
    output: Output = None,
    frames: Frames = None,
    workers: Workers = None,
    cluster: Cluster = None,
    float16: Float16 = False,
    full_hash: FullHash = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Turn videos into features, passing over those that are done and have not changed.

    It can be stopped at any moment, and goes on when it is called again. What could not be read is listed at the end.

    Example: polyreel extract demo/world --extractor pixels
    """
    from polyreel import Dataset, open_extractor
    from polyreel.data.feature_settings import Sampling
    from polyreel.video.extract import ExtractionSettings, extract_together, plan_extraction

    source = Dataset.open(videos) if (Path(videos) / "dataset.json").is_file() else videos
    opened = [open_extractor(name) for name in extractor]
    stores = None if output is None else [output]
    if stores and len(opened) > 1:
        stores = [f"{output}/{one.name}" for one in opened]
    settings = ExtractionSettings(
        sampling=Sampling.named(frames) if frames else Sampling(),
        number_type="float16" if float16 else "float32",
        num_workers=workers,
        is_whole=full_hash,
        cluster=cluster,
    )
    if dry_run:
        _tell(plan_extraction(source, opened, stores, settings))
        return
    with shown(quiet, unit="GB") as progress:
        made = extract_together(source, opened, stores, settings, progress=progress)
    for position, store in enumerate(made):
        place = stores[position] if stores else store.folder
        print(f"{place}: features of {len(store)} clips, width {store.dim}")


def describe(folder: Store, as_json: AsJson = False) -> None:
    """Show what a feature store holds, and what made it.

    Example: polyreel features describe demo/world/features/pixels
    """
    from dataclasses import asdict

    from polyreel import FeatureStore
    from polyreel.data.feature_care import describe_store

    description = describe_store(FeatureStore.open(folder))
    if as_json:
        print_json(asdict(description))
    else:
        print("\n".join(description.lines()))


def merge(
    stores: Annotated[
        list[str], Argument(metavar="STORE...", help="Folders or URLs of feature stores.", show_default=False)
    ],
    output: Annotated[
        Path, Option("--output", "-o", metavar="STORE", help="Folder of the store to write.", show_default=False)
    ],
    quiet: Quiet = False,
) -> None:
    """Put feature stores that were made alike into one, with full files and the clips of a video side by side.

    Example: polyreel features merge s3://bucket/first s3://bucket/second -o features
    """
    from polyreel.data.feature_care import merge_stores
    from polyreel.data.remote import open_stores

    with open_stores(stores) as opened, shown(quiet) as progress:
        merged = merge_stores(opened, output, progress)
    print(f"{output}: features of {len(merged)} clips, width {merged.dim}")


def verify(folder: Store, quiet: Quiet = False) -> None:
    """Read a feature store from end to end, and list the clips whose rows are lost or altered.

    Example: polyreel features verify demo/world/features/pixels
    """
    from polyreel import FeatureStore
    from polyreel.data.feature_care import verify_store
    from polyreel.errors import ItemsFailedError

    store = FeatureStore.open(folder)
    with shown(quiet) as progress:
        faults = verify_store(store, progress)
    if faults:
        raise ItemsFailedError(f"verifying {folder}", faults)
    print(f"{folder}: {len(store)} clips are as they were written")


def _tell(plan: "Plan") -> None:
    """Print what a run would do: a line a file that is not left alone, and the counts."""
    for file, verdict in plan.verdicts:
        if verdict != "unchanged":
            print(f"{verdict:>15}  {file.name.encode('utf-8', 'backslashreplace').decode()}")
    counts = Counter(verdict for _, verdict in plan.verdicts)
    todo = list(plan.todo)
    gigabytes = sum(work.file.size_bytes for work in todo) / 1e9
    found = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
    print(f"{len(plan.verdicts):,} files: {found}; {len(todo):,} to extract, {gigabytes:,.2f} GB")
