"""add_language: a trained student learns further languages from sentence pairs, without videos and their features.

The text tower alone learns, so every index of clips stays valid. A pair's sentence is to rank the training clips as the
teachers do when they read its English side, and to lie where the student had that side before. Captions of what the
student knew are drawn beside, and are to stay where they were; of the states that are looked at, one is kept only if no
language it had finds less on the validation queries than a tolerance allows.

Shapes: `P` pairs of a step, `N` sentences, `D` dims, `C` clips.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from polyreel.data.pairs import Pairs
from polyreel.errors import TrainingError
from polyreel.models.retriever import Retriever
from polyreel.models.tokens import Tokens
from polyreel.progress import Progress, silent
from polyreel.settings import Settings
from polyreel.training.adding_report import Measured, Scales
from polyreel.training.checkpoint import Checkpoints
from polyreel.training.crosslingual import imitation
from polyreel.training.interruption import stop_requests
from polyreel.training.objectives import weighted_mean
from polyreel.training.optimization import make_optimizer, rate_factor, set_rate
from polyreel.training.pairs import PairTable, divergence_of_pairs, trust
from polyreel.training.processes import ALONE
from polyreel.training.recipes import Recipe
from polyreel.training.schedule_settings import ScheduleSettings
from polyreel.training.state import Standing, put_state, put_weights, state_of, weights_of
from polyreel.training.teachers import TeacherBank
from polyreel.training.whole_bank import OverBank

WORST = -1.0


class AddingSettings(Settings):
    """How a language is added."""

    steps: int = Field(default=400, ge=1, description="steps")
    size: int = Field(default=128, ge=1, description="pairs of each new language in a step")
    replay: int = Field(default=256, ge=1, description="captions of what the student knew in a step")
    replay_weight: float = Field(default=5.0, ge=0, description="of their staying where they were")
    alignment_weight: float = Field(default=1.0, ge=0, description="of a sentence lying where its English side did")
    doubt: float = Field(
        default=0.0, ge=0, description="how far pairs that student and teachers disagree on count less"
    )
    learning_rate: float | None = Field(default=None, gt=0, description="None: half of the recipe's")
    look_every_steps: int = Field(default=50, ge=1, description="how often languages are looked at, and states saved")
    tolerance: float = Field(default=1.0, ge=0, description="points of R@10 a language it had may lose")
    new_pieces: int = Field(default=2000, ge=0, description="most pieces added to a vocabulary of our own")
    held_out: int = Field(default=500, ge=1, description="most pairs of a language kept apart to be measured")
    seed: int = Field(default=1, ge=0, description="of sampling")


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is learnt from, tokenised by the student that learns.

    Attributes:
        tables: the pairs by language code.
        tokens: of the pairs' sentences, then of the replayed captions.
        english_ND: where the student had the pairs' English sentences, by the rows of the bank.
        first_replayed: where the replayed captions begin in the tokens.
        replayed_ND: where the student had them.
        bank: what the teachers say of the English sentences and the training clips.
        clips_CD: the student's embeddings of the training clips, which stay.
    """

    tables: Mapping[str, PairTable]
    tokens: Tokens
    english_ND: Tensor
    first_replayed: int
    replayed_ND: Tensor
    bank: TeacherBank
    clips_CD: Tensor


