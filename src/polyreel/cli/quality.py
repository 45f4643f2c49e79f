"""What is said of translations before anything is trained on them: judge, and the quality part of describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from polyreel.cli.options import DatasetFolder, Quiet, Threads, use_threads
from polyreel.cli.progress import shown

if TYPE_CHECKING:
    from polyreel import Dataset
    from polyreel.translation.quality_settings import QualitySettings
    from polyreel.translation.summary import QualitySummary

Encoder = Annotated[
    str | None,
    Option("--encoder", metavar="NAME", help="Multilingual sentence-transformers model that compares meanings."),
]
QualityFile = Annotated[
    Path | None, Option("--settings", metavar="FILE", help="TOML with thresholds of the quality checks.")
]


def judge(
    dataset: DatasetFolder,
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Dataset to write.", show_default=False)],
    then: Annotated[
        Literal["flag", "weight", "drop"],
        Option("--then", help="Keep the verdict beside the caption; make it the weight; or leave poor captions out."),
    ] = "weight",
    encoder: Encoder = None,
    settings: QualityFile = None,
    round_trip: Annotated[
        str | None, Option("--round-trip", metavar="MODEL", help="Put texts back into English with this translator.")
    ] = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Judge a dataset's translations into a new dataset: scores, reasons, and weights for training.

    Example: polyreel judge data/mine-multilingual --encoder sentence-transformers/LaBSE -o data/mine-judged
    """
    use_threads(threads)
    from polyreel import Dataset, open_translator
    from polyreel import judge as judge_captions
    from polyreel.translation.encoder import open_sentence_encoder
    from polyreel.translation.judging import back_through
    from polyreel.translation.summary import summarise

    asked = _settings(settings, encoder)
    with shown(quiet) as progress:
        judged, verdicts = judge_captions(
            Dataset.open(dataset),
            output,
            then,
            asked,
            embed=open_sentence_encoder(asked.encoder) if asked.encoder else None,
            back_translate=back_through(open_translator(round_trip)) if round_trip else None,
            progress=progress,
        )
    print("\n".join(summarise(judged.name, verdicts).lines(num_worst=0)))
    print(f"{output}: {judged.captions.num_rows} captions")


def look_at_quality(
    dataset: "Dataset", file: Path | None, encoder: str | None, page: Path | None, is_quiet: bool
) -> "QualitySummary":
    """Judge a dataset's captions, write the page where one is asked for, and return what was found."""
    from polyreel.evaluation.quality_page import write_quality_page
    from polyreel.translation.encoder import open_sentence_encoder
    from polyreel.translation.rating import rate
    from polyreel.translation.summary import summarise

    settings = _settings(file, encoder)
    embed = open_sentence_encoder(settings.encoder) if settings.encoder else None
    with shown(is_quiet) as progress:
        verdicts = rate(dataset, settings, embed=embed, progress=progress)
    summary = summarise(dataset.name, verdicts)
    if page is not None:
        write_quality_page(page, summary, settings)
    return summary


def _settings(file: Path | None, encoder: str | None) -> "QualitySettings":
    from polyreel.translation.quality_settings import QualitySettings

    settings = QualitySettings() if file is None else QualitySettings.read(file)
    return settings if encoder is None else settings.model_copy(update={"encoder": encoder})
