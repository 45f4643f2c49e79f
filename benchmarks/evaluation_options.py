"""Every way of asking on msrvtt1k, with intervals: several captions of a clip, texts to texts, across languages.

    .venv/bin/python benchmarks/evaluation_options.py

Needs the runs of `benchmarks/msrvtt1k.py` under `runs/msrvtt1k-comparison`: C2KD from scratch with 20 English and 1
Italian caption a training video, three seeds. Writes `results/evaluation_options.json` and
`results/evaluation_options.md`.
"""

import json
import os
import sys
from pathlib import Path

from polyreel import Dataset, Report, Retriever, evaluate
from polyreel.evaluation.language_tables import across_table, confusion_table, slice_tables, text_to_text_table
from polyreel.evaluation.tables import Table, cell
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.planning import PlannedRun, plan_experiment
from polyreel.training.runs import RunFolder

ROOT = Path(__file__).parents[1]
PROTOCOLS = {"each caption": None, "any": "any-caption", "all": "all-captions", "average": "average-caption"}
CELL = ("scratch", "20 en + 1 it")


def runs_of(system: str) -> list[PlannedRun]:
    """Return the finished runs of a system in the cell."""
    plan = plan_experiment(load_experiment("msrvtt1k/comparison"), Path("runs/msrvtt1k-comparison"))
    named = {tuple(value for _, value in cell): found for (cell, name), found in plan.places.items() if name == system}
    runs = [plan.runs[one] for one in named[CELL]]
    if not all(RunFolder(run.folder).is_finished for run in runs):
        sys.exit("the runs of C2KD are not finished; run benchmarks/msrvtt1k.py first")
    return runs


def measured(runs: list[PlannedRun], dataset: Dataset, protocol: str | None) -> Report:
    """Evaluate all seeds under one protocol."""
    reports = []
    for run in runs:
        features = dataset.features(run.recipe.data.features)
        model = Retriever.load(run.folder / "model")
        reports.append(
            evaluate(model, dataset, features=features, name="c2kd", seed=run.recipe.seed, protocol=protocol)
        )
    print(f"{protocol or 'each caption'}: done", flush=True)
    return Report.merged(reports)


def captions_table(reports: dict[str, Report]) -> Table:
    """Lay out the ways of asking several captions of a clip."""
    figures = [("R@1", "t2v"), ("R@10", "t2v"), ("R@1", "v2t"), ("R@10", "v2t")]
    return Table(
        title="Several captions of a clip: c2kd, msrvtt1k test, 150 clips of 20 captions",
        header=("asked by, language", "queries", *(f"{metric} {direction}" for metric, direction in figures)),
        rows=tuple(
            (
                f"{name}, {lang}",
                str(len(report.ranks[lang, "t2v"])),
                *(cell(report.row(lang, metric, direction)) for metric, direction in figures),
            )
            for name, report in reports.items()
            for lang in report.langs
        ),
        note="[95 % interval over 140 source videos]; three seeds",
    )


def main() -> None:
    """Measure, and write tables and figures."""
    os.chdir(ROOT)
    if not Path("runs/msrvtt1k-comparison").is_dir():
        sys.exit("there are no runs; run benchmarks/msrvtt1k.py first")
    dataset, runs = Dataset.open("data/msrvtt1k"), runs_of("c2kd")
    reports = {name: measured(runs, dataset, protocol) for name, protocol in PROTOCOLS.items()}
    texts = measured(runs, dataset, "text-to-text")
    plain = reports["each caption"]
    tables = [
        captions_table(reports),
        text_to_text_table(texts),
        across_table(plain),
        confusion_table(plain),
        *slice_tables(plain, "num_words"),
    ]
    text = "\n\n".join(["# Ways of asking, on msrvtt1k", *(table.markdown() for table in tables)]) + "\n"
    Path("results/evaluation_options.md").write_text(text, encoding="utf-8")
    found = {name: report.to_json() for name, report in {**reports, "text-to-text": texts}.items()}
    kept = {
        name: {key: one[key] for key in ("across_languages", "confusion", "figures")} for name, one in found.items()
    }
    Path("results/evaluation_options.json").write_text(
        json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
