"""run_experiment: a grid of systems, settings and seeds, as one resumable command that ends in one table.

What a file states is in `experiment_settings.py`, which runs that makes in `planning.py`. Here they are done: teachers
first, then those they teach. A run that is finished is never done again; each is evaluated on the report's split once,
after it is finished.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from polyreel.data.dataset import Dataset
from polyreel.errors import ItemsFailedError, PolyreelError, saying_which_extra
from polyreel.evaluation.report import Report, evaluate
from polyreel.progress import Progress, silent
from polyreel.training.experiment_settings import ExperimentSettings, load_experiment
from polyreel.training.planning import Cell, Plan, PlannedRun, plan_experiment
from polyreel.training.results import CellResult, ExperimentResult, summarise

# A run leaves some 12 MB behind in the libraries, which fresh workers free. They come with a fresh pool: one that
# replaces its workers by itself (max_tasks_per_child) was seen to wait for ever once they had all retired.
RUNS_A_WORKER = 16


def run_experiment(
    name_or_path: str | Path,
    output: Path | str,
    *,
    only: str | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> ExperimentResult:
    """Train and evaluate everything an experiment asks for.

    Args:
        name_or_path: shipped name or path of an experiment file.
        output: folder for the runs; what is finished there is not done again.
        only: value of an axis: the cells with it are done, and no others; None: all.
        jobs: runs at a time, each a process with one thread.
        progress: called after every run.

    Returns:
        Reports by cell and system, in the order of the file; `save` writes them out.

    Raises:
        RecipeError: the file or a recipe cannot be used; nothing was trained.
        ItemsFailedError: some runs failed; all that do not depend on them are finished.
    """
    settings = load_experiment(name_or_path)
    settings = settings if only is None else settings.only_at(only)
    plan = plan_experiment(settings, Path(output))
    failures: dict[str, str] = {}
    num_done = 0
    for depth in range(1 + max(run.depth for run in plan.runs.values())):
        wave = [run for run in plan.runs.values() if run.depth == depth]
        _bank_teachers(wave)
        for run, failure in _train_all(wave, settings, jobs):
            num_done += 1
            if failure:
                failures[run.folder.name] = failure
            progress(num_done, len(plan.runs), f"{run.system}, seed {run.recipe.seed}")
    if failures:
        raise ItemsFailedError(f"experiment {settings.title!r}", failures)
    return ExperimentResult(title=settings.title, folder=Path(output), cells=_collect(settings, plan))


def report_folder(run: PlannedRun, settings: ExperimentSettings) -> Path:
    """Return where a run's report on the experiment's split, in its languages, lies."""
    return run.folder / "-".join(["report", settings.report_split, *settings.report_langs])


def _collect(settings: ExperimentSettings, plan: Plan) -> tuple[CellResult, ...]:
    by_cell: dict[Cell, dict[str, list[PlannedRun]]] = {}
    for (cell, system), fingerprints in plan.places.items():
        if settings.systems[system].is_reported:
            by_cell.setdefault(cell, {})[system] = [plan.runs[one] for one in fingerprints]
    return tuple(
        summarise(
            dict(cell),
            [
                Report.merged([Report.open(report_folder(run, settings)) for run in systems[name]], name=name)
                for name in settings.systems
                if name in systems
            ],
            {name: [run.folder for run in runs] for name, runs in systems.items()},
            Dataset.open(next(iter(systems.values()))[0].recipe.data.dataset),
            metric=settings.metric,
            baseline=settings.baseline,
        )
        for cell, systems in by_cell.items()
    )


def _bank_teachers(wave: Sequence[PlannedRun]) -> None:
    """Bank every teacher of a wave before its runs start, so that no two processes do it at once.

    A teacher that failed is passed over here: whoever needs it fails, and is listed beside it.
    """
    banked = set()
    for run in wave:
        key = (run.recipe.data.dataset, run.recipe.data.features, run.recipe.teachers, run.recipe.pairs)
        if run.depth and key not in banked:
            from polyreel.training.material import gather_material

            with suppress(PolyreelError):
                gather_material(run.recipe)
            banked.add(key)


def _train_all(wave: Sequence[PlannedRun], settings: ExperimentSettings, jobs: int) -> Iterator[tuple[PlannedRun, str]]:
    """Yield every run of a wave when it is done, with why it failed, or nothing."""
    if jobs == 1:
        yield from ((run, train_and_report(run, settings)) for run in wave)
        return
    at_once = RUNS_A_WORKER * jobs
    for first in range(0, len(wave), at_once):
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
            futures = {pool.submit(train_and_report, run, settings): run for run in wave[first : first + at_once]}
            for future in as_completed(futures):
                yield futures[future], future.result()


def _end_with_parent() -> None:
    """Let a worker end when the experiment was killed, instead of waiting for work for ever."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def train_and_report(run: PlannedRun, settings: ExperimentSettings) -> str:
    """Do one run and report on it, unless that is done; return why it failed, or nothing."""
    try:
        with saying_which_extra("an experiment"):
            import torch

            from polyreel.models.retriever import Retriever
            from polyreel.training.loop import train
            from polyreel.training.material import open_dataset

        torch.set_num_threads(1)
        train(run.recipe, run.folder, resume=True)
        folder = report_folder(run, settings)
        if not folder.is_dir():
            dataset = open_dataset(run.recipe.data)
            evaluate(
                Retriever.load(run.folder / "model"),
                dataset,
                split=settings.report_split,
                langs=settings.report_langs or None,
                name=run.system,
                seed=run.recipe.seed,
                features=dataset.features(run.recipe.data.features),
                num_clips=run.recipe.data.num_test_clips if run.recipe.reference else None,
            ).save(folder)
    except PolyreelError as error:
        return str(error)
    return ""
