"""Translation models of transformers: NLLB-200, M2M-100, MADLAD-400, Opus-MT (Marian), mBART-50, by name or folder."""

from collections.abc import Sequence
from typing import Literal

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase

from polyreel.errors import DataError, MissingExtraError
from polyreel.progress import quietly
from polyreel.storage import Json
from polyreel.translation.lang_marks import LangMarks, check_pair
from polyreel.translation.translator import Sentence, Translated, TranslationSettings, revision_of, shown_name

ARCHITECTURES = {
    "m2m_100": "NLLB-200 and M2M-100", "nllb-moe": "NLLB-200", "mbart": "mBART-50", "t5": "MADLAD-400",
    "marian": "Opus-MT",
}  # fmt: skip


class Seq2SeqTranslator:
    """A translation model of transformers.

    Args:
        model: a folder, or a name on the Hugging Face hub.
        settings: how it decodes.
        device: where it computes; "auto": a GPU if there is one.

    Raises:
        DataError: the model cannot be read, or is no translation model.
    """

    shares_texts = True

    def __init__(
        self, model: str, settings: TranslationSettings, device: Literal["auto", "cpu", "cuda"] = "cpu"
    ) -> None:
        try:
            with quietly():
                self._tokenizer = AutoTokenizer.from_pretrained(model)
                self._model = AutoModelForSeq2SeqLM.from_pretrained(model)
        except ImportError:
            raise MissingExtraError(f"the tokenizer of {model!r}", "mt") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{model!r} is no translation model that can be read ({str(error).splitlines()[0]}); name a folder or "
                "a model of the hub, as in Helsinki-NLP/opus-mt-en-de"
            ) from None
        self.name = shown_name(model)
        self.marks = LangMarks(vocabulary_of(self._tokenizer))
        kind = self._model.config.model_type
        if kind not in ARCHITECTURES or (kind != "marian" and not self.marks.marks):
            raise DataError(
                f"model {model!r} is of the kind {kind!r} and has no marks of languages; known are "
                f"{', '.join(ARCHITECTURES.values())}"
            )
        self.revision = revision_of(model, getattr(self._model.config, "_commit_hash", None))
        self.settings: dict[str, Json] = {"beams": settings.beams, "max_tokens": settings.max_tokens}
        has_gpu = torch.cuda.is_available()
        self._model.to("cuda" if device == "cuda" or (device == "auto" and has_gpu) else "cpu").eval()

    def check(self, source_lang: str, target_lang: str) -> None:
        """Refuse languages the model has no mark for.

        Raises:
            DataError: naming those it has.
        """
        check_marks(self.marks, self.name, source_lang, target_lang)

    @torch.inference_mode()
    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Translate sentences as one batch."""
        texts, forced = marked(self._tokenizer, self.marks, self.name, sentences, source_lang, target_lang)
        batch = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True).to(self._model.device)
        written = self._model.generate(
            **batch,
            num_beams=self.settings["beams"],
            do_sample=False,
            max_new_tokens=self.settings["max_tokens"],
            forced_bos_token_id=None if forced is None else self._tokenizer.convert_tokens_to_ids(forced),
        )
        return Translated(
            texts=tuple(joined(self._tokenizer, self.marks, row.tolist()) for row in written),
            tokens_read=int(batch["attention_mask"].sum()),
            tokens_written=int((written != self._tokenizer.pad_token_id).sum()),
        )


def marked(
    tokenizer: PreTrainedTokenizerBase,
    marks: LangMarks,
    model: str,
    sentences: Sequence[Sentence],
    source_lang: str,
    target_lang: str,
) -> tuple[list[str], str | None]:
    """Tell a tokenizer the languages: return the texts to read, and the mark the translation must begin with.

    Raises:
        DataError: the model does not know a language.
    """
    texts = [sentence.text for sentence in sentences]
    if not marks.marks:
        return texts, None
    target = marks.mark_of(target_lang, model)
    if marks.are_in_the_text:
        return [f"{target} {text}" for text in texts], None
    tokenizer.src_lang = marks.mark_of(source_lang, model).strip("_")
    return texts, target


def joined(tokenizer: PreTrainedTokenizerBase, marks: LangMarks, ids: Sequence[int]) -> str:
    """Make a text of the ids a model wrote, without marks, which M2M-100's tokenizer does not count as special."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    kept = [number for number, token in zip(ids, tokens, strict=True) if token not in marks]
    return str(tokenizer.decode(kept, skip_special_tokens=True)).strip()


def check_marks(marks: LangMarks, model: str, source_lang: str, target_lang: str) -> None:
    """Refuse languages that a model has no mark for.

    Raises:
        DataError: naming those it has.
    """
    if not marks.marks:
        check_pair(model, source_lang, target_lang)
        return
    marks.mark_of(target_lang, model)
    if not marks.are_in_the_text:
        marks.mark_of(source_lang, model)


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return a tokenizer's tokens, with the marks that M2M-100 keeps apart."""
    return {*tokenizer.get_vocab(), *getattr(tokenizer, "lang_token_to_id", {})}
