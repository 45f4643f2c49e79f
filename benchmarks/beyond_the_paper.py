"""Beyond the paper on msrvtt1k: distillation over the whole bank, and languages from sentence pairs without a video.

    .venv/bin/python benchmarks/beyond_the_paper.py [--jobs 1] [--parts tuning,ablation,later,domains]

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). First writes the training videos'
own captions as sentence pairs, their video ids thrown away. `tuning` tries the weights on the validation split.
`ablation` runs the shipped experiment `msrvtt1k/beyond` and writes `results/beyond-the-paper.{md,json}` and a plot.
`later` gives Italian to students that know English alone, by `add_language`, and measures them on the test split
(`results/beyond-later.{md,json}`). `domains` adds German, French and Czech (Multi30k's image captions) to C2KD students
(`results/beyond-domains.{md,json}`). Finished runs under `runs/` are not done again.
"""

import argparse
import gzip
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

import beyond_report
from msrvtt1k import keep_tuning
from polyreel import Dataset, Report, Retriever, evaluate, import_tables, run_experiment
from polyreel.storage import write_json, write_text
from polyreel.training.add_language import Added, add_language
from polyreel.training.experiment import report_folder
from polyreel.training.experiment_settings import load_experiment
from polyreel.training.planning import plan_experiment

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
DATA, PAIRS = Path("data/msrvtt1k"), Path("data/pairs")
NAME, RUNS, SCRATCH = "msrvtt1k/beyond", Path("runs/msrvtt1k-beyond"), ("text", "scratch")
TUNING, TUNING_ENGLISH = Path("runs/msrvtt1k-tuning-beyond"), Path("runs/msrvtt1k-tuning-english")
WRONG = {"shuffled": 1.0, "wrong-40": 0.4}
DOMAINS, SIZES = ("de", "fr", "cs"), (100, 1_000, 10_000)


def tell(done: float, total: float, doing: str) -> None:
    """Print one line a run."""
    print(f"{time.strftime('%H:%M:%S')} {done:.0f}/{total:.0f} {doing}", flush=True)


def prepare() -> None:
    """Import the data; write its training captions as pairs in a drawn order, right ones and partly wrong ones."""
    if not DATA.is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", DATA, layout="msrvtt1k")
    sentences: dict[str, dict[str, str]] = {}
    for row in Dataset.open(DATA).split("train").captions.to_pylist():
        sentences.setdefault(row["caption_id"], {})[row["lang"]] = row["text"]
    both = [texts for texts in sentences.values() if len(texts) == 2]
    random = np.random.default_rng(9)
    both = [both[row] for row in random.permutation(len(both)).tolist()]
    english, italian = ([texts[lang] for texts in both] for lang in ("en", "it"))
    write_pairs("captions", "it", english, italian)
    for name, share in WRONG.items():
        places = random.permutation(len(both))[: round(share * len(both))]
        mixed = dict(zip(places.tolist(), np.roll(places, 1).tolist(), strict=True))
        write_pairs(name, "it", english, [italian[mixed.get(row, row)] for row in range(len(both))])


def write_pairs(name: str, lang: str, english: list[str], others: list[str]) -> Path:
    """Write a table of pairs; return its place."""
    file = PAIRS / f"{name}.en-{lang}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, "".join(f"{one}\t{other}\n" for one, other in zip(english, others, strict=True)))
    return file


def tuning(jobs: int) -> None:
    """Try the weights on the validation split."""
    keep_tuning(run_experiment("msrvtt1k/tuning-beyond", TUNING, jobs=jobs, progress=tell), "tuning-beyond")
    found = run_experiment("msrvtt1k/tuning-english", TUNING_ENGLISH, jobs=jobs, progress=tell)
    table = f"# {found.title}\n\n{found.cells[0].summary().markdown()}\n"
    write_text(Path("results/msrvtt1k-tuning-english.md"), table)


