"""What a report says of one model, for the model's card: its tables for people, its figures for programs."""

from polyreel.errors import DataError
from polyreel.evaluation.estimates import MEAN_LANG
from polyreel.evaluation.metrics import DIRECTIONS, Metric
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import one_system
from polyreel.models.card import CardFigure, CardResults

_FIGURES: tuple[Metric, ...] = ("R@1", "R@5", "R@10")


def card_results(report: Report, model_fingerprint: str) -> CardResults:
    """Lay a report out for the card of the model it was made of.

    Args:
        report: of this model; of its seeds one is it.
        model_fingerprint: of the model.

    Raises:
        DataError: the report is of other models.
    """
    if model_fingerprint not in report.models:
        raise DataError(
            f"report {report.name!r} is of the models {', '.join(report.models)}, and this one is {model_fingerprint}; "
            "evaluate this model, and give its own report"
        )
    ground = report.ground
    of_seeds = (
        f" The figures are the average of {len(report.seeds)} seeds, of which this model is one."
        if len(report.seeds) > 1
        else ""
    )
    said = (
        f"Measured with polyreel {report.versions.get('polyreel', '')}, model {model_fingerprint}, on {ground.dataset} "
        f"{ground.dataset_fingerprint}, split {ground.split}, features {ground.extractor} "
        f"{ground.features_fingerprint}; intervals are 95 %, over source videos.{of_seeds}"
    )
    return CardResults(
        markdown="\n\n".join([*(one_system(report, direction).markdown() for direction in DIRECTIONS), said]),
        figures=tuple(
            CardFigure(
                dataset=ground.dataset,
                split=ground.split,
                lang=lang,
                metric=metric,
                value=report.row(lang, metric).value,
            )
            for lang in (*report.langs, MEAN_LANG)
            for metric in _FIGURES
        ),
    )
