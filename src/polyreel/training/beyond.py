"""What each step looks at beyond its batch: sentence pairs, and the clips that sentences are compared with.

Everything is a function of the recipe, its seed and the step, like the batches themselves; a run that goes on after a
stop sees what it would have seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import PREPARED, Ints
from polyreel.data.pairs import Pairs
from polyreel.models.devices import CPU
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.storage import fingerprint, write_aside
from polyreel.training.batches import CaptionTable, PairRows, ParallelBatch
from polyreel.training.candidates import choose_candidates, hard_clips
from polyreel.training.encoders import Checked, Encoder, is_foreign, open_foreign
from polyreel.training.pairs import PairTable, WithPairs
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import TeacherBank, open_run, write_rows


class Beyond:
    """Pairs and candidate clips, step by step.

    Args:
        recipe: how many of which.
        table: the captions, tokenised.
        text: cuts the pairs' sentences into tokens.
        bank: what the teachers say of captions and clips; None where nobody is asked.
        pairs: sentence pairs by language code.
        pair_bank: what the teachers say of the pairs' sentences; None where nobody is asked.
        bank_row_S: the bank's row of each of the table's sentences, -1 for none; None: nobody is asked of captions.

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
        bank_row_S: Ints | None = None,
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
        self._bank_row_S = bank_row_S

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


def bank_pairs(
    bank: TeacherBank,
    teachers: Sequence[str],
    pairs: Mapping[str, Pairs],
    dataset: Dataset,
    features: FeatureStore,
    device: torch.device = CPU,
) -> TeacherBank:
    """Ask teachers about the English sentences of pairs, once; what they say lies where their bank does.

    Args:
        bank: of the same teachers; the clips are its own.
        teachers: the teachers' folders or names.
        pairs: by language code.
        dataset: beside which lies what teachers without a run say.
        features: that the teachers read.
        device: where those that were not asked yet compute.

    Returns:
        A bank whose sentence ids are the sentences.
    """
    sentences = list(dict.fromkeys(sentence for one in pairs.values() for sentence in one.english))
    asked = []
    for name, found, dim in zip(teachers, bank.fingerprints, bank.dims, strict=True):
        place = _bank_folder(name, dataset) / f"pairs-{fingerprint(found, sentences)}.npy"
        if not place.is_file():
            _ask(place, _open(name, features, device), sentences, dim)
        asked.append(np.load(place, mmap_mode="r"))
    return bank.of_sentences(asked, sentences)


def _bank_folder(name: str, dataset: Dataset) -> Path:
    if not is_foreign(name):
        return Path(name) / "bank"
    assert dataset.folder is not None, "what this teacher says of captions lies there"
    return dataset.folder / PREPARED


def _open(name: str, features: FeatureStore, device: torch.device) -> Encoder:
    return Checked(open_foreign(name, features, device)) if is_foreign(name) else open_run(Path(name)).to(device)


def _ask(place: Path, teacher: Encoder, sentences: Sequence[str], dim: int) -> None:
    with write_aside(place) as aside:
        write_rows(aside, (len(sentences), dim), lambda part: teacher.encode_text(sentences[part]))


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
