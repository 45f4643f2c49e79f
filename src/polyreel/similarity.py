"""Cosine similarity between texts and clips, the best few of it, and what corrects it for hubs.

Evaluation and search both rank by these functions, so that a number in a report and a score on a search page are the
same thing. Rows are texts, columns are clips, everywhere. numpy only.

A hub is a clip that is near to almost any text. Querybank normalisation (Bogolin et al., 2022, QB-Norm) asks a bank of
training captions how near each clip is to texts that have nothing to do with it, and takes that off. Its dynamic
inverted softmax divides exp(s / t) by the sum of exp(s / t) over the bank, for texts whose nearest clip is nearest to
some text of the bank too. The logarithm of that is a number a clip to subtract: s - t log sum exp(s_bank / t).

Shapes: Q texts (queries), C clips, D dimensions, N rows of either, K best, B texts of a bank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyreel.errors import DataError, FingerprintError
from polyreel.storage import write_aside

Embeddings = npt.NDArray[np.float32]
"""One vector a row, `[N, D]`."""
Floats = npt.NDArray[np.floating]
BANK_FILE = "query_bank.safetensors"
_ROWS_AT_ONCE = 1024


def unit(rows_ND: Floats) -> Embeddings:
    """Scale each row to length 1; rows of zeros stay zeros.

    Args:
        rows_ND: matrix `[N, D]`.
    """
    norms_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND, dtype=np.float64))
    scaled_ND = rows_ND / np.where(norms_N > 0, norms_N, 1.0)[:, None]
    return scaled_ND.astype(np.float32)


def similarities(texts_QD: Floats, clips_CD: Floats) -> npt.NDArray[np.float32]:
    """Return cosine similarities `[Q, C]` of unit-length rows (see `unit`): `sims[q, c] = texts[q] · clips[c]`.

    Args:
        texts_QD: unit-length embeddings of texts, `[Q, D]`.
        clips_CD: unit-length embeddings of clips, `[C, D]`.

    Raises:
        ValueError: the two have different widths.
    """
    if texts_QD.shape[1] != clips_CD.shape[1]:
        raise ValueError(
            f"texts have width {texts_QD.shape[1]} and clips {clips_CD.shape[1]}; embed both with one model"
        )
    sims_QC: npt.NDArray[np.float32] = np.asarray(texts_QD, np.float32) @ np.asarray(clips_CD, np.float32).T
    return sims_QC


@dataclass(frozen=True, kw_only=True, eq=False)
class Hubs:
    """What a bank of texts says about clips.

    Attributes:
        offsets_C: what is taken off a clip's similarities, `[C]`.
        is_near_C: whether a clip is nearest to some text of the bank, `[C]`; only texts whose nearest clip is one of
            these are corrected.
    """

    offsets_C: npt.NDArray[np.float32]
    is_near_C: npt.NDArray[np.bool_]


def find_hubs(bank_BD: Floats, clips_CD: Floats, temperature: float) -> Hubs:
    """Ask a bank of texts how near each clip is to texts in general.

    Args:
        bank_BD: unit-length embeddings of the bank's texts.
        clips_CD: unit-length embeddings of clips.
        temperature: t above; the lower, the more the nearest texts of the bank alone count.
    """
    offsets_C = np.full(len(clips_CD), -np.inf)
    is_near_C = np.zeros(len(clips_CD), np.bool_)
    for start in range(0, len(bank_BD), _ROWS_AT_ONCE):
        sims_BC = similarities(bank_BD[start : start + _ROWS_AT_ONCE], clips_CD)
        is_near_C[np.unique(sims_BC.argmax(axis=1))] = True
        offsets_C = np.logaddexp(offsets_C, _log_sum_exp(sims_BC / temperature))
    return Hubs(offsets_C=(temperature * offsets_C).astype(np.float32), is_near_C=is_near_C)


def dual_softmax(texts_QD: Floats, clips_CD: Floats, temperature: float) -> tuple[Hubs, Hubs]:
    """Return what the product of the softmaxes over texts and over clips takes off clips, and what off texts.

    The logarithm of that product is 2 s / t less one number a row and one a column; a row's own number does not change
    its order (Cheng et al., 2021, CAMoE, multiply the similarity itself by one softmax). It reads all texts that are
    asked, so it cannot be used where texts come one by one, and its figures are of another task.
    """
    every_C, every_Q = np.ones(len(clips_CD), np.bool_), np.ones(len(texts_QD), np.bool_)
    half = np.float32(0.5)
    off_clips = half * find_hubs(texts_QD, clips_CD, temperature).offsets_C
    off_texts = half * find_hubs(clips_CD, texts_QD, temperature).offsets_C
    return Hubs(offsets_C=off_clips, is_near_C=every_C), Hubs(offsets_C=off_texts, is_near_C=every_Q)


def less_hubs(sims_QC: Floats, hubs: Hubs) -> npt.NDArray[np.float32]:
    """Return similarities with what hubs have too much taken off, in the rows that this concerns."""
    is_corrected_Q = hubs.is_near_C[sims_QC.argmax(axis=1)]
    return np.where(is_corrected_Q[:, None], sims_QC - hubs.offsets_C, sims_QC).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryBank:
    """Embeddings of training captions by language, kept in the folder of the model that made them.

    Attributes:
        model: fingerprint of that model.
        by_lang: unit-length embeddings, `[B, D]`, by language.
        temperature: chosen with it on validation clips.
    """

    model: str
    by_lang: Mapping[str, Embeddings]
    temperature: float

    def rows(self, lang: str | None = None) -> Embeddings:
        """Return the bank of one language; None: of all, where a text's language is not known.

        Raises:
            DataError: the bank has no captions in this language.
        """
        if lang is None:
            return np.concatenate(list(self.by_lang.values()))
        if lang not in self.by_lang:
            raise DataError(
                f"the query bank has no captions in {lang!r}; it has {', '.join(self.by_lang)}; make another with "
                "`polyreel query-bank`, of a split with captions in it"
            )
        return self.by_lang[lang]

    def save(self, model_folder: Path | str, file: str = BANK_FILE) -> None:
        """Write the bank beside the model's weights, in half precision."""
        halves = {lang: rows_BD.astype(np.float16) for lang, rows_BD in self.by_lang.items()}
        facts = {"model": self.model, "temperature": repr(self.temperature)}
        with write_aside(Path(model_folder) / file) as aside:
            save_file(halves, aside, metadata=facts)

    @classmethod
    def open(cls, model_folder: Path | str, model: str, file_name: str = BANK_FILE) -> Self:
        """Open the bank in a model's folder.

        Args:
            model_folder: where the model lies.
            model: fingerprint of the model that will be asked.
            file_name: which of the folder's banks.

        Raises:
            DataError: there is no bank, or it cannot be read.
            FingerprintError: it was made by another model.
        """
        file = Path(model_folder) / file_name
        if not file.is_file():
            raise DataError(f"{model_folder} has no {file_name}; make it with `polyreel query-bank RUN DATASET`")
        try:
            with safe_open(file, framework="numpy") as tensors:
                facts = tensors.metadata() or {}
                by_lang = {lang: unit(tensors.get_tensor(lang)) for lang in sorted(tensors.keys())}
            bank = cls(model=facts["model"], by_lang=by_lang, temperature=float(facts["temperature"]))
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"{file} cannot be read ({error}); make it anew with `polyreel query-bank`") from None
        if bank.model != model:
            raise FingerprintError(
                f"{file} was made by model {bank.model}, not by {model}, which lies there now; make it anew with "
                "`polyreel query-bank`"
            )
        return bank


