"""Verbs that make a dataset multilingual: translate, convert."""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from polyreel.cli.options import DatasetFolder, Device, Quiet, Threads, use_threads
from polyreel.cli.progress import shown
from polyreel.errors import ItemsFailedError, saying_which_extra

if TYPE_CHECKING:
    from polyreel.translation.translate import TranslationRun
    from polyreel.translation.translator import EndpointSettings


Languages = Annotated[str, Option("--to", metavar="LANGS", help="Languages, like de,fr,sw.", show_default=False)]
Model = Annotated[
    str,
    Option(
        "--model",
        metavar="NAME",
        help="A model's name or folder ({lang} becomes each language), ctranslate2:FOLDER, endpoint:MODEL, table:FILE.",
        show_default=False,
    ),
]
Output = Annotated[Path, Option("--output", "-o", metavar="DIR", help="Dataset to write.", show_default=False)]
Changes = Annotated[
    list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change a setting, like beams=1; may be repeated.")
]
Preferred = Annotated[
    str | None, Option("--prefer", metavar="MODEL", help="Choose this model's texts; else the best score.")
]


def translate(
    dataset: DatasetFolder,
    to: Languages,
    model: Model,
    output: Output,
    settings: Changes = None,
    prefer: Preferred = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Translate a dataset's captions; a stopped run goes on, another model adds.

    An endpoint's key is read from the environment variable POLYREEL_API_KEY, else OPENAI_API_KEY (docs/translate.md).

    Example: polyreel translate data/mine --to de,fr --model Helsinki-NLP/opus-mt-en-{lang} -o data/mine-multilingual
    """
    use_threads(threads)
    from polyreel import Dataset, TranslationSettings, open_translator
    from polyreel import translate as translate_captions
    from polyreel.settings import read_settings
    from polyreel.translation.workers import on_ray, one_by_one

    opened, langs = Dataset.open(dataset), [lang.strip() for lang in to.split(",")]
    asked = read_settings(TranslationSettings, settings or (), "the translation's settings")
    key = os.environ.get("POLYREEL_API_KEY") or os.environ.get("OPENAI_API_KEY")
    run_on = partial(translate_captions, source_lang=asked.source_lang, batch_size=asked.batch_size, prefer=prefer)
    made_at = datetime.now(UTC)
    failures: dict[str, str] = {}
    for some in [[lang] for lang in langs] if "{lang}" in model else [langs]:
        name = model.replace("{lang}", some[0])
        opener = partial(open_translator, name, asked, api_key=key, device=device, threads=threads)
        workers = on_ray(opener, asked.ray_workers) if asked.ray_workers else one_by_one
        try:
            with shown(quiet) as progress:
                run = run_on(opened, some, opener(), output, made_at=made_at, workers=workers, progress=progress)
            print(_said(run, ", ".join(some), asked.endpoint))
        except ItemsFailedError as error:
            failures |= error.failures
    if failures:
        raise ItemsFailedError(f"translating with {model}", failures)
    print(f"{output}: {run.dataset.captions.num_rows} captions in {', '.join(run.dataset.langs)}")


def convert(
    model: Annotated[str, Argument(metavar="MODEL", help="A translation model's folder or name.", show_default=False)],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Folder to write.", show_default=False)],
    quantization: Annotated[str, Option("--weights", metavar="TYPE", help="Number type of the weights.")] = "int8",
) -> None:
    """Convert a translation model to CTranslate2, which is faster on a processor.

    Example: polyreel convert Helsinki-NLP/opus-mt-en-de -o models/opus-mt-en-de
    """
    with saying_which_extra("polyreel convert"):
        from polyreel.translation.converted import convert_model
    print(f"{convert_model(model, output, quantization)}: translate with --model ctranslate2:{output}")


def _said(run: "TranslationRun", langs: str, prices: "EndpointSettings") -> str:
    """Say in a line what a run did, and what it cost."""
    parts = [f"{run.translated} captions translated to {langs}"]
    parts += [f"{run.kept} had been before"] if run.kept else []
    parts += [f"{run.absent} are not in the table"] if run.absent else []
    if run.translated and run.tokens_read:
        parts.append(f"{run.tokens_read} tokens read, {run.tokens_written} written, in {run.seconds:.1f} s")
    cost = (run.tokens_read * prices.price_read + run.tokens_written * prices.price_written) / 1e6
    return "; ".join([*parts, f"cost {cost:.4f}"] if cost else parts)
