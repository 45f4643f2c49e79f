"""How near a sample of the training clips comes to all of them: the bias of the distillation over the whole bank.

    .venv/bin/python benchmarks/bank_estimate.py

A made-up bank of 100,000 clips in 200 topics, 64 sentences, a teacher and a student that half agrees with it; nothing
is trained. For samples of many sizes, with and without hard candidates, the partition sum Z, its logarithm and the loss
are estimated 100 times and held against the full sums. Writes `results/bank_estimate.json`, `.md` and the plot of the
docs. Seconds on one thread; no timings.
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from polyreel.storage import write_json, write_text
from polyreel.training.candidates import choose_candidates
from polyreel.training.whole_bank import bank_divergence

ROOT = Path(__file__).parents[1]
CLIPS, TOPICS, SENTENCES, DIM, BATCH = 100_000, 200, 64, 64, 64
TEMPERATURE, DRAWS = 0.1, 100
SAMPLES, HARD = (30, 100, 300, 1_000, 3_000, 10_000), (0, 8)


def made_up() -> tuple[Tensor, Tensor]:
    """Return similarities `[SENTENCES, CLIPS]` of student and teacher."""
    generator = torch.Generator().manual_seed(0)

    def noise(rows: int) -> Tensor:
        return normalize(torch.randn(rows, DIM, generator=generator), dim=-1)

    topics = noise(TOPICS)
    of_clip = torch.randint(TOPICS, (CLIPS,), generator=generator)
    clips = normalize(topics[of_clip] + 0.8 * noise(CLIPS), dim=-1)
    texts = normalize(clips[:SENTENCES] + 0.5 * noise(SENTENCES), dim=-1)
    own_clips, own_texts = (normalize(rows + 0.5 * noise(len(rows)), dim=-1) for rows in (clips, texts))
    return own_texts @ own_clips.T, texts @ clips.T


def estimates(student: Tensor, teacher: Tensor, hard: int, sample: int) -> tuple[Tensor, Tensor]:
    """Return Z of the student and the divergence, `[DRAWS, SENTENCES]` each, of drawn candidates."""
    wanted = torch.topk(teacher, hard).indices.numpy().ravel() if hard else np.zeros(0, np.int64)
    sums, losses = [], []
    for step in range(DRAWS):
        drawn = choose_candidates(np.arange(BATCH), wanted, CLIPS, sample, seed=0, step=step)
        seen = torch.from_numpy(np.concatenate([np.arange(BATCH), drawn.others_T]))
        weights = torch.from_numpy(drawn.log_weights_S)
        sums.append(torch.logsumexp(student[:, seen].double() / TEMPERATURE + weights, dim=1).exp())
        losses.append(bank_divergence(student[:, seen], teacher[:, seen], weights, TEMPERATURE).double())
    return torch.stack(sums), torch.stack(losses)


def measure() -> list[dict[str, float]]:
    """Measure every sample size, with each number of hard candidates."""
    student, teacher = made_up()
    whole = torch.logsumexp(student.double() / TEMPERATURE, dim=1).exp()
    loss = bank_divergence(student.double(), teacher.double(), torch.zeros(CLIPS), TEMPERATURE)
    rows = []
    for hard in HARD:
        for sample in SAMPLES:
            sums, losses = estimates(student, teacher, hard, sample)
            ratio = sums / whole
            rows.append(
                {
                    "hard": hard,
                    "sample": sample,
                    "sum_bias_percent": round(100 * (ratio.mean() - 1).item(), 3),
                    "sum_standard_error_percent": round(100 * (ratio.mean(1).std() / DRAWS**0.5).item(), 3),
                    "log_sum_bias": round(ratio.log().mean().item(), 5),
                    "log_sum_bias_predicted": round(-(ratio.var(0) / 2).mean().item(), 5),
                    "loss": round(loss.mean().item(), 5),
                    "loss_bias": round((losses - loss).mean().item(), 5),
                    "loss_error": round((losses - loss).square().mean().sqrt().item(), 5),
                }
            )
            print(rows[-1], flush=True)
    return rows


def table(rows: list[dict[str, float]]) -> str:
    """Write what was measured."""
    lines = [
        "# A sample of the training clips for all of them",
        "",
        f"{CLIPS:,} made-up clips, {SENTENCES} sentences, temperature {TEMPERATURE}, {DRAWS} draws; loss over all "
        f"clips {rows[0]['loss']:.3f}. Certain: the {BATCH} clips of the batch and, for each sentence, its hard ones.",
        "",
        "| hard a sentence | drawn | bias of the sum, % | bias of its log | −variance / 2 | loss bias | RMS error |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['hard']} | {row['sample']:,} | {row['sum_bias_percent']:+.2f} ± "
            f"{1.96 * row['sum_standard_error_percent']:.2f} | {row['log_sum_bias']:+.4f} | "
            f"{row['log_sum_bias_predicted']:+.4f} | {row['loss_bias']:+.4f} | {row['loss_error']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def plot(rows: list[dict[str, float]], place: Path) -> None:
    """Plot bias and error of log-sum and loss against the sample's size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4))
    for color, hard in zip(("#0072b2", "#c77f00"), HARD, strict=True):
        here = [row for row in rows if row["hard"] == hard]
        drawn = [row["sample"] for row in here]
        axes[0].plot(drawn, [row["log_sum_bias"] for row in here], "o-", color=color, label=f"{hard} hard a sentence")
        axes[0].plot(drawn, [row["log_sum_bias_predicted"] for row in here], ":", color=color)
        axes[1].plot(drawn, [abs(row["loss_bias"]) for row in here], "o-", color=color, label=f"bias, {hard} hard")
        axes[1].plot(drawn, [row["loss_error"] for row in here], "^--", color=color, label=f"RMS error, {hard} hard")
    axes[0].set_title("log of the estimated sum, less the true one (dotted: −variance / 2)", fontsize=10)
    axes[1].set_title(f"loss over the bank, true value {rows[0]['loss']:.2f}", fontsize=10)
    axes[1].set_yscale("log")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlabel(f"clips drawn of {CLIPS:,}")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(place, dpi=110)


def main() -> None:
    """Measure, write, plot."""
    torch.set_num_threads(1)
    os.chdir(ROOT)
    rows = measure()
    write_json(Path("results/bank_estimate.json"), rows)
    write_text(Path("results/bank_estimate.md"), table(rows))
    plot(rows, Path("docs/images/bank-estimate.png"))


if __name__ == "__main__":
    main()
