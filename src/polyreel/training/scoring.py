"""From a batch to what it offers to the objective: the student's embeddings and similarities, and the teachers'.

Everything is computed once a step, here, so that the terms of the objective are functions of one frozen value.

Shapes as in `scored.py`; `N` texts of all languages, `P` pairs of one language, `S` candidates.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from polyreel.data.mapped import Ints
from polyreel.models.devices import placed
from polyreel.models.retriever import Retriever
from polyreel.training.batches import CaptionTable, LangRows, PairRows, ParallelBatch
from polyreel.training.beyond import Beyond
from polyreel.training.embedding import Embedder
from polyreel.training.pairs import ScoredPairs
from polyreel.training.recipes import Recipe
from polyreel.training.scored import AskedLang, OwnEnglish, ScoredBatch, ScoredLang, Taught
from polyreel.training.teachers import TeacherBank
from polyreel.training.whole_bank import KeptClips, OverBank


class Scorer:
    """Embed batches and ask the teachers about them.

    Args:
        recipe: tells who is asked.
        model: the student.
        table: the captions, tokenised.
        frames: of all clips, and their mask, as the video tower prepares them.
        bank: the teachers' embeddings; None where none are asked.
        known: caption ids in the teachers' language that count in its contrastive term; None: all.
        bank_row_S: the bank's row of each of the table's sentences, -1 for none; None: it is looked up.
        beyond: sentence pairs, and their bank; None where there are none.

    Attributes:
        embedder: embeds clips and captions by their positions.
        teachers_lang: the language the teachers read.
        kept: the student's embeddings of clips outside the batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Retriever,
        table: CaptionTable,
        frames: tuple[Tensor, Tensor],
        bank: TeacherBank | None,
        known: frozenset[str] | None = None,
        bank_row_S: Ints | None = None,
        beyond: Beyond | None = None,
    ) -> None:
        assert bank is None or bank.clip_ids == table.clip_ids, "the bank's rows are the table's clips"
        self._model, self._table, self._device = model, table, model.device
        self.embedder: nn.Module = Embedder(
            model,
            table.tokens if beyond is None else beyond.tokens,
            frames,
            sees_clips=recipe.objective.sees_clips,
            chunk=recipe.machine.chunk,
            is_half=recipe.precision == "bfloat16",
        )
        self._bank = None if bank is None else bank.to(self._device)
        if bank is not None and bank_row_S is None:
            bank_row_S = bank.sentence_rows(table.sentence_ids)
        self._bank_row_S = bank_row_S
        pair_bank = None if beyond is None else beyond.pair_bank
        self._pair_bank = None if pair_bank is None else pair_bank.to(self._device)
        self.kept = KeptClips(
            lambda clips: self._fixed(clips, self._nothing)[0], len(table.clip_ids), recipe.bank.refresh_every_steps
        )
        self._nothing = np.zeros(0, np.int64)
        self._is_known_S = None if known is None else np.array([one in known for one in table.sentence_ids])
        self.teachers_lang = recipe.teachers.lang
        self._objective = recipe.objective
        self._weight_N = table.weight_N if recipe.objective.weighs_captions else None

    def score(self, batch: ParallelBatch, teacher_weights_K: Tensor | None = None) -> ScoredBatch:
        """Embed all languages' captions in one pass, and compare each language with the batch's clips."""
        return self.compare(batch, self.embedder(batch.clips_B, batch.rows_N), teacher_weights_K)

    def compare(
        self, batch: ParallelBatch, embedded: tuple[Tensor, Tensor], teacher_weights_K: Tensor | None = None
    ) -> ScoredBatch:
        """Compare each language's captions with the batch's clips, given their embeddings.

        Args:
            batch: the batch, or some of its languages.
            embedded: unit embeddings of its clips `[B, D]`, and of its captions `[N, D]`, language after language.
            teacher_weights_K: how "learnt" pooling weighs the teachers.
        """
        clips_BD, texts_ND = embedded
        own = self._ask_itself(batch) if self._objective.asks_itself else {}
        candidates = batch.candidates
        seen_SD = None if candidates is None else torch.cat([clips_BD, self.kept.of(candidates)])
        by_lang, pairs, first = {}, {}, 0
        for lang, part in batch.by_lang.items():
            texts_RD, first = texts_ND[first : first + len(part.rows_R)], first + len(part.rows_R)
            asked = self.ask(lang, part, batch.clips_B)
            by_lang[lang] = ScoredLang(
                texts_RD=texts_RD,
                student_RC=texts_RD @ clips_BD.T,
                columns_R=asked.columns_R,
                taught=self._taught(asked, batch, texts_RD, seen_SD),
                own=own.get(lang),
                counted_R=asked.counted_R,
                weights_R=asked.weights_R,
            )
        for lang, rows in batch.pairs.items():
            texts_PD, first = texts_ND[first : first + len(rows.rows_P)], first + len(rows.rows_P)
            pairs[lang] = self._score_pairs(rows, batch, texts_PD, seen_SD)
        return ScoredBatch(
            clips_CD=clips_BD,
            by_lang=by_lang,
            teachers_lang=self.teachers_lang,
            teacher_weights_K=teacher_weights_K,
            pairs=pairs,
        )

    def ask(self, lang: str, part: LangRows, clips_B: Ints) -> AskedLang:
        """Look up what is known of one language's rows, and what the teachers made of their sentences and clips."""
        rows_V, bank_rows_V = None, None
        heard: tuple[Tensor, ...] = ()
        seen: tuple[Tensor, ...] = ()
        if self._bank is not None and self._bank_row_S is not None:
            bank_row_R = self._bank_row_S[part.sentences_R]
            rows_V = np.flatnonzero(bank_row_R >= 0)
            bank_rows_V = bank_row_R[rows_V]
            heard, seen = self._bank.sentences(bank_rows_V), self._bank.clips(clips_B)
        return AskedLang(
            columns_R=self._place(part.columns_R),
            counted_R=self._counted(part) if lang == self.teachers_lang else None,
            weights_R=None if self._weight_N is None else placed(self._weight_N[part.rows_R], self._device),
            rows_V=None if rows_V is None else self._place(rows_V),
            bank_rows_V=bank_rows_V,
            heard=heard,
            seen=seen,
        )

    def _counted(self, part: LangRows) -> Tensor | None:
        if self._is_known_S is None:
            return None
        return self._place(np.flatnonzero(self._is_known_S[part.sentences_R]))

    def _taught(
        self, asked: AskedLang, batch: ParallelBatch, texts_RD: Tensor, seen_SD: Tensor | None
    ) -> Taught | None:
        taught = asked.taught
        if taught is None or seen_SD is None or self._objective.whole_bank_weight == 0:
            return taught
        assert self._bank is not None
        assert asked.bank_rows_V is not None
        texts_VD = texts_RD[taught.rows_V]
        return replace(taught, over_bank=self._over_bank(self._bank, asked.bank_rows_V, texts_VD, batch, seen_SD))

    def _score_pairs(
        self, rows: PairRows, batch: ParallelBatch, texts_PD: Tensor, seen_SD: Tensor | None
    ) -> ScoredPairs:
        over_bank = None
        if self._pair_bank is not None and seen_SD is not None:
            over_bank = self._over_bank(self._pair_bank, rows.bank_rows_P, texts_PD, batch, seen_SD)
        english_PD = self._embed_fixed([rows.english_P]) if self._objective.pair_alignment_weight > 0 else None
        return ScoredPairs(texts_PD=texts_PD, english_PD=english_PD, over_bank=over_bank)

    def _over_bank(
        self, bank: TeacherBank, bank_rows: Ints, texts_VD: Tensor, batch: ParallelBatch, seen_SD: Tensor
    ) -> OverBank:
        candidates = batch.candidates
        assert candidates is not None, "there are embeddings of candidates"
        return OverBank(
            student_VS=texts_VD @ seen_SD.T,
            teachers_KVS=bank.gather(bank_rows, np.concatenate([batch.clips_B, candidates.others_T])),
            log_weights_S=torch.from_numpy(candidates.log_weights_S).to(self._device),
        )

    def _ask_itself(self, batch: ParallelBatch) -> dict[str, OwnEnglish]:
        """Embed the sentences of all other languages as they stand in the teachers' language, in one pass."""
        english = self._table.by_lang[self.teachers_lang]
        places: dict[str, tuple[Ints, Ints]] = {}
        for lang, part in batch.by_lang.items():
            if lang != self.teachers_lang:
                row_R = english.row_of_sentence_S[part.sentences_R]
                rows_U = np.flatnonzero(row_R >= 0)
                places[lang] = rows_U, english.first_row + row_R[rows_U]
        texts_ND = self._embed_fixed([captions_U for _, captions_U in places.values()])
        found, first = {}, 0
        for lang, (rows_U, _) in places.items():
            texts_UD, first = texts_ND[first : first + len(rows_U)], first + len(rows_U)
            found[lang] = OwnEnglish(rows_U=self._place(rows_U), texts_UD=texts_UD)
        return found

    def _embed_fixed(self, captions: list[Ints]) -> Tensor:
        rows, place_N = np.unique(np.concatenate([*captions, np.zeros(0, np.int64)]), return_inverse=True)
        if not len(rows):
            return torch.zeros(0, self._model.settings.embed_dim, device=self._device)
        return self._fixed(self._nothing, rows)[1][self._place(place_N)]

    def _fixed(self, clips: Ints, captions: Ints) -> tuple[Tensor, Tensor]:
        """Embed without gradient or dropout."""
        was_training = self._model.training
        self._model.eval()
        with torch.no_grad():
            found: tuple[Tensor, Tensor] = self.embedder(clips, captions)
        self._model.train(was_training)
        return found

    def _place(self, positions: Ints) -> Tensor:
        return placed(positions, self._device)