def share_below(scores_N: Floats, background_B: Floats) -> npt.NDArray[np.float64]:
    """Return for each score which share of a background is lower; equal ones count half.

    Args:
        scores_N: what is to be judged.
        background_B: the same of what is known to mean little, one or more, in any order.

    Raises:
        ValueError: there is no background.
    """
    if not len(background_B):
        raise ValueError("there is no background to compare scores with")
    ordered_B = np.sort(background_B)
    lower_N, not_higher_N = (np.searchsorted(ordered_B, scores_N, side) for side in ("left", "right"))
    return np.asarray((lower_N + not_higher_N) / (2 * len(ordered_B)), np.float64)


def top_k(sims_QC: Floats, k: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Find the k most similar clips of each text, best first; among tied clips the earlier column comes first.

    Args:
        sims_QC: similarities `[Q, C]`.
        k: how many, 1 or more; all clips where there are fewer.

    Returns:
        Columns `[Q, K]` and their similarities `[Q, K]`.

    Raises:
        ValueError: k is below 1, or a similarity is NaN.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more")
    if np.isnan(sims_QC).any():
        raise ValueError("a similarity is NaN; the embeddings it was made of are broken")
    k = min(k, sims_QC.shape[1])
    if k == 0:
        return np.empty((len(sims_QC), 0), np.int64), sims_QC
    positions_QK = np.array([_best(sims_C, k) for sims_C in sims_QC], np.int64).reshape(-1, k)
    return positions_QK, np.take_along_axis(sims_QC, positions_QK, axis=1)


def _best(sims_C: Floats, k: int) -> npt.NDArray[np.int64]:
    threshold = np.partition(sims_C, -k)[-k]
    candidates = np.flatnonzero(sims_C >= threshold)  # ascending, so a stable sort keeps tied clips in their order
    return candidates[np.argsort(-sims_C[candidates], kind="stable")][:k]


def _log_sum_exp(values_BC: Floats) -> npt.NDArray[np.float64]:
    highest_C = values_BC.max(axis=0)
    return np.asarray(highest_C + np.log(np.exp(values_BC - highest_C, dtype=np.float64).sum(axis=0)), np.float64)
