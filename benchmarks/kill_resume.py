"""kill -9 at random moments of a small run, then `polyreel train --resume`: are the final weights the same bytes?

Each trial starts the same recipe as a process of its own and kills it: three in ten as it starts, one in ten at its
end, where the model is written, the others a moment after a step drawn at random, with states being saved all the time.
Then it goes on with `--resume`, and the model's weights are compared with those of an undisturbed run.
Writes results/kill_resume.json and .md. Takes a few minutes; needs no data.

    python benchmarks/kill_resume.py [--trials 30] [--seed 1] [--jobs 1]
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from polyreel import Caption, Clip, Dataset
from polyreel.cli import main as main_of_polyreel
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter

ROOT = Path(__file__).parents[1]
CLIPS, DIM, STEPS = 200, 16, 120
# Processes are forked off one that has imported all, so that most moments fall into training and not into imports.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["polyreel.training.loop"])
RECIPE = """
embed_dim = 16
[data]
dataset = "{data}"
features = "noise"
langs = ["en", "it"]
[text]
vocab_size = 300
width = 16
dropout = 0.2
[video]
pooling = "mean"
[batches]
size = 16
[optimizer]
name = "adamw"
weight_decay = 0.01
learning_rate = 0.003
[schedule]
steps = {steps}
learning_rate = "one-cycle"
validate_every_steps = 20
[machine]
save_every_seconds = 0.05
"""


def make_data(folder: Path) -> None:
    """Write clips with captions in two made-up languages, and features that go with them."""
    generator = np.random.default_rng(0)
    words = generator.normal(size=(40, DIM))
    clips, captions, features = [], [], {}
    for number in range(CLIPS):
        first, second = number % 20, 20 + (number // 20) % 20
        clip_id = f"clip{number:03}"
        split = "val" if number % 5 == 0 else "train"
        clips.append(Clip(clip_id=clip_id, video=clip_id, split=split, source=clip_id))
        for lang, text in (("en", f"the w{first} of w{second}"), ("it", f"il p{second} di p{first}")):
            captions.append(Caption(caption_id=f"{clip_id}#0", clip_id=clip_id, lang=lang, text=text))
        features[clip_id] = words[first] + words[second] + 0.3 * generator.normal(size=(3, DIM))
    dataset = Dataset.build("noise", clips, captions).save(folder)
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=DIM)
    with FeatureWriter(dataset.features_folder("noise"), settings) as writer:
        for clip_id, rows in features.items():
            writer.add(clip_id, rows)


def run_verb(words: list[str]) -> None:
    """Be `polyreel train`."""
    sys.exit(main_of_polyreel(words))


def train(recipe: Path, run: Path, *flags: str) -> BaseProcess:
    """Start a training as a process of its own."""
    process = FORKS.Process(target=run_verb, args=(["train", str(recipe), "-o", str(run), "--quiet", *flags],))
    process.start()
    return process


def ended_well(process: BaseProcess) -> bool:
    """Wait for a training's end."""
    process.join()
    return process.exitcode == 0


def digest(run: Path) -> str:
    """Return a digest of a run's final weights."""
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def last_step(run: Path) -> int:
    """Return how far the log of a killed run goes."""
    log = run / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    steps = [json.loads(line)["step"] for line in lines if line.endswith("}")]
    return max(steps, default=0)


def trial(recipe: Path, run: Path, after_step: int, then_seconds: float) -> dict[str, object]:
    """Kill a run a moment after it has logged a step, go on with it, and say what came of it."""
    process = train(recipe, run)
    while process.is_alive() and last_step(run) < after_step:
        time.sleep(0.005)
    process.join(then_seconds)
    process.kill()
    process.join()
    found = {"after_step": after_step, "then_seconds": round(then_seconds, 3), "logged_step": last_step(run)}
    found |= {
        "was_killed": process.exitcode == -signal.SIGKILL,
        "saves": len(list((run / "checkpoints").glob("step-*"))),
    }
    is_resumed = ended_well(train(recipe, run, "--resume"))
    return {**found, "resumed": is_resumed, "weights": digest(run) if is_resumed else None}


def moments(draw: random.Random, trials: int) -> list[tuple[int, float]]:
    """Draw a step and a delay for each trial."""
    found = []
    for number in range(trials):
        kind = number % 10
        step = 0 if kind < 3 else STEPS if kind == 3 else draw.randrange(1, STEPS)
        found.append((step, draw.uniform(0, 2.0 if step == 0 else 0.15)))
    return found


def main() -> None:
    """Run the trials and write what they showed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trials at the same time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_data(folder / "data")
        recipe = folder / "recipe.toml"
        recipe.write_text(RECIPE.format(data=folder / "data", steps=STEPS))
        if not ended_well(train(recipe, folder / "whole")):
            sys.exit("the undisturbed run failed")
        expected = digest(folder / "whole")
        trials: list[dict[str, object]] = []
        asked_moments = moments(random.Random(asked.seed), asked.trials)
        runs = [folder / f"run{number}" for number in range(asked.trials)]
        with ThreadPoolExecutor(asked.jobs) as pool:
            for one in pool.map(lambda run, moment: trial(recipe, run, *moment), runs, asked_moments):
                one["is_same"] = one.pop("weights") == expected
                trials.append(one)
                print(f"{len(trials)}/{asked.trials}: {one}", flush=True)
                write(trials)
    if not all(one["is_same"] for one in trials):
        sys.exit("not all runs ended in the same bytes")


def write(trials: list[dict[str, object]]) -> None:
    """Write the results as JSON and as a small table."""
    killed = [one for one in trials if one["was_killed"]]
    summary = {
        "trials": len(trials),
        "killed": len(killed),
        "killed_before_the_first_step": sum(one["logged_step"] == 0 for one in killed),
        "same_bytes": sum(bool(one["is_same"]) for one in trials),
        "killed_with_states_saved": sum(one["saves"] > 0 for one in killed),
    }
    results = ROOT / "results"
    (results / "kill_resume.json").write_text(json.dumps({**summary, "each": trials}, indent=2) + "\n")
    rows = "".join(f"| {name.replace('_', ' ')} | {value} |\n" for name, value in summary.items())
    (results / "kill_resume.md").write_text(f"| kill -9, then --resume | |\n| --- | ---: |\n{rows}")


if __name__ == "__main__":
    main()
