"""train: the one loop, for zero-shot, translate-train, C2KD and whatever else a recipe states.

Before the first step everything fixed is computed once: captions are tokenised, frames made ready, teachers banked. A
step then draws positions, embeds all languages' captions in one pass, compares them with the batch's clips, and moves
the weights. The kept model is the one that validated best; the test split is never read here.
"""

import time
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn

from polyreel.errors import RecipeError
from polyreel.models.devices import CPU, DeviceName, name_of, open_device
from polyreel.models.retriever import Retriever
from polyreel.progress import Progress, silent
from polyreel.storage import Json
from polyreel.training.batches import ParallelBatch, sample_batches, steps_per_epoch, tabulate
from polyreel.training.checkpoint import Standing, load_checkpoint, save_checkpoint
from polyreel.training.interruption import unbroken
from polyreel.training.material import Material, gather_material
from polyreel.training.optimization import clip_gradients, make_optimizer, rate_factor, set_rate
from polyreel.training.recipes import Recipe
from polyreel.training.runs import RunFolder, append_record
from polyreel.training.scoring import Scorer
from polyreel.training.terms import Loss, objective
from polyreel.training.validation import Validator

LOG_EVERY_STEPS = 10
CHECKPOINT_SECONDS = 60.0
MOST_CHECKPOINT_SHARE = 0.05


def train(
    recipe: Recipe,
    run: Path | str,
    *,
    resume: bool = False,
    device: DeviceName = "cpu",
    progress: Progress = silent,
) -> Path:
    """Train what a recipe asks for.

    Args:
        recipe: the settings.
        run: folder to fill; a finished run of the same recipe and inputs in it is left as it is.
        resume: go on with an unfinished run there.
        device: where to compute. Weights start and batches are drawn alike everywhere; rounding and dropout differ.
        progress: called at every step, and with what is prepared before.

    Returns:
        The run folder; the model lies in its `model/`.

    Raises:
        DataError, FingerprintError, RecipeError: data, folder or recipe cannot be used; nothing was trained.
        ValueError: there is no such device.
        KeyboardInterrupt: passed on after the best model so far and the state were saved.
    """
    recipe.check()
    place = open_device(device)
    if idle := recipe.idle_settings():
        progress(0, 1, f"settings without effect: {', '.join(idle)}")
    if (pooling := recipe.objective.teacher_pooling) != recipe.expanded().objective.teacher_pooling:
        progress(0, 1, f"the reference calls it {pooling!r}: similarities are pooled the other way round")
    folder = RunFolder(Path(run))
    material = gather_material(recipe, progress, place)
    folder.start(recipe, material.inputs, resume=resume)
    if folder.is_finished:
        progress(1, 1, f"{folder.path} is finished")
        return folder.path
    training = Training(recipe.expanded(), material, folder, place)
    status = "interrupted"
    training.restore()
    try:
        training.run(progress)
        status = "finished"
    finally:
        training.save_best()
        best_step = training.standing.best_step
        folder.finish(recipe, material.inputs, status=status, best_step=best_step, device=name_of(place))
    return folder.path


def start_with(model: Retriever, earlier: Retriever) -> None:
    """Give a model the weights of an earlier one.

    Raises:
        RecipeError: the two are built otherwise, or read texts in other pieces.
    """
    has_same_pieces = dict(model.text.backbone.vocabulary()) == dict(earlier.text.backbone.vocabulary())
    ours, theirs = model.state_dict(), earlier.state_dict()
    unlike = [name for name in sorted(ours.keys() | theirs.keys()) if _shape(ours, name) != _shape(theirs, name)]
    if unlike or not has_same_pieces:
        where = f"in {unlike[0]}" if has_same_pieces else "in the pieces its texts are cut into"
        raise RecipeError(
            f"the student differs from the run it starts with {where}; give both the same text, video and embed_dim, "
            "features and training captions"
        )
    model.load_state_dict(theirs)


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None


