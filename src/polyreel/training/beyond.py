"""What each step looks at beyond its batch: sentence pairs, and the clips that sentences are compared with.

Everything is a function of the recipe, its seed and the step, like the batches themselves; a run that goes on after a
stop sees what it would have seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from polyreel.data.mapped import Ints
from polyreel.data.pairs import Pairs
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.storage import Json
from polyreel.training.batches import CaptionTable, PairRows, ParallelBatch
from polyreel.training.candidates import choose_candidates
from polyreel.training.material import Material
from polyreel.training.pairs import PairTable, WithPairs
from polyreel.training.prepared import prepare_hard_clips
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import TeacherBank


class Beyond:
    """Pairs and candidate clips, step by step.

    Args:
        recipe: how many of which.
        material: sentence pairs, and what the teachers say of them and of the captions.
        table: the captions, tokenised.
        text: cuts the pairs' sentences into tokens.
        bank_row_S: the bank's row of each of the table's sentences, -1 for none; None: nobody is asked of captions.

    Attributes:
        tokens: of captions, and of pairs behind them.
        pair_bank: what the teachers say of the pairs' sentences; None where nobody is asked.
    """

    def __init__(
        self, recipe: Recipe, material: Material, table: CaptionTable, text: TextTower, bank_row_S: Ints | None
    ) -> None:
        self._recipe, self._num_clips, self._bank_row_S = recipe, len(table.clip_ids), bank_row_S
        self._pairs, self.pair_bank = material.pairs, material.pair_bank
        self.tokens: Tokens | WithPairs = table.tokens
        self._tables: dict[str, PairTable] = {}
        if recipe.objective.learns_pairs:
            self._tables, tokens = _tabulate(material.pairs, text, len(table.tokens), self.pair_bank)
            self.tokens = WithPairs(table.tokens, tokens)
        of_captions = material.bank if recipe.objective.whole_bank_weight > 0 else None
        self._hard_of_captions_QH, self._hard_of_pairs_QH = (
            None if bank is None else prepare_hard_clips(material.learnt, bank, recipe, material.inputs)
            for bank in (of_captions, self.pair_bank)
        )

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

    def record(self, batch: ParallelBatch) -> list[dict[str, Json]]:
        """Return number, language and both sides of every pair of a batch."""
        return [
            {"pair": number, "lang": lang, "text": pairs.texts[number], "english": pairs.english[number]}
            for lang, part in batch.pairs.items()
            for pairs in [self._pairs[lang]]
            for number in (part.rows_P - self._tables[lang].first_row).tolist()
        ]

    def _hard_of(self, batch: ParallelBatch, pairs: Mapping[str, PairRows]) -> Ints:
        """Return the hard clips of a step's sentences, repeated or not; one that nobody has read has none."""
        found = [np.zeros(0, np.int32)]
        if self._hard_of_captions_QH is not None and self._bank_row_S is not None:
            for part in batch.by_lang.values():
                rows_R = self._bank_row_S[part.sentences_R]
                found.append(self._hard_of_captions_QH[rows_R[rows_R >= 0]].ravel())
        if self._hard_of_pairs_QH is not None:
            found += [self._hard_of_pairs_QH[part.bank_rows_P].ravel() for part in pairs.values()]
        return np.concatenate(found).astype(np.int64)


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
