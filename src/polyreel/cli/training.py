"""Verbs that train: train, bank, experiment, reproduce."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from polyreel.cli.live import watched
from polyreel.cli.options import AsJson, Device, Quiet, Split, Threads, open_model, print_json, split_of, use_threads
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel.training.results import ExperimentResult

Jobs = Annotated[int, Option("--jobs", metavar="N", min=1, help="Runs trained at the same time.")]


def train(
    recipe: Annotated[str, Argument(metavar="RECIPE", help="A TOML file, or a shipped recipe.", show_default=False)],
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="RUN", help="Folder of the run; needed unless --print.")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Go on with the unfinished run there.")] = False,
    settings: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    print_only: Annotated[bool, Option("--print", help="Print the whole recipe and train nothing.")] = False,
    track: Annotated[bool, Option("--track", help="Write TensorBoard files into RUN/tensorboard.")] = False,
    device: Device = "cpu",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Train a model as a recipe says.

    Several processes or GPUs: `torchrun --nproc-per-node N -m polyreel.cli train ...` (docs/training-at-scale.md).

    Example: polyreel train world/c2kd -o runs/c2kd --set schedule.steps=200
    """
    use_threads(threads)
    from polyreel import load_recipe
    from polyreel import train as train_model

    asked = load_recipe(recipe, settings or [])
    if print_only:
        print(asked.to_toml(), end="")
        return
    if output is None:
        raise BadParameter("say where the run goes with -o RUN", param_hint="-o")
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun numbers the processes it starts
    with watched(quiet or not is_first) as (progress, watch):
        run = train_model(asked, output, resume=resume, device=device, progress=progress, watch=watch, is_tracked=track)
    if is_first:
        print(f"{run}: trained; next: polyreel evaluate {run} {asked.data.dataset}")


def profile(
    recipe: Annotated[str, Argument(metavar="RECIPE", help="A TOML file, or a shipped recipe.", show_default=False)],
    settings: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    steps: Annotated[int, Option("--steps", metavar="N", min=1, help="Steps to time.")] = 5,
    device: Device = "cpu",
    threads: Threads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show where a training step's time goes, and what the machine would allow.

    Times data, text, video, objective and optimizer of a few steps; nothing is saved. Matrix products and bytes of a
    step, at rates measured now, are what it cannot go below (docs/speed.md). Run it while nothing else is running.

    Example: polyreel profile world/c2kd --steps 10
    """
    use_threads(threads)
    from polyreel import load_recipe
    from polyreel.training.profiling import profile as profile_step

    with shown(quiet or as_json) as progress:
        found = profile_step(load_recipe(recipe, settings or []), num_steps=steps, device=device, progress=progress)
    if as_json:
        print_json(found.to_json())
    else:
        print(found.text())


def bank(
    model: Annotated[
        str,
        Argument(
            metavar="MODEL",
            help="A finished run, or a dual encoder never trained here: clip:MODEL, by folder or hub name.",
            show_default=False,
        ),
    ],
    dataset: Split,
    features: Annotated[
        str | None, Option("--features", metavar="NAME", help="Features it reads; those it was trained on unless said.")
    ] = None,
    lang: Annotated[str, Option("--lang", metavar="CODE", help="Language the teacher is asked in.")] = "en",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Ask a teacher about a dataset once, so that students train without running it.

    The split is "train" unless said. Training does this by itself for teachers that were not asked yet.

    Example: polyreel bank clip:openai/clip-vit-base-patch32 data/mine
    """
    use_threads(threads)
    from polyreel import Dataset, TeacherBank
    from polyreel.training.encoders import features_name

    folder, split = split_of(dataset, "train")
    opened = Dataset.open(folder, is_mapped=True)
    store = opened.features(features or features_name(model) or open_model(Path(model)).features.extractor)
    with shown(quiet) as progress:
        answers = TeacherBank.build([model], opened.split(split), store, lang=lang, progress=progress)
    print(f"{model}: banked {len(answers.sentence_ids)} sentences and {len(answers.clip_ids)} clips of {split!r}")


def experiment(
    file: Annotated[str, Argument(metavar="FILE", help="A TOML file, or a shipped experiment.", show_default=False)],
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="DIR", help="Where runs and results go; runs/FILE unless said.")
    ] = None,
    jobs: Jobs = 1,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Run a grid of recipes, settings and seeds, and write one table.

    What is finished is skipped, so the same command goes on after a stop.

    Example: polyreel experiment world/demo -o demo --jobs 2
    """
    use_threads(threads)
    from polyreel import run_experiment

    with shown(quiet) as progress:
        result = run_experiment(file, output or Path("runs") / Path(file).stem, jobs=jobs, progress=progress)
    _report(result)


def reproduce(
    name: Annotated[str, Argument(metavar="NAME", help="msrvtt, vatex, youcook2 or rudder.", show_default=False)],
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="DIR", help="Where runs and results go; runs/NAME unless said.")
    ] = None,
    only: Annotated[str | None, Option("--only", metavar="VALUE", help="clean or reference; both unless said.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="List the runs and what is missing; train nothing.")] = False,
    jobs: Jobs = 1,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Run an experiment of the C2KD paper: teachers, students, one table.

    Nothing starts before the dataset and the encoders are there; what is missing is listed. What is finished is
    skipped, so the same command goes on after a stop (docs/reproduce.md).

    Example: polyreel reproduce msrvtt --dry-run
    """
    use_threads(threads)
    if dry_run:
        _preview(name, output, only)
        return
    from polyreel import reproduce as reproduce_experiment

    with shown(quiet) as progress:
        result = reproduce_experiment(name, output, only=only, jobs=jobs, progress=progress)
    _report(result)


def _report(result: "ExperimentResult") -> None:
    """Print the table of every cell, write out all that was found, and say where it is."""
    from polyreel.cli.pictures import browsers, galleries

    for cell in result.cells:
        print("\n\n".join([*filter(None, [cell.name]), cell.summary().text()]), end="\n\n")
    for page in result.save(galleries(result), browsers(result)):
        print(f"page with all tables and plots: {page}")
    print(f"all tables and paired differences: {result.folder / 'table.md'}")


def _preview(name: str, output: Path | None, only: str | None) -> None:
    """Print every run that an experiment consists of, and what is missing for it."""
    from polyreel.training.reproduce import preview
    from polyreel.training.runs import RunFolder

    seen = preview(name, output, only=only)
    for run in seen.runs:
        words = [*(f"{axis} {value}" for axis, value in run.cell), run.system, f"seed {run.recipe.seed}"]
        state = "finished" if RunFolder(run.folder).is_finished else f"{run.recipe.schedule.epochs} epochs"
        print(f"{', '.join(words)}: {state}, {run.folder}")
    print("\n".join([f"{len(seen.runs)} runs", *(["missing:", *seen.lacks] if seen.lacks else [])]))