class Training:
    """A run under way: model, optimizer, and where it stands."""

    def __init__(self, recipe: Recipe, material: Material, folder: RunFolder, device: torch.device = CPU) -> None:
        self.recipe, self.folder, self.langs = recipe, folder, material.langs
        self.standing = Standing()
        torch.manual_seed(recipe.seed)
        learnt, features = material.learnt, material.features
        self.model = Retriever.build(
            recipe.text,
            recipe.video,
            features.settings,
            embed_dim=recipe.embed_dim,
            langs=material.langs,
            training_texts=learnt.captions["text"].to_pylist(),
        )
        if material.start is not None:
            start_with(self.model, material.start)
        self.model.to(device)
        self.table = tabulate(learnt, material.langs, self.model.text.tokenize)
        frames = self.model.video.frames([features[clip_id] for clip_id in learnt.clip_ids])
        self.scorer = Scorer(recipe, self.model, self.table, frames, material.bank, material.known)
        val = material.val
        self.validator = None if val is None else Validator(self.model, val, features, material.langs)
        self.optimizer = make_optimizer(recipe.optimizer, self.model)
        self.teacher_logits_K = self._learn_teacher_weights()
        self.best: dict[str, Tensor] = {}
        self.steps_an_epoch = steps_per_epoch(self.table, recipe.batches.size)
        self.num_steps = recipe.schedule.steps or recipe.schedule.epochs * self.steps_an_epoch

    def run(self, progress: Progress) -> None:
        """Train from where the run stands to the end, or until patience ends.

        Raises:
            KeyboardInterrupt: passed on between two steps, after the state was saved. What fails within a step leaves
                the state that was last saved, for no run was ever in the middle of one.
        """
        batches = sample_batches(
            self.table,
            self.recipe.batches.size,
            self.recipe.batches.sampling,
            seed=self.recipe.seed,
            first_step=self.standing.step,
        )
        self.model.train()
        due = time.monotonic() + CHECKPOINT_SECONDS
        with self.folder.metrics.open("a", encoding="utf-8") as log:
            try:
                while not self._is_over():
                    with unbroken():
                        loss = self._advance(next(batches), log)
                    if time.monotonic() > due:
                        due = self._save_checkpoint()
                    progress(self.standing.step, self.num_steps, self._describe(loss))
            except KeyboardInterrupt:
                self._save_checkpoint()
                raise

    def restore(self) -> None:
        """Go back to where the folder's checkpoint stands, if there is one, and drop what was logged after it."""
        if self.folder.checkpoint.is_file():
            self.standing, self.best = load_checkpoint(
                self.folder.checkpoint, self.model, self.optimizer, self.teacher_logits_K
            )
        self.folder.keep_log_until(self.standing.step)

    def save_best(self) -> None:
        """Save the weights that validated best, or the present ones before any validation, as the run's model."""
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.save(self.folder.model)

    def _advance(self, batch: ParallelBatch, log: TextIO) -> Loss:
        """Do a step and what is due after it: a line in the log, a validation."""
        started = time.monotonic()
        loss = self._step(batch)
        self.standing.step += 1
        if self.standing.step % LOG_EVERY_STEPS == 0 or self.standing.step == 1:
            append_record(log, self._loss_record(loss))
        every = self.recipe.schedule.validate_every_steps or self.steps_an_epoch
        is_due = self.standing.step % every == 0 or self.standing.step == self.num_steps
        if is_due and self.validator is not None:
            append_record(log, self._validate(self.validator))
        self.standing.seconds += time.monotonic() - started
        return loss

    def _step(self, batch: ParallelBatch) -> Loss:
        schedule, step = self.recipe.schedule, self.standing.step
        set_rate(self.optimizer, rate_factor(schedule, step, self.num_steps, self.steps_an_epoch))
        weights_K = None if self.teacher_logits_K is None else self.teacher_logits_K.softmax(dim=0)
        loss = objective(self.recipe.objective, self.scorer.score(batch, weights_K))
        if not torch.isfinite(loss.total):
            clips = ", ".join(self.table.clip_ids[clip] for clip in batch.clips_B[:5])
            raise RecipeError(f"the loss is {loss.total.item()} at step {step} (clips {clips}, …); lower learning_rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        clip_gradients(self.model, self.recipe.optimizer)
        self.optimizer.step()
        return loss

    def _learn_teacher_weights(self) -> nn.Parameter | None:
        """Start the teachers' weights even, in the optimizer with a rate of their own; None where none are learnt."""
        settings = self.recipe.objective
        if not settings.pools_teachers or settings.teacher_pooling != "learnt":
            return None
        logits_K = nn.Parameter(torch.zeros(len(self.recipe.teachers.runs), device=self.model.device))
        rate = settings.teacher_weights_learning_rate
        self.optimizer.add_param_group({"params": [logits_K], "lr": rate, "peak": rate, "weight_decay": 0.0})
        return logits_K

    def _validate(self, validator: Validator) -> dict[str, Json]:
        by_lang = validator.recall(self.model)
        mean = sum(by_lang.values()) / len(by_lang)
        self.standing.validations_since_best += 1
        if mean > self.standing.best_recall:
            self.standing.best_recall, self.standing.best_step = mean, self.standing.step
            self.standing.validations_since_best = 0
            self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        return {"step": self.standing.step, "val": {"mean_recall_at_10": mean, "recall_at_10": by_lang}}

    def _is_over(self) -> bool:
        patience = self.recipe.schedule.patience
        is_out_of_patience = patience is not None and self.standing.validations_since_best >= patience
        return self.standing.step >= self.num_steps or is_out_of_patience

    def _loss_record(self, loss: Loss) -> dict[str, Json]:
        parts: dict[str, Json] = {name: float(part) for name, part in loss.parts.items()}
        seconds = round(self.standing.seconds, 3)
        record: dict[str, Json] = {"step": self.standing.step, "seconds": seconds, "loss": loss.total.item()}
        record["parts"] = parts
        if self.teacher_logits_K is not None:
            record["teacher_weights"] = self.teacher_logits_K.detach().softmax(dim=0).tolist()
        return record

    def _describe(self, loss: Loss) -> str:
        terms: dict[str, float] = {}
        for name, part in loss.parts.items():
            term = name.split("/")[0]
            terms[term] = terms.get(term, 0.0) + float(part)
        words = [f"{term} {value:.2f}" for term, value in terms.items()]
        if self.standing.best_step:
            words.append(f"best R@10 {self.standing.best_recall:.1f}")
        return ", ".join(words)

    def _save_checkpoint(self) -> float:
        """Save the state; return when that is due again: later where it takes long, as with a large encoder."""
        began = time.monotonic()
        save_checkpoint(
            self.folder.checkpoint, self.standing, self.model, self.best, self.optimizer, self.teacher_logits_K
        )
        now = time.monotonic()
        return now + max(CHECKPOINT_SECONDS, (now - began) / MOST_CHECKPOINT_SHARE)
