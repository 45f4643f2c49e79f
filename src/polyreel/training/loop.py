"""train: the one loop, for zero-shot, translate-train, C2KD and whatever else a recipe states.

Before the first step everything fixed is computed once: captions are tokenised, frames made ready, teachers banked. A
step then draws positions, embeds all languages' captions in one pass, compares them with the batch's clips, and moves
the weights. The kept model is the one that validated best; the test split is never read here. With several processes
each runs this loop, on the same batches, and the first one writes and speaks.
"""

from contextlib import ExitStack
from pathlib import Path

import torch

from polyreel.models.devices import DeviceName, open_device
from polyreel.progress import Progress, silent
from polyreel.training.checkpoint import Checkpoints
from polyreel.training.material import gather_material
from polyreel.training.processes import Processes, joined
from polyreel.training.recipes import Recipe
from polyreel.training.runs import RunFolder
from polyreel.training.tracking import tensorboard
from polyreel.training.under_way import Training
from polyreel.training.watching import Seen, Watch, unwatched


def train(
    recipe: Recipe,
    run: Path | str,
    *,
    resume: bool = False,
    device: DeviceName = "cpu",
    progress: Progress = silent,
    watch: Watch = unwatched,
    is_tracked: bool = False,
) -> Path:
    """Train what a recipe asks for.

    Args:
        recipe: the settings.
        run: folder to fill; a finished run of the same recipe and inputs in it is left as it is.
        resume: go on with an unfinished run there.
        device: where to compute. Weights start and batches are drawn alike everywhere; rounding and dropout differ.
        progress: called at every step, and with what is prepared before.
        watch: called with losses, speed and memory, every few steps and after every validation.
        is_tracked: write what is watched as TensorBoard files too, into the run's `tensorboard/`.

    Returns:
        The run folder; the model lies in its `model/`.

    Raises:
        DataError, FingerprintError, RecipeError: data, folder or recipe cannot be used; nothing was trained.
        TrainingError: a loss that is no number, no memory, or no room on the disk; what was saved can be gone on with.
        ValueError: there is no such device.
        KeyboardInterrupt: Ctrl-C or SIGTERM, passed on after the best model so far and the state were saved.
    """
    recipe.check()
    place = open_device(device)
    with joined(place) as processes:
        if not processes.is_first:
            progress, watch, is_tracked = silent, unwatched, False
        folder = RunFolder(Path(run))
        training = _prepare(recipe, folder, resume, place, processes, progress)
        if training is None:
            progress(1, 1, f"{folder.path} is finished")
            return folder.path
        with ExitStack() as stack:
            if is_tracked:
                after = training.standing.step
                tracked = stack.enter_context(tensorboard(folder.tensorboard, after_step=after))
                watch = _both(watch, tracked)
            try:
                training.run(progress, watch)
            except BaseException as error:
                training.leave(error)
                raise
        training.finish()
    return folder.path


def _prepare(
    recipe: Recipe, folder: RunFolder, resume: bool, place: torch.device, processes: Processes, progress: Progress
) -> Training | None:
    """Claim the folder and bring a run to where it stands; None where it is finished."""
    if idle := recipe.idle_settings():
        progress(0, 1, f"settings without effect: {', '.join(idle)}")
    if (pooling := recipe.objective.teacher_pooling) != recipe.expanded().objective.teacher_pooling:
        progress(0, 1, f"the reference calls it {pooling!r}: similarities are pooled the other way round")
    with processes.first_alone():
        material = gather_material(recipe, progress, place)
        if processes.is_first:
            folder.start(recipe, material.inputs, resume=resume)
    if folder.is_finished:
        if processes.is_first:
            Checkpoints(folder.checkpoints).delete()
        return None
    if changed := folder.changed_versions():
        progress(0, 1, f"begun with other versions, so bytes may differ from an undisturbed run: {', '.join(changed)}")
    training = Training(recipe.expanded(), material, folder, place, processes)
    training.restore(progress)
    return training


def _both(watch: Watch, other: Watch) -> Watch:
    def call(seen: Seen) -> None:
        watch(seen)
        other(seen)

    return call
