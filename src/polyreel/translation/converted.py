"""Models converted to CTranslate2, which translate several times faster on a processor, with weights of 8 bits.

A converted folder is accepted as others made it: with a transformers tokenizer in it, with the SentencePiece models
`source.spm` and `target.spm` of an Opus-MT model, or with the tokenizer of a model that is named.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import ctranslate2
import numpy as np

from polyreel.errors import DataError
from polyreel.progress import quietly
from polyreel.storage import Json, read_json, write_aside, write_json
from polyreel.translation.lang_marks import LangMarks, check_pair
from polyreel.translation.translator import Sentence, Translated, TranslationSettings, revision_of, shown_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_M2M_100 = "M2M100ForConditionalGeneration"  # its converter needs what transformers 5 no longer tells
_VERSION = ctranslate2.__version__


class _Pieces(Protocol):
    """Cuts sentences into the pieces a model reads, and joins those it writes."""

    def cut(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> list[list[str]]: ...

    def first(self, target_lang: str) -> list[str]: ...

    def join(self, pieces: Sequence[str]) -> str: ...

    def check(self, source_lang: str, target_lang: str) -> None: ...


class ConvertedTranslator:
    """A model converted to CTranslate2.

    Args:
        folder: with `model.bin` in it.
        settings: how it decodes, and what it computes with.
        device: where it computes.
        threads: of the processor.

    Raises:
        DataError: the folder holds no converted translation model, or no tokenizer is known for it.
    """

    shares_texts = True

    def __init__(
        self,
        folder: Path,
        settings: TranslationSettings,
        device: Literal["auto", "cpu", "cuda"] = "cpu",
        threads: int = 1,
    ) -> None:
        chosen = settings.ctranslate2
        try:
            self._translator = ctranslate2.Translator(
                str(folder), device=device, compute_type=chosen.compute_type, inter_threads=1, intra_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{folder} is no translation model that CTranslate2 {_VERSION} opens ({error})") from None
        self.name = shown_name(str(folder))
        self.revision = revision_of(str(folder))
        self._max_tokens = settings.max_tokens
        self._pieces = _open_pieces(folder, chosen.tokenizer, self.name)
        self.settings: dict[str, Json] = {
            "beams": settings.beams,
            "max_tokens": settings.max_tokens,
            "compute_type": chosen.compute_type,
        }
        if chosen.tokenizer is not None:
            self.settings["tokenizer"] = shown_name(chosen.tokenizer)

    def check(self, source_lang: str, target_lang: str) -> None:
        """Refuse languages the model has no mark for.

        Raises:
            DataError: naming those it has.
        """
        self._pieces.check(source_lang, target_lang)

    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Translate sentences as one batch."""
        cut = self._pieces.cut(sentences, source_lang, target_lang)
        first = self._pieces.first(target_lang)
        try:
            results = self._translator.translate_batch(
                cut,
                target_prefix=[first] * len(cut) if first else None,
                beam_size=self.settings["beams"],
                max_decoding_length=self._max_tokens,
            )
        except RuntimeError as error:
            raise DataError(f"model {self.name!r} fails ({error}); is max_tokens too many for it?") from None
        written = [result.hypotheses[0][len(first) :] for result in results]
        return Translated(
            texts=tuple(self._pieces.join(pieces).strip() for pieces in written),
            tokens_read=sum(map(len, cut)),
            tokens_written=sum(map(len, written)),
        )


