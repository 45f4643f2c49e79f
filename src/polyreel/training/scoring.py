"""What a batch offers to the objective: the student's embeddings and similarities, and what the teachers say of them.

Everything is computed once a step, here, so that the terms of the objective are functions of one frozen value.

Shapes: `R` rows (texts of one language in the batch), `C` columns (clips of the batch), `K` teachers, `D` dims, `V`
rows whose sentence the teachers have read, `U` rows whose sentence exists in the teachers' language, `N` texts of all
languages. A row's own clip is `columns_R`; clips without a caption in the language have no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from polyreel.models.devices import placed
from polyreel.models.retriever import Retriever
from polyreel.training.batches import CaptionTable, Ints, LangRows, PairRows, ParallelBatch
from polyreel.training.beyond import Beyond
from polyreel.training.embedding import Embedder
from polyreel.training.pairs import ScoredPairs
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import TeacherBank
from polyreel.training.whole_bank import KeptClips, OverBank


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What the teachers say of one language's rows: they read the same sentences in their own language.

    Attributes:
        rows_V: positions of the rows whose sentence they have read.
        sims_KVC: their cosine similarities.
        texts: unit embeddings `[V, D]` of the sentences, one matrix a teacher, each of the teacher's own width.
        over_bank: the student and the teachers beyond the batch; None where nothing asks.
    """

    rows_V: Tensor
    sims_KVC: Tensor
    texts: tuple[Tensor, ...] = ()
    over_bank: OverBank | None = None


@dataclass(frozen=True, kw_only=True)
class OwnEnglish:
    """What the student itself makes of the same sentences in the teachers' language, without gradient.

    Attributes:
        rows_U: positions of the rows whose sentence exists in that language.
        texts_UD: unit embeddings of these sentences.
    """

    rows_U: Tensor
    texts_UD: Tensor


@dataclass(frozen=True, kw_only=True)
class ScoredLang:
    """One language's part of a scored batch.

    Attributes:
        texts_RD: the student's unit embeddings of the captions.
        student_RC: their cosine similarities with the batch's clips.
        columns_R: which clip each row describes; all different.
        taught: None where no teachers are asked.
        own: None where the student is not asked, and in the teachers' language.
        counted_R: rows that count in the contrastive term, with their clips; None: all rows, with all clips.
        weights_R: how much each row counts, where the objective weighs captions; None: all alike.
    """

    texts_RD: Tensor
    student_RC: Tensor
    columns_R: Tensor
    taught: Taught | None = None
    own: OwnEnglish | None = None
    counted_R: Tensor | None = None
    weights_R: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class ScoredBatch:
    """What a batch offers to the objective.

    Attributes:
        clips_CD: the student's unit embeddings of the batch's clips.
        by_lang: texts and similarities by language code.
        teachers_lang: the language the teachers read.
        teacher_weights_K: how "learnt" pooling weighs the teachers, summing to 1; None where weights are not learnt.
        pairs: sentence pairs by language code.
    """

    clips_CD: Tensor
    by_lang: Mapping[str, ScoredLang]
    teachers_lang: str = "en"
    teacher_weights_K: Tensor | None = None
    pairs: Mapping[str, ScoredPairs] = field(default_factory=dict)


class Scorer:
    """Embed batches and ask the teachers about them.

    Args:
        recipe: tells who is asked.
        model: the student.
        table: the captions, tokenised.
        frames: of all clips, and their mask, as the video tower prepares them.
        bank: the teachers' embeddings; None where none are asked.
        known: caption ids in the teachers' language that count in its contrastive term; None: all.
        beyond: sentence pairs, and their bank; None where there are none.

    Attributes:
        embedder: embeds clips and captions by their positions.
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
        pair_bank = None if beyond is None else beyond.pair_bank
        self._pair_bank = None if pair_bank is None else pair_bank.to(self._device)
        self._aligns_pairs = recipe.objective.pair_alignment_weight > 0
        self._nothing = np.zeros(0, np.int64)
        self.kept = KeptClips(
            lambda clips: self._fixed(clips, self._nothing)[0], len(table.clip_ids), recipe.bank.refresh_every_steps
        )
        self._bank_row_S = None if bank is None else bank.sentence_rows(table.sentence_ids)
        self._is_known_S = None if known is None else np.array([str(one) in known for one in table.sentence_ids])
        self._lang = recipe.teachers.lang
        self._asks_itself = recipe.objective.asks_itself
        self._looks_beyond_captions = recipe.objective.whole_bank_weight > 0
        self._weight_N = torch.tensor(table.weight_N) if recipe.objective.weighs_captions else None

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
        own = self._ask_itself(batch) if self._asks_itself else {}
        candidates = batch.candidates
        seen_SD = None if candidates is None else torch.cat([clips_BD, self.kept.of(candidates)])
        by_lang, first = {}, 0
        for lang, part in batch.by_lang.items():
            texts_RD, first = texts_ND[first : first + len(part.rows_R)], first + len(part.rows_R)
            by_lang[lang] = ScoredLang(
                texts_RD=texts_RD,
                student_RC=texts_RD @ clips_BD.T,
                columns_R=self._place(part.columns_R),
                taught=self._ask_teachers(part, batch, texts_RD, seen_SD),
                own=own.get(lang),
                counted_R=self._counted(part) if lang == self._lang else None,
                weights_R=None if self._weight_N is None else self._weight_N[part.rows_R].to(self._device),
            )
        pairs = {}
        for lang, rows in batch.pairs.items():
            texts_PD, first = texts_ND[first : first + len(rows.rows_P)], first + len(rows.rows_P)
            pairs[lang] = self._score_pairs(rows, batch, texts_PD, seen_SD)
        return ScoredBatch(
            clips_CD=clips_BD,
            by_lang=by_lang,
            teachers_lang=self._lang,
            teacher_weights_K=teacher_weights_K,
            pairs=pairs,
        )

    def _counted(self, part: LangRows) -> Tensor | None:
        if self._is_known_S is None:
            return None
        return self._place(np.flatnonzero(self._is_known_S[part.sentences_R]))

    def _ask_teachers(
        self, part: LangRows, batch: ParallelBatch, texts_RD: Tensor, seen_SD: Tensor | None
    ) -> Taught | None:
        if self._bank is None or self._bank_row_S is None:
            return None
        bank_row_R = self._bank_row_S[part.sentences_R]
        rows_V = np.flatnonzero(bank_row_R >= 0)
        bank_row_V = bank_row_R[rows_V]
        placed_V = self._place(rows_V)
        over_bank = None
        if self._looks_beyond_captions and seen_SD is not None:
            over_bank = self._over_bank(self._bank, bank_row_V, texts_RD[placed_V], batch, seen_SD)
        return Taught(
            rows_V=placed_V,
            sims_KVC=self._bank.gather(bank_row_V, batch.clips_B),
            texts=self._bank.sentences(bank_row_V),
            over_bank=over_bank,
        )

    def _score_pairs(
        self, rows: PairRows, batch: ParallelBatch, texts_PD: Tensor, seen_SD: Tensor | None
    ) -> ScoredPairs:
        over_bank = None
        if self._pair_bank is not None and seen_SD is not None:
            over_bank = self._over_bank(self._pair_bank, rows.bank_rows_P, texts_PD, batch, seen_SD)
        english_PD = self._embed_fixed([rows.english_P]) if self._aligns_pairs else None
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
        english = self._table.by_lang[self._lang]
        places: dict[str, tuple[Ints, Ints]] = {}
        for lang, part in batch.by_lang.items():
            if lang != self._lang:
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
