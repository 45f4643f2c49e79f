"""What each step looks at beyond its batch: sentence pairs, and the clips that sentences are compared with.

Everything is a function of the recipe, its seed and the step, like the batches themselves; a run that goes on after a
stop sees what it would have seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from polyreel.data.pairs import Pairs
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.storage import fingerprint, write_aside
from polyreel.training.batches import CaptionTable, Ints, PairRows, ParallelBatch
from polyreel.training.candidates import choose_candidates, hard_clips
from polyreel.training.pairs import PairTable, WithPairs
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import Floats, TeacherBank, fingerprint_of, open_run, write_rows


class Beyond:
    """Pairs and candidate clips, step by step.

    Args:
        recipe: how many of which.
        table: the captions, tokenised.
        text: cuts the pairs' sentences into tokens.
        bank: what the teachers say of captions and clips; None where nobody is asked.
        pairs: sentence pairs by language code.
        pair_bank: what the teachers say of the pairs' sentences; None where nobody is asked.

    Attributes:
        tokens: of captions, and of pairs behind them.
        pair_bank: as given.
    """

    def __init__(
        self,
        recipe: Recipe,
        table: CaptionTable,
        text: TextTower,
        bank: TeacherBank | None,
        pairs: Mapping[str, Pairs],
        pair_bank: TeacherBank | None,
    ) -> None:
        self._recipe, self._num_clips, self.pair_bank = recipe, len(table.clip_ids), pair_bank
        self.tokens: Tokens | WithPairs = table.tokens
        self._tables: dict[str, PairTable] = {}
        if recipe.objective.learns_pairs:
            self._tables, tokens = _tabulate(pairs, text, len(table.tokens), pair_bank)
            self.tokens = WithPairs(table.tokens, tokens)
        settings, pooling = recipe.bank, recipe.objective.teacher_pooling
        is_ranked = recipe.objective.looks_beyond and settings.sample is not None and settings.hard > 0
        self._hard = [
            None
            if one is None or not is_ranked
            else hard_clips(one, pooling, settings.hard, ranked_among=settings.ranked_among, seed=recipe.seed)
            for one in (bank, pair_bank)
        ]
        self._bank_row_S = None if bank is None else bank.sentence_rows(table.sentence_ids)

    def added_to(self, batches: Iterator[ParallelBatch], *, first_step: int) -> Iterator[ParallelBatch]:
        """Yield batches with what is looked at beyond them.

        Args:
            batches: from `first_step` on.
            first_step: number of the first one, from 0.
        """
        for step, batch in enumerate(batches, first_step):
            pairs = {
                lang: table.draw(self._recipe.pairs.size, self._recipe.seed, step)
                for lang, table in self._tables.items()
            }
            whole = replace(batch, pairs=pairs)
            if self._recipe.objective.looks_beyond:
                candidates = choose_candidates(
                    batch.clips_B,
                    self._hard_of(batch, pairs),
                    self._num_clips,
                    self._recipe.bank.sample,
                    seed=self._recipe.seed,
                    step=step,
                )
                whole = replace(whole, candidates=candidates)
            yield whole

    def _hard_of(self, batch: ParallelBatch, pairs: Mapping[str, PairRows]) -> Ints:
        of_captions, of_pairs = self._hard
        found = [np.zeros(0, np.int64)]
        if of_captions is not None and self._bank_row_S is not None and self._recipe.objective.whole_bank_weight > 0:
            found += [of_captions(self._bank_row_S[part.sentences_R]) for part in batch.by_lang.values()]
        if of_pairs is not None:
            found += [of_pairs(part.bank_rows_P) for part in pairs.values()]
        return np.concatenate(found)


def bank_pairs(bank: TeacherBank, runs: tuple[str, ...], pairs: Mapping[str, Pairs]) -> TeacherBank:
    """Ask teachers about the English sentences of pairs, once; what they say lies beside what they said of captions.

    Args:
        bank: of the same teachers; the clips are its own.
        runs: the teachers' folders.
        pairs: by language code.

    Returns:
        A bank whose sentence ids are the sentences.
    """
    sentences = list(dict.fromkeys(sentence for one in pairs.values() for sentence in one.english))
    return bank.of_sentences([_ask(Path(run), sentences) for run in runs], sentences)


def _ask(run: Path, sentences: list[str]) -> Floats:
    place = run / "bank" / f"pairs-{fingerprint(fingerprint_of(run), sentences)}.npy"
    if not place.is_file():
        teacher = open_run(run)
        shape = (len(sentences), teacher.settings.embed_dim)
        with write_aside(place) as aside:
            write_rows(aside, shape, lambda part: teacher.encode_text(sentences[part]))
    rows: Floats = np.load(place, mmap_mode="r")
    return rows


def _tabulate(
    pairs: Mapping[str, Pairs], text: TextTower, first_row: int, bank: TeacherBank | None
) -> tuple[dict[str, PairTable], Tokens]:
    tables, parts = {}, []
    for lang, one in pairs.items():
        rows = np.arange(len(one)) if bank is None else bank.sentence_rows(list(one.english))
        tables[lang] = PairTable(first_row=first_row, first_english=first_row + len(one), bank_row_N=rows)
        parts += [text.tokenize(one.texts), text.tokenize(one.english)]
        first_row += 2 * len(one)
    return tables, Tokens.joined(parts)