def ablation(jobs: int) -> None:
    """Run the experiment and write what it found."""
    found = run_experiment(NAME, RUNS, jobs=jobs, progress=tell)
    gaps = beyond_report.gaps(found.cells)
    write_json(Path("results/beyond-the-paper.json"), {**found.to_json(), "italian_less_english": gaps})
    write_text(Path("results/beyond-the-paper.md"), beyond_report.systems(found.cells))
    beyond_report.plot(found.cells, Path("docs/images/beyond-the-paper.png"))
    print(beyond_report.systems(found.cells), flush=True)


def runs_of(system: str) -> tuple[list[Path], Report]:
    """Return the ablation's runs of a system, text from scratch, and their report.

    Raises:
        SystemExit: the ablation has not been run to its end.
    """
    settings = load_experiment(NAME)
    plan = plan_experiment(settings, RUNS)
    fingerprints = next(ones for (cell, name), ones in plan.places.items() if (*cell, name) == (SCRATCH, system))
    runs = [plan.runs[one] for one in fingerprints]
    if not all(report_folder(run, settings).is_dir() for run in runs):
        sys.exit(f"{RUNS} has no finished runs of {system!r}; do --parts ablation first")
    reports = [Report.open(report_folder(run, settings)) for run in runs]
    return [run.folder for run in runs], Report.merged(reports, name=system)


def later(_: int) -> None:
    """Give Italian to students that know English alone; measure on the test split."""
    students, zero_shot = runs_of("zero-shot")
    texts = (PAIRS / "captions.en-it.tsv").read_text("utf-8").splitlines(keepends=True)
    found: dict[str, Report] = {}
    for size in SIZES:
        file = PAIRS / f"captions-{size}.en-it.tsv"
        write_text(file, "".join(texts[:size]))
        ones = []
        for number, student in enumerate(students, 1):
            added = add_language(student, [file], RUNS / "later" / f"{student.name}-{size}")
            ones.append(tested(added, seed=number))
            tell(number, len(students), f"{size} pairs")
        found[f"{size:,}"] = Report.merged(ones, name=f"{size:,} pairs")
    table = beyond_report.later(found, runs_of("pairs-alone")[1], zero_shot)
    write_text(Path("results/beyond-later.md"), table)
    write_json(Path("results/beyond-later.json"), {name: report.to_json() for name, report in found.items()})
    print(table, flush=True)


def tested(added: Added, seed: int) -> Report:
    """Measure an added run's model on the test split."""
    dataset = Dataset.open(DATA)
    model = Retriever.load(added.run / "model")
    return evaluate(model, dataset, features=dataset.features("vgg16"), split="test", seed=seed)


def of_domain(lang: str) -> list[str]:
    """Return Multi30k's training captions in a language."""
    with gzip.open(SHARED / "data" / "multi30k" / f"train.{lang}.gz", "rt", encoding="utf-8") as lines:
        return [line.strip() for line in lines]


def domains(_: int) -> None:
    """Add three languages to C2KD students, by captions of images, and write how well they agree with English."""
    students = runs_of("c2kd")[0][:3]
    added: dict[str, list[Added]] = {}
    for size in SIZES:
        files = [
            write_pairs(f"multi30k-{size}", lang, of_domain("en")[:size], of_domain(lang)[:size]) for lang in DOMAINS
        ]
        for number, student in enumerate(students):
            place = RUNS / "added" / f"{student.name}-{size}"
            added.setdefault(f"{size:,}", []).append(add_language(student, files, place))
            tell(number + 1, len(students), f"{size} pairs of {', '.join(DOMAINS)}")
    table = beyond_report.domains(added, DOMAINS)
    write_text(Path("results/beyond-domains.md"), table)
    write_json(
        Path("results/beyond-domains.json"), {size: [one.to_json() for one in ones] for size, ones in added.items()}
    )
    print(table, flush=True)


PARTS = {"tuning": tuning, "ablation": ablation, "later": later, "domains": domains}


def main() -> None:
    """Prepare, then the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on one thread")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to do, in this order")
    asked = parser.parse_args()
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    if unknown := set(asked.parts.split(",")) - set(PARTS):
        sys.exit(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.chdir(ROOT)
    torch.set_num_threads(1)
    prepare()
    for part in asked.parts.split(","):
        PARTS[part](asked.jobs)


if __name__ == "__main__":
    main()