def convert_model(model: str, output: Path, quantization: str = "int8") -> Path:
    """Convert a translation model of transformers, with its tokenizer, to a folder of CTranslate2.

    Args:
        model: a folder, or a name on the Hugging Face hub.
        output: the folder to make.
        quantization: number type of the weights.

    Raises:
        DataError: the folder is taken, or the model's architecture cannot be converted.
    """
    from transformers import AutoConfig, AutoTokenizer

    if output.exists():
        raise DataError(f"{output} exists; name another folder")
    architectures = AutoConfig.from_pretrained(model).architectures or ()
    if _M2M_100 in architectures and not _knows_its_marks(AutoTokenizer.from_pretrained(model)):
        raise DataError(
            f"model {model!r} is of M2M-100, whose languages CTranslate2 {_VERSION} cannot read under transformers 5; "
            "use it unconverted, convert it where transformers 4 is installed, or choose NLLB-200 or Opus-MT"
        )
    converter = ctranslate2.converters.TransformersConverter(model)
    with write_aside(output) as aside, quietly():
        try:
            converter.convert(str(aside), quantization=quantization)
        except (ValueError, RuntimeError, AttributeError) as error:
            raise DataError(f"model {model!r} cannot be converted by CTranslate2 {_VERSION}: {error}") from None
        tokenizer = AutoTokenizer.from_pretrained(model)
        tokenizer.save_pretrained(aside)
        config = read_json(aside / "config.json")
        if config.get("bos_token", "") is None:  # of mBART-50, whose tokenizer no longer names one in transformers 5
            write_json(aside / "config.json", {**config, "bos_token": tokenizer.cls_token})
    return output


def _knows_its_marks(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return not hasattr(tokenizer, "lang_token_to_id") or set(tokenizer.lang_token_to_id) <= set(tokenizer.get_vocab())


def _open_pieces(folder: Path, tokenizer: str | None, name: str) -> _Pieces:
    if tokenizer is not None or (folder / "tokenizer_config.json").is_file():
        return _TransformersPieces(tokenizer or str(folder), name)
    if (folder / "source.spm").is_file() and (folder / "target.spm").is_file():
        return _SentencePieces(folder, name)
    raise DataError(
        f"{folder} has no tokenizer: neither tokenizer_config.json nor source.spm and target.spm; copy those of the "
        "model that was converted into it, or name that model with --set ctranslate2.tokenizer=NAME"
    )


class _TransformersPieces:
    """The tokenizer of a transformers model."""

    def __init__(self, tokenizer: str, name: str) -> None:
        from transformers import AutoTokenizer

        from polyreel.translation import seq2seq

        self._seq2seq = seq2seq
        self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        self._marks = LangMarks(seq2seq.vocabulary_of(self._tokenizer))
        self._name = name

    def check(self, source_lang: str, target_lang: str) -> None:
        self._seq2seq.check_marks(self._marks, self._name, source_lang, target_lang)

    def cut(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> list[list[str]]:
        texts, _ = self._seq2seq.marked(self._tokenizer, self._marks, self._name, sentences, source_lang, target_lang)
        ids = self._tokenizer(texts, truncation=True)["input_ids"]
        return [list(self._tokenizer.convert_ids_to_tokens(row)) for row in ids]

    def first(self, target_lang: str) -> list[str]:
        has_first = self._marks.marks and not self._marks.are_in_the_text
        return [self._marks.mark_of(target_lang, self._name)] if has_first else []

    def join(self, pieces: Sequence[str]) -> str:
        ids = np.atleast_1d(self._tokenizer.convert_tokens_to_ids(list(pieces))).tolist()
        return self._seq2seq.joined(self._tokenizer, self._marks, ids)


class _SentencePieces:
    """The two SentencePiece models of an Opus-MT model, as they come in converted folders."""

    def __init__(self, folder: Path, name: str) -> None:
        from sentencepiece import SentencePieceProcessor

        self._source = SentencePieceProcessor(model_file=str(folder / "source.spm"))
        self._target = SentencePieceProcessor(model_file=str(folder / "target.spm"))
        self._marks = LangMarks(_vocabulary(folder))
        self._name = name

    def check(self, source_lang: str, target_lang: str) -> None:
        if self._marks.marks:
            self._marks.mark_of(target_lang, self._name)
        else:
            check_pair(self._name, source_lang, target_lang)

    def cut(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> list[list[str]]:
        mark = [self._marks.mark_of(target_lang, self._name)] if self._marks.marks else []
        return [[*mark, *self._source.encode(sentence.text, out_type=str), "</s>"] for sentence in sentences]

    def first(self, target_lang: str) -> list[str]:
        return []

    def join(self, pieces: Sequence[str]) -> str:
        return str(self._target.decode([piece for piece in pieces if piece not in self._marks]))


def _vocabulary(folder: Path) -> set[str]:
    files = [file for file in folder.iterdir() if file.name.endswith("_vocabulary.json")]
    return {token for file in files for token in json.loads(file.read_text("utf-8"))}
