"""What translates, by the name it has on the command line."""

from pathlib import Path
from typing import Literal

from polyreel.errors import saying_which_extra
from polyreel.translation.translator import TranslationSettings, Translator


def open_translator(
    model: str,
    settings: TranslationSettings | None = None,
    *,
    api_key: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "cpu",
    threads: int = 1,
) -> Translator:
    """Open a translator by name.

    Args:
        model: `ctranslate2:FOLDER` of a converted model, `endpoint:MODEL` of an OpenAI-compatible HTTP endpoint,
            `table:FILE` of translations somebody has; any other is a model of transformers by folder or name on the
            Hugging Face hub, and a folder with `model.bin` in CTranslate2's form is taken for what it is.
        settings: how it translates; None: the defaults.
        api_key: for an endpoint that wants one.
        device: where a model computes.
        threads: of the processor, for a converted model; the others follow `OMP_NUM_THREADS`.

    Raises:
        DataError: there is no such model, or it cannot be used.
        MissingExtraError: what it needs is not installed.
    """
    settings = settings or TranslationSettings()
    with saying_which_extra(f"the translator {model!r}"):
        translator = _open(model, settings, api_key, device, threads)
    if not settings.keep:
        return translator
    from polyreel.translation.placeholders import Keeping

    return Keeping(translator, settings.keep)


def _open(
    model: str,
    settings: TranslationSettings,
    api_key: str | None,
    device: Literal["auto", "cpu", "cuda"],
    threads: int,
) -> Translator:
    kind, _, rest = model.partition(":")
    if kind == "table":
        from polyreel.translation.given import GivenTranslations

        return GivenTranslations(Path(rest))
    if kind == "endpoint":
        from polyreel.translation.endpoint import EndpointTranslator

        return EndpointTranslator(rest, settings, api_key)
    if kind == "ctranslate2" or _is_converted(Path(model)):
        from polyreel.translation.converted import ConvertedTranslator

        return ConvertedTranslator(Path(rest if kind == "ctranslate2" else model), settings, device, threads)
    from polyreel.translation.seq2seq import Seq2SeqTranslator

    return Seq2SeqTranslator(model, settings, device)


def _is_converted(folder: Path) -> bool:
    return (folder / "model.bin").is_file() and any(folder.glob("*_vocabulary.*"))
