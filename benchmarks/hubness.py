"""Whether correcting for hubs helps on msrvtt1k: query bank and dual softmax against the plain cosine, three seeds.

    .venv/bin/python benchmarks/hubness.py

Needs the runs of `benchmarks/msrvtt1k.py` under `runs/msrvtt1k-comparison`; cells that are not finished are passed
over. Temperatures are chosen run by run on the validation clips, figures are of the test clips. Evaluated runs are
kept in `runs/hubness` and not done again. Writes `results/hubness.json` and `results/hubness.md`.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from polyreel import Dataset, Report, Retriever, compare, evaluate
from polyreel.evaluation.asking import Hubness, Scoring
from polyreel.evaluation.banks import TEMPERATURES, make_query_bank
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.planning import PlannedRun, plan_experiment
from polyreel.training.runs import RunFolder

ROOT = Path(__file__).parents[1]
SYSTEMS = ("zero-shot", "translate-train", "c2kd")
WAYS: tuple[Hubness, ...] = ("none", "bank", "dual")
METRICS = ("R@1", "R@10")
TITLE = """# Correcting for hubs on msrvtt1k

Text to video, 150 test clips, three seeds; temperatures chosen run by run on 100 validation clips. Differences are
paired, with 95 % intervals over source videos, 10,000 resamples; \\* the interval leaves out 0, \\*\\* it holds among
all differences of the metric in its cell and system (Holm). Dual softmax reads all test queries, which a search cannot.
Hubness is the skewness of how often a clip is among the first ten.

"""


def cells() -> Iterator[tuple[str, str, list[PlannedRun]]]:
    """Yield the cell, the system and its runs, of all that are finished."""
    plan = plan_experiment(load_experiment("msrvtt1k/comparison"), Path("runs/msrvtt1k-comparison"))
    seen: set[tuple[str, ...]] = set()
    for (cell, system), fingerprints in plan.places.items():
        runs = [plan.runs[one] for one in fingerprints]
        is_shared = tuple(fingerprints) in seen  # zero-shot learns from no Italian captions, however many there are
        seen.add(tuple(fingerprints))
        if system in SYSTEMS and not is_shared and all(RunFolder(run.folder).is_finished for run in runs):
            yield ", ".join(value for _, value in cell), system, runs


def measured(run: PlannedRun, dataset: Dataset) -> dict[Hubness, Report]:
    """Choose on the validation clips, report on the test clips; what is kept from before is opened."""
    folder = Path("runs/hubness") / run.folder.name
    if not all((folder / way).is_dir() for way in WAYS):
        model = Retriever.load(run.folder / "model")
        features = dataset.features(run.recipe.data.features)
        bank = make_query_bank(model, dataset, features=features).bank
        on_val = {
            temperature: evaluate(
                model,
                dataset,
                features=features,
                split="val",
                scoring=Scoring(hubness="dual", temperature=temperature),
            )
            for temperature in TEMPERATURES
        }
        best = max(TEMPERATURES, key=lambda one: mean_recall(on_val[one]))
        scorings = {
            "none": Scoring(),
            "bank": Scoring(hubness="bank", bank=bank, temperature=bank.temperature),
            "dual": Scoring(hubness="dual", temperature=best),
        }
        for way, scoring in scorings.items():
            found = evaluate(model, dataset, features=features, name=way, seed=run.recipe.seed, scoring=scoring)
            found.save(folder / way)
    return {way: Report.open(folder / way) for way in WAYS}


def mean_recall(report: Report) -> float:
    """R@10 over both languages, without a bootstrap."""
    recall = [ranks.recall(10).mean() for (_, direction), ranks in report.ranks.items() if direction == "t2v"]
    return float(sum(recall) / len(recall))


def rows_of(cell: str, system: str, of_runs: list[dict[Hubness, Report]]) -> list[dict[str, object]]:
    """Hold both corrections against the cosine, over all seeds."""
    names = {"none": "cosine", "bank": "query bank", "dual": "dual softmax, reads all test queries"}
    reports = {way: Report.merged([one[way] for one in of_runs], name=names[way]) for way in WAYS}
    held = compare(list(reports.values()), baseline="cosine")
    found: list[dict[str, object]] = []
    for way in ("bank", "dual"):
        for lang in reports[way].langs:
            row: dict[str, object] = {"cell": cell, "system": system, "way": names[way], "lang": lang}
            row["temperatures"] = [one[way].scoring.split("temperature ")[1].split(",")[0] for one in of_runs]
            for metric in METRICS:
                before = reports["none"].row(lang, metric)
                after = reports[way].row(lang, metric)
                (difference,) = [
                    one for one in held.of((names[way], "cosine"), metric=metric, direction="t2v") if one.lang == lang
                ]
                row[metric] = {
                    "before": round(before.value, 2),
                    "after": round(after.value, 2),
                    "by_seed_before": [round(value, 2) for value in before.by_seed],
                    "by_seed_after": [round(value, 2) for value in after.by_seed],
                    **{key: value for key, value in difference.to_json().items() if key not in _KNOWN},
                }
            row["skewness"] = [round(reports[one].across.skewness[lang], 3) for one in ("none", way)]
            found.append(row)
    return found


_KNOWN = ("system", "baseline", "lang", "direction", "metric")


def table(rows: list[dict[str, object]]) -> str:
    """Lay the rows out in Markdown."""
    head = ["cell", "system", "scored by", "language", *METRICS, "difference in R@10", "hubness before", "after"]
    lines = ["| " + " | ".join(head) + " |", "| --- | --- | --- | --- |" + " ---: |" * 5]
    for row in rows:
        first, tenth, skewness = row["R@1"], row["R@10"], row["skewness"]
        assert isinstance(first, dict) and isinstance(tenth, dict) and isinstance(skewness, list)
        star = " **" if tenth["holds_among_all"] else " *" if tenth["holds"] else ""
        words = [
            str(row["cell"]), str(row["system"]), str(row["way"]), str(row["lang"]),
            *(f"{one['before']:.1f} → {one['after']:.1f}" for one in (first, tenth)),
            f"{tenth['difference']:+.1f} [{tenth['low']:+.1f}, {tenth['high']:+.1f}]{star.replace('*', chr(92) + '*')}",
            *(f"{one:+.2f}" for one in skewness),
        ]  # fmt: skip
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure every finished system."""
    os.chdir(ROOT)
    if not Path("runs/msrvtt1k-comparison").is_dir():
        sys.exit("there are no runs; run benchmarks/msrvtt1k.py first")
    dataset = Dataset.open("data/msrvtt1k")
    rows = []
    for cell, system, runs in cells():
        rows += rows_of(cell, system, [measured(run, dataset) for run in runs])
        print(f"{cell}, {system}: {rows[-1]['R@10']}", flush=True)
    Path("results/hubness.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    Path("results/hubness.md").write_text(TITLE + table(rows) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
