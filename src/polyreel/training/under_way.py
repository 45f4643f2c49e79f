"""A run under way: model, optimizer, where it stands, and what a step, a validation and a save do.

A step moves weights, moments and random state together, and requests to stop are heard between two steps. So every
state that is saved is one that an undisturbed run would have been in.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import torch
from safetensors import SafetensorError

from polyreel.errors import TrainingError
from polyreel.models.devices import CPU, name_of
from polyreel.models.retriever import Retriever
from polyreel.progress import Progress
from polyreel.storage import Json, write_json
from polyreel.training.adaptation import merge
from polyreel.training.averaging import WeightAverage
from polyreel.training.batches import ParallelBatch, sample_batches, steps_per_epoch
from polyreel.training.beyond import Beyond
from polyreel.training.checkpoint import Checkpoints
from polyreel.training.compiling import compile_encoder
from polyreel.training.faults import batch_record, is_finite, no_number
from polyreel.training.interruption import stop_requests
from polyreel.training.keeping import keep
from polyreel.training.material import Material
from polyreel.training.prepared import prepare_bank_rows, prepare_captions, prepare_frames
from polyreel.training.processes import ALONE, Processes, check_processes, gathered, spread
from polyreel.training.recipes import Recipe
from polyreel.training.runs import RunFolder, append_record, naming_disk
from polyreel.training.scoring import Scorer
from polyreel.training.state import Standing, put_state, put_weights, state_of, weights_of
from polyreel.training.step import Stepper, Taken
from polyreel.training.student import build_student
from polyreel.training.validation import Validator
from polyreel.training.watching import Seen, Speedometer, Watch, peak_memory_bytes

LOG_EVERY_STEPS = 10
MOST_SAVING_SHARE = 0.05
SEED_STRIDE = 1_000_003  # processes other than the first draw their dropout apart


class Training:
    """A run under way.

    Args:
        recipe: the settings, expanded.
        material: what it reads.
        folder: what it fills.
        device: where it computes.
        processes: those that train it together.
    """

    def __init__(
        self,
        recipe: Recipe,
        material: Material,
        folder: RunFolder,
        device: torch.device = CPU,
        processes: Processes = ALONE,
    ) -> None:
        self.recipe, self.material, self.folder, self.processes = recipe, material, folder, processes
        check_processes(recipe, processes)
        self.standing = Standing()
        self.checkpoints = Checkpoints(folder.checkpoints, recipe.machine.keep_saves)
        self.model = build_student(recipe, material).to(device)
        if recipe.machine.compiles:
            compile_encoder(self.model)
        learnt, features = material.learnt, material.features
        self.table = prepare_captions(learnt, material.langs, self.model.text)
        frames = prepare_frames(learnt, features, self.model.video)
        text, bank, known = self.model.text, material.bank, material.known
        rows = None if bank is None else prepare_bank_rows(learnt, self.table, bank)
        self.beyond = Beyond(recipe, material, self.table, text, rows)
        self.scorer = Scorer(recipe, self.model, self.table, frames, bank, known, rows, self.beyond)
        val = material.val
        self.validator = None if val is None else Validator(self.model, val, features, material.spoken)
        self.scorer.embedder = spread(
            self.scorer.embedder, recipe.machine, processes, uses_all=recipe.objective.sees_clips
        )
        self.steps_an_epoch = steps_per_epoch(self.table, recipe.batches.size)
        self.num_steps = recipe.schedule.steps or recipe.schedule.epochs * self.steps_an_epoch
        self.stepper = Stepper(
            recipe, self.model, self.scorer, processes, num_steps=self.num_steps, steps_an_epoch=self.steps_an_epoch
        )
        if not processes.is_first:
            torch.manual_seed(recipe.seed + SEED_STRIDE * processes.rank)
        self.average, self.num_averaged = WeightAverage(), 0
        self.speed, self.words = Speedometer(), ""
        self.last_batch: ParallelBatch | None = None

    def run(self, progress: Progress, watch: Watch) -> None:
        """Train from where the run stands to the end, or until patience ends.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM, passed on between two steps, after the state was saved. What fails
                within a step leaves the state that was last saved, for no run was ever in the middle of one.
        """
        first_step, settings = self.standing.step, self.recipe.batches
        drawn = sample_batches(
            self.table, settings.size, settings.sampling, seed=self.recipe.seed, first_step=first_step
        )
        batches = self.beyond.added_to(drawn, first_step=first_step)
        self.model.train()
        due = time.monotonic() + self.recipe.machine.save_every_seconds
        with stop_requests() as stop, self._open_log() as log:
            try:
                while not self._is_over():
                    self._advance(next(batches), log, watch)
                    is_asked, is_due = self.processes.any_of(stop.is_made, time.monotonic() > due)
                    if is_asked:
                        raise KeyboardInterrupt
                    if is_due:
                        due = self._save()
                    progress(self.standing.step, self.num_steps, self.words)
            except KeyboardInterrupt:
                self._save()
                raise

    def restore(self, progress: Progress) -> None:
        """Go back to the newest state that can be read, if there is one, and drop what was logged after it."""
        if (found := self.checkpoints.load(progress)) is not None:
            self.standing, state = found
            self.average.restore(state, self.standing.num_averaged)
            put_state(state, self.model, self.stepper.optimizer, self.stepper.teacher_logits_K, self.processes)
            self.scorer.kept.put(state, self.model.device)
        if self.processes.is_first:
            self.folder.keep_log_until(self.standing.step)

    def finish(self) -> None:
        """Save the weights that validated best, or the last ones, as the run's model; the states are needed no more.

        Where the last epochs were averaged, their mean is one more candidate, or takes the place of the last weights.

        Raises:
            TrainingError: there is no room for it.
        """
        if self.average.count:
            put_weights(self.model, self.average.weights)
            if self.validator is None:
                self.num_averaged = self.average.count
            else:
                with self._open_log() as log:
                    self._validate(log, num_averaged=self.average.count)
        self._save_model()
        if self.processes.is_first:
            if self.recipe.machine.keeps:
                keep(self.folder, Retriever.load(self.folder.model), self.material)
            self._record("finished")
            self.checkpoints.delete()

    def leave(self, error: BaseException) -> None:
        """Leave the best model so far, as far as that can be done where a run was stopped or has failed.

        What fails in one process alone leaves the others waiting for it, so then nothing is done together.
        """
        if isinstance(error, KeyboardInterrupt) or self.processes.count == 1:
            with suppress(OSError, SafetensorError, TrainingError):
                self._save_model()
                if self.processes.is_first:
                    self._record("interrupted")

    def _advance(self, batch: ParallelBatch, log: TextIO, watch: Watch) -> None:
        """Do a step and what is due after it: a validation, a line in the log, a look."""
        started = time.monotonic()
        every = self.recipe.schedule.validate_every_steps or self.steps_an_epoch
        step = self.standing.step + 1
        is_due = self.validator is not None and (step % every == 0 or step == self.num_steps)
        is_logged = step % LOG_EVERY_STEPS == 0 or step == 1
        self.speed.start()
        taken = self.stepper.take(batch, self.standing.step, is_measured=is_due or is_logged)
        if not taken.has_moved:
            raise self._no_number(taken, batch)
        self.speed.stop(len(batch.rows_N))
        self.standing.step, self.last_batch = step, batch
        if is_logged:
            append_record(log, self._loss_record(taken))
        recall = self._validate(log) if is_due else None
        first_averaged = self.num_steps - self.recipe.schedule.average_epochs * self.steps_an_epoch
        if step > first_averaged and (self.num_steps - step) % self.steps_an_epoch == 0:
            self.average.add(weights_of(self.model))
            self.standing.num_averaged = self.average.count
        if is_due or is_logged:
            seen = self._see(taken, recall)
            self.words = seen.in_words()
            watch(seen)
        self.standing.seconds += time.monotonic() - started

    def _validate(self, log: TextIO, num_averaged: int = 0) -> dict[str, float]:
        assert self.validator is not None
        with gathered(self.scorer.embedder):
            by_lang = self.validator.recall(self.model)
        mean = self.processes.as_first(sum(by_lang.values()) / len(by_lang))
        self.standing.validations_since_best += 1
        if mean > self.standing.best_recall:
            self.standing.best_recall, self.standing.best_step = mean, self.standing.step
            self.num_averaged = num_averaged
            self.standing.validations_since_best = 0
            weights = weights_of(self.model)
            if self.processes.is_first:
                self.checkpoints.save_best(self.standing.step, weights)
        val: Json = {"mean_recall_at_10": mean, "recall_at_10": by_lang}
        averaged: dict[str, Json] = {"num_averaged": num_averaged} if num_averaged else {}
        append_record(log, {"step": self.standing.step, "val": val, **averaged})
        return by_lang

    def _is_over(self) -> bool:
        patience = self.recipe.schedule.patience
        is_out_of_patience = patience is not None and self.standing.validations_since_best >= patience
        return self.standing.step >= self.num_steps or is_out_of_patience

    def _loss_record(self, taken: Taken) -> dict[str, Json]:
        parts: dict[str, Json] = {name: float(part) for name, part in taken.loss.parts.items()}
        seconds = round(self.standing.seconds, 3)
        record: dict[str, Json] = {"step": self.standing.step, "seconds": seconds, "loss": taken.loss.total.item()}
        record |= {"parts": parts, "gradient_norm": taken.gradient_norm}
        if self.stepper.teacher_logits_K is not None:
            record["teacher_weights"] = self.stepper.teacher_logits_K.detach().softmax(dim=0).tolist()
        return record

    def _see(self, taken: Taken, recall: dict[str, float] | None) -> Seen:
        return Seen(
            step=self.standing.step,
            num_steps=self.num_steps,
            loss=taken.loss.total.item(),
            parts={name: float(part) for name, part in taken.loss.parts.items()},
            learning_rate=self.stepper.learning_rate,
            gradient_norm=taken.gradient_norm or 0.0,
            captions_per_second=self.speed.read(),
            memory_bytes=peak_memory_bytes(self.model.device),
            recall=recall,
            best_step=self.standing.best_step,
            best_recall=self.standing.best_recall,
        )

    def _no_number(self, taken: Taken, batch: ParallelBatch) -> TrainingError:
        """Save state and batch for a look at them, and return what is to be said."""
        is_late = not is_finite(self.model) and self.last_batch is not None
        blamed = self.last_batch if is_late and self.last_batch is not None else batch
        captions, pairs = batch_record(blamed, self.table, self.material.learnt), self.beyond.record(blamed)
        state = self._state()
        if self.processes.is_first:
            Checkpoints(self.folder.failed).save(self.standing, state)
            write_json(self.folder.failed / "batch.json", {"captions": captions, "pairs": pairs})
        saved = str(self.folder.failed)
        return no_number(taken.loss, [*captions, *pairs], self.standing.step, is_late=is_late, saved=saved)

    def _state(self) -> dict[str, torch.Tensor]:
        state = state_of(self.model, self.stepper.optimizer, self.stepper.teacher_logits_K, self.processes)
        return state | self.average.state() | self.scorer.kept.state()

    def _save(self) -> float:
        """Save the state; return when that is due again: later where it takes long, as with a large encoder.

        Weights that are no numbers are not saved: the next step says so, and the state before them is still there.
        """
        began = time.monotonic()
        if is_finite(self.model):
            state = self._state()
            if self.processes.is_first:
                self.checkpoints.save(self.standing, state)
        now = time.monotonic()
        return now + max(self.recipe.machine.save_every_seconds, (now - began) / MOST_SAVING_SHARE)

    def _save_model(self) -> None:
        best_step = self.standing.best_step
        weights = self.checkpoints.load_best(best_step) if best_step else weights_of(self.model)
        if self.processes.is_first:
            is_sharded = self.processes.count > 1 and self.recipe.machine.sharding == "fsdp"
            model = build_student(self.recipe, self.material) if is_sharded else self.model
            put_weights(model, weights)
            merge(model)
            with naming_disk(self.folder.model):
                model.save(self.folder.model)

    def _record(self, status: str) -> None:
        self.folder.finish(
            self.recipe,
            self.material.inputs,
            status=status,
            best_step=self.standing.best_step,
            num_averaged=self.num_averaged,
            device=name_of(self.model.device),
        )

    def _open_log(self) -> TextIO:
        path = self.folder.metrics if self.processes.is_first else Path(os.devnull)
        return path.open("a", encoding="utf-8")