class Adding:
    """A student on its way to further languages.

    Args:
        model: the student, which may have new pieces.
        recipe: of the run it comes from.
        settings: how.
        lesson: what it learns from.
        scales: what is measured on the way.
        folder: where states are saved.
    """

    def __init__(
        self,
        model: Retriever,
        recipe: Recipe,
        settings: AddingSettings,
        lesson: Lesson,
        scales: Scales,
        folder: Path,
    ) -> None:
        self.model, self._recipe, self._settings = model, recipe, settings
        self._lesson, self._scales = lesson, scales
        self._checkpoints, self._standing = Checkpoints(folder), Standing(best_recall=WORST)
        model.video.requires_grad_(False)
        rate = settings.learning_rate or recipe.optimizer.learning_rate / 2
        changes: dict[str, object] = {"learning_rate": rate}
        if settings.learning_rate is None and recipe.optimizer.backbone_learning_rate is not None:
            changes["backbone_learning_rate"] = recipe.optimizer.backbone_learning_rate / 2
        self._optimizer = make_optimizer(recipe.optimizer.model_copy(update=changes), model)
        self._schedule = ScheduleSettings(learning_rate="one-cycle")
        self._clips = np.arange(len(lesson.clips_CD))

    def run(self, progress: Progress = silent) -> Measured:
        """Learn to the end, from where an earlier process stopped; return what the kept state measures.

        Raises:
            TrainingError: no state keeps what the student knew, or a loss is no number.
            KeyboardInterrupt: Ctrl-C or SIGTERM, passed on after the state was saved.
        """
        if (found := self._checkpoints.load(progress)) is not None:
            self._standing, state = found
            put_state(state, self.model, self._optimizer, None, ALONE)
        before = self._scales.before
        words = before.in_words()
        with stop_requests() as stop:
            while self._standing.step < self._settings.steps:
                began = time.monotonic()
                self._step()
                self._standing.seconds += time.monotonic() - began
                if self._standing.step % self._settings.look_every_steps == 0 or self._is_last:
                    words = self._look().in_words()
                    self._save()
                if stop.is_made:
                    self._save()
                    raise KeyboardInterrupt
                progress(self._standing.step, self._settings.steps, words)
        if not self._standing.best_step:
            raise TrainingError(
                f"no state kept what the student knew: {words}, before {before.in_words()}; allow more with a larger "
                "tolerance, or learn more slowly or with more replay"
            )
        put_weights(self.model, self._checkpoints.load_best(self._standing.best_step))
        return self._scales.measure(self.model)

    @property
    def _is_last(self) -> bool:
        return self._standing.step == self._settings.steps

    def _step(self) -> None:
        settings, lesson, step = self._settings, self._lesson, self._standing.step
        set_rate(self._optimizer, rate_factor(self._schedule, step, settings.steps, settings.steps))
        self._optimizer.zero_grad(set_to_none=True)
        drawn = {lang: table.draw(settings.size, settings.seed, step) for lang, table in lesson.tables.items()}
        replayed = np.random.default_rng([settings.seed, step]).integers(len(lesson.replayed_ND), size=settings.replay)
        rows = np.concatenate([*(one.rows_P for one in drawn.values()), lesson.first_replayed + replayed])
        self.model.train()
        texts_ND = self.model.embed_texts(lesson.tokens.select(rows))
        loss = settings.replay_weight * imitation(texts_ND[-len(replayed) :], lesson.replayed_ND[replayed])
        first = 0
        for one in drawn.values():
            texts_PD, first = texts_ND[first : first + len(one.rows_P)], first + len(one.rows_P)
            loss = loss + self._of_pairs(texts_PD, one.bank_rows_P)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of step {step + 1} is no number; the states before it are in {self._checkpoints.folder}; "
                "lower the learning rate"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._standing.step += 1

    def _of_pairs(self, texts_PD: Tensor, bank_rows_P: np.ndarray) -> Tensor:
        objective, lesson = self._recipe.objective, self._lesson
        over = OverBank(
            student_VS=texts_PD @ lesson.clips_CD.T,
            teachers_KVS=lesson.bank.gather(bank_rows_P, self._clips),
            log_weights_S=torch.zeros(len(self._clips)),
        )
        even = "mean" if objective.teacher_pooling == "learnt" else objective.teacher_pooling
        divergence_P = divergence_of_pairs(over, even, objective.distillation_temperature)
        distance_P = (texts_PD - lesson.english_ND[torch.from_numpy(bank_rows_P)]).square().sum(-1)
        losses_P = divergence_P + self._settings.alignment_weight * distance_P
        return weighted_mean(losses_P, trust(divergence_P, self._settings.doubt))

    def _look(self) -> Measured:
        """Measure, and keep the weights if no language it had lost too much and the new ones agree best so far."""
        found = self._scales.measure(self.model)
        if self._scales.is_kept(found, self._settings.tolerance) and found.mean_agreement > self._standing.best_recall:
            self._standing.best_recall, self._standing.best_step = found.mean_agreement, self._standing.step
            self._checkpoints.save_best(self._standing.step, weights_of(self.model))
        return found

    def _save(self) -> None:
        self._checkpoints.save(self._standing, state_of(self.model, self._optimizer, None, ALONE))


def hold_out(pairs: Pairs, most: int) -> tuple[Pairs, Pairs]:
    """Part pairs to learn from those to measure on: a tenth, at most so many, of distinct English sentences.

    No sentence to learn from has the English side of one that is measured.
    """
    distinct = list(dict.fromkeys(pairs.english))
    count = max(1, min(most, len(distinct) // 10))
    chosen = np.random.default_rng(0).permutation(len(distinct))[:count]
    apart = {distinct[number] for number in chosen.tolist()}
    first: dict[str, int] = {}
    for row, sentence in enumerate(pairs.english):
        if sentence in apart:
            first.setdefault(sentence, row)
    learnt = [row for row, sentence in enumerate(pairs.english) if sentence not in apart]
    return pairs.part(learnt), pairs.part(list(first.values()))
