"""What stands beside C2KD on msrvtt1k: pretrained text towers, averaged weights, students as teachers, seeds averaged.

    .venv/bin/python benchmarks/pretrained_and_averaged.py [--jobs 1] [--collect]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Runs the shipped experiment
`msrvtt1k/pretrained`, trains three students that begin with the same weights, averages their weights and those of three
that do not, and writes `msrvtt1k-pretrained` and `msrvtt1k-averaged-seeds`, `.md` and `.json`, in `results/`. Finished
runs under `runs/` are not done again; --collect trains nothing and writes what the finished seeds say.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from polyreel import Dataset, Report, Retriever, compare, evaluate, import_tables, load_recipe, run_experiment, train
from polyreel.evaluation.tables import by_system, of_differences
from polyreel.storage import Json, write_json, write_text
from polyreel.training.experiment import report_folder
from polyreel.training.experiment_settings import ExperimentSettings, load_experiment
from polyreel.training.planning import Plan, plan_experiment

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
NAME, RUNS = "msrvtt1k/pretrained", Path("runs/msrvtt1k-pretrained")
SEEDS = (1, 2, 3)
START_STEPS = 100


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def log_of(run: Path) -> list[dict[str, Json]]:
    """Return the validations of a run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if "val" in row]


def chosen_on_validation(plan: Plan, settings: ExperimentSettings) -> list[tuple[str, list[float], int]]:
    """Return each system, its seeds' best validations (mean R@10), and in how many the mean of weights was best."""
    found = []
    for (_, name), fingerprints in plan.places.items():
        if settings.systems[name].is_reported:
            runs = [plan.runs[one].folder for one in fingerprints if finished(plan.runs[one].folder)]
            best = [max(float(row["val"]["mean_recall_at_10"]) for row in log_of(run)) for run in runs]
            kept = sum(bool(json.loads((run / "run.json").read_text("utf-8")).get("num_averaged")) for run in runs)
            found.append((name, best, kept))
    return found


def finished(run: Path) -> bool:
    """Tell whether a run came to its end."""
    file = run / "run.json"
    return file.is_file() and json.loads(file.read_text("utf-8"))["status"] == "finished"


def collect(plan: Plan, settings: ExperimentSettings) -> list[Report]:
    """Return one report a system, of all seeds that are finished and measured, where there are any."""
    reports = []
    for (_, name), fingerprints in plan.places.items():
        folders = [report_folder(plan.runs[one], settings) for one in fingerprints]
        there = [Report.open(folder) for folder in folders if folder.is_dir()]
        if there and settings.systems[name].is_reported:
            reports.append(Report.merged(there, name=name))
    return reports


def write_systems(plan: Plan, settings: ExperimentSettings) -> None:
    """Write the table of systems, their differences from C2KD on shared seeds, and what validation says."""
    reports = collect(plan, settings)
    if not reports:
        sys.exit(f"no student is finished under {RUNS} yet")
    whole = [report for report in reports if report.seeds == reports[0].seeds]
    lines = [f"# {settings.title}", "", by_system(reports, "R@10").markdown()]
    compared = compare(whole, baseline=settings.baseline) if len(whole) > 1 else None
    for pair in compared.pairs() if compared else []:
        lines += ["", of_differences(compared, pair).markdown()]
    lines += ["", "**R@10 on the validation split, mean over languages**", ""]
    lines += ["| system | seeds | mean of the seeds' best | mean of weights kept |", "| --- | ---: | ---: | ---: |"]
    chosen = chosen_on_validation(plan, settings)
    lines += [f"| {name} | {len(best)} | {mean(best):.1f} | {kept} |" for name, best, kept in chosen if best]
    write_text(ROOT / "results" / "msrvtt1k-pretrained.md", "\n".join(lines) + "\n")
    facts: dict[str, Json] = {
        "systems": [report.to_json() for report in reports],
        "validation": {name: best for name, best, _ in chosen},
    }
    write_json(ROOT / "results" / "msrvtt1k-pretrained.json", facts)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def averaged(models: Sequence[Retriever]) -> Retriever:
    """Return a model whose weights are the mean of several models' weights."""
    weights: list[Mapping[str, torch.Tensor]] = [model.state_dict() for model in models]
    models[0].load_state_dict({name: torch.stack([one[name] for one in weights]).mean(0) for name in weights[0]})
    return models[0]


def train_from_one_start(teachers: Sequence[str]) -> list[Path]:
    """Train a student for a moment, and three from there, each on its own batches."""
    changes = [f"teachers.runs={json.dumps(list(teachers))}", "data.captions_per_clip={it=1}"]
    begun = [*changes, f"schedule.steps={START_STEPS}", "schedule.learning_rate=constant", "schedule.keep=last"]
    start = train(load_recipe("msrvtt1k/c2kd", [*begun, "seed=21"]), RUNS / "seeds" / "start", resume=True)
    return [
        train(
            load_recipe("msrvtt1k/c2kd", [*changes, f'start="{start}"', f"seed={seed}"]),
            RUNS / "seeds" / f"{seed}",
            resume=True,
        )
        for seed in SEEDS
    ]


def write_seeds(groups: Mapping[str, Sequence[Path]]) -> None:
    """Write how three students do alone and as one model of their mean weights, on validation and test."""
    dataset = Dataset.open("data/msrvtt1k")
    lines = ["# Weights of three seeds averaged, msrvtt1k", ""]
    lines += ["R@10, text to video, English / Italian", "", "| students | split | alone, mean of three | averaged |"]
    lines += ["| --- | --- | ---: | ---: |"]
    figures: dict[str, Json] = {}
    for name, runs in groups.items():
        for split in ("val", "test"):
            models = [Retriever.load(run / "model") for run in runs]
            alone = [recalls(dataset, model, split) for model in models]
            together = recalls(dataset, averaged(models), split)
            singles = {lang: mean([one[lang] for one in alone]) for lang in together}
            figures[f"{name}, {split}"] = {"alone": alone, "averaged": together}
            words = [" / ".join(f"{one[lang]:.1f}" for lang in ("en", "it")) for one in (singles, together)]
            lines.append(f"| {name} | {split} | {words[0]} | {words[1]} |")
    write_text(ROOT / "results" / "msrvtt1k-averaged-seeds.md", "\n".join(lines) + "\n")
    write_json(ROOT / "results" / "msrvtt1k-averaged-seeds.json", figures)


def recalls(dataset: Dataset, model: Retriever, split: str) -> dict[str, float]:
    """Return R@10 by language."""
    report = evaluate(model, dataset, features=dataset.features("vgg16"), split=split)
    return {lang: report.row(lang, "R@10").value for lang in report.langs}


def main() -> None:
    """Train, average, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on one thread")
    parser.add_argument("--collect", action="store_true", help="train nothing, write what is finished")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    os.chdir(ROOT)
    torch.set_num_threads(1)
    if not Path("data/msrvtt1k").is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", Path("data/msrvtt1k"), layout="msrvtt1k")
    (ROOT / "results").mkdir(exist_ok=True)
    settings = load_experiment(NAME)
    plan = plan_experiment(settings, RUNS)
    if not asked.collect:
        run_experiment(NAME, RUNS, jobs=asked.jobs, progress=tell)
    write_systems(plan, settings)
    by_system_runs = {name: [plan.runs[one].folder for one in ones] for (_, name), ones in plan.places.items()}
    if not asked.collect:
        same = train_from_one_start([str(run) for run in by_system_runs["teacher"]])
        write_seeds({"each from its own start": by_system_runs["c2kd"], "all from one start": same})


if __name__ == "__main__":
    main()
