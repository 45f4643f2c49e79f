"""Values between scoring and the objective: what is known of a batch, by language, and what is said of it.

Shapes: `R` rows (texts of one language in the batch), `C` columns (clips of the batch), `K` teachers, `D` dims, `V`
rows whose sentence the teachers have read, `U` rows whose sentence exists in the teachers' language. A row's own clip
is `columns_R`; clips without a caption in the language have no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from polyreel.data.mapped import Ints
from polyreel.training.pairs import ScoredPairs
from polyreel.training.whole_bank import OverBank


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
class AskedLang:
    """What is known of one language's rows before anything is compared.

    Attributes:
        columns_R: which clip each row describes; all different.
        counted_R: rows that count in the contrastive term, with their clips; None: all rows, with all clips.
        weights_R: how much each row counts, where the objective weighs captions; None: all alike.
        rows_V: positions of the rows whose sentence the teachers have read; None where no teachers are asked.
        heard: the teachers' unit embeddings `[V, D]` of the sentences, one matrix a teacher.
        seen: and `[C, D]` of the batch's clips.
        bank_rows_V: where the bank has these sentences; None where no teachers are asked.
    """

    columns_R: Tensor
    counted_R: Tensor | None
    weights_R: Tensor | None
    rows_V: Tensor | None
    heard: tuple[Tensor, ...]
    seen: tuple[Tensor, ...]
    bank_rows_V: Ints | None = None

    @property
    def taught(self) -> Taught | None:
        """What the teachers say of the batch, all of it."""
        if self.rows_V is None:
            return None
        sims_KVC = torch.stack([texts @ clips.T for texts, clips in zip(self.heard, self.seen, strict=True)])
        return Taught(rows_V=self.rows_V, sims_KVC=sims_KVC, texts=self.heard)


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
