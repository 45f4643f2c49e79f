"""How much memory training needs, against the size of the batch and the number of captions.

`batch`: peak resident memory of one step of the scaled-down tower (6 layers, 384 wide, vocabulary 120,000, 9 languages,
three banked teachers) on a plain batch of 64 clips, and on batches up to 4,096 whose embeddings are made in chunks.
`data`: peak resident memory of a whole `train` of a small student, against the number of captions. Every measurement is
a process of its own. Writes results/memory_growth.json, .md and .png; what was measured before is kept, so the parts
may be run one by one.

    python benchmarks/memory_growth.py batch [--sizes 1024 4096] [--layers 6]
    python benchmarks/memory_growth.py data [--captions 10000 100000 1000000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast

from polyreel import Dataset, Recipe, Retriever, TeacherBank, train
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.models.huggingface import build_encoder
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.models.video import VideoTower
from polyreel.training.batches import CaptionTable, LangCaptions, sample_batches
from polyreel.training.processes import Processes
from polyreel.training.scoring import Scorer
from polyreel.training.step import Stepper
from polyreel.training.teachers import BankedTeacher
from polyreel.training.watching import peak_memory_bytes

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "memory_growth.json"
LANGS = ("en", "de", "fr", "cs", "zh", "ru", "vi", "sw", "es")
VOCABULARY, WIDTH, LAYERS, FRAMES, DIM, CHUNK = 120_000, 384, 6, 4, 512, 512
CLIPS = 4096
CAPTIONS_A_CLIP = 20


def student(layers: int) -> Retriever:
    """Make the scaled-down tower with random weights."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(VOCABULARY - 5))]
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}, do_lower_case=False)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": layers, "intermediate_size": 4 * WIDTH}
    config = BertConfig(vocab_size=VOCABULARY, num_attention_heads=WIDTH // 64, **sizes)
    text, video = TextSettings(backbone="made up"), VideoSettings()
    features = FeatureSettings(extractor="made up", extractor_fingerprint="1", dim=DIM)
    settings = RetrieverSettings(text=text, video=video, features=features, embed_dim=DIM, langs=LANGS)
    backbone = build_encoder(BertModel(config, add_pooling_layer=False), tokenizer, text, [])
    tower = TextTower(backbone, text, embed_dim=DIM)
    return Retriever(tower, VideoTower(video, video_dim=DIM, embed_dim=DIM), settings).train()


def captions_table(generator: np.random.Generator) -> CaptionTable:
    """Draw one caption a clip and language, two to four tokens each.

    They are short so that a batch of 4,096 clips takes minutes. Long ones would add activations to the plain batch
    of 64 more than to a chunk, so the comparison is not flattered.
    """
    names = [f"clip{number}" for number in range(CLIPS)]
    lengths = generator.integers(2, 5, CLIPS * len(LANGS))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    every = np.arange(CLIPS)
    by_lang = {
        lang: LangCaptions(
            first_row=number * CLIPS,
            sentence_Q=every,
            first_C=np.arange(CLIPS + 1),
            cumulative_weight_Q=np.arange(1.0, CLIPS + 1),
            row_of_sentence_S=every,
        )
        for number, lang in enumerate(LANGS)
    }
    ids = generator.integers(5, VOCABULARY, int(offsets[-1])).astype(np.int32)
    tokens = Tokens(ids=ids, offsets=offsets)
    return CaptionTable(
        clip_ids=names,
        sentence_ids=names,
        first_sentence_C=np.arange(CLIPS + 1),
        tokens=tokens,
        weight_N=np.ones(len(lengths), np.float32),
        by_lang=by_lang,
    )


def one_step(size: int, chunk: int | None, layers: int) -> dict[str, object]:
    """Take a step on a batch, after one on a small batch, and say what the process needed at most."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    table, model = captions_table(generator), student(layers)
    frames = torch.from_numpy(generator.random((CLIPS, FRAMES, DIM), np.float32))
    unit = [functional.normalize(torch.randn(CLIPS, DIM), dim=-1).numpy() for _ in range(6)]
    teachers = [BankedTeacher(fingerprint="", clips_CD=unit[k], sentences_SD=unit[k + 3]) for k in range(3)]
    recipe = Recipe.model_validate(
        {
            "data": {"dataset": "made up", "features": "made up", "langs": list(LANGS)},
            "objective": {"contrastive_weight": 0.5, "distillation_weight": 0.5},
            "teachers": {"runs": ["a", "b", "c"]},
            "batches": {"size": size},
            "machine": {} if chunk is None else {"chunk": chunk},
        }
    )
    bank = TeacherBank(teachers, table.clip_ids, table.sentence_ids)
    mask = torch.ones(CLIPS, FRAMES, dtype=torch.bool)
    scorer = Scorer(recipe, model, table, (frames, mask), bank)
    stepper = Stepper(recipe, model, scorer, Processes(), num_steps=2, steps_an_epoch=1)
    small = next(sample_batches(table, 64, "independent", seed=2))
    batch = next(sample_batches(table, size, "independent", seed=1))
    stepper.take(small, 0, is_measured=False)  # so that the optimizer's moments are there, as in every later step
    before = peak_memory_bytes(torch.device("cpu"))
    taken = stepper.take(batch, 1, is_measured=False)
    found = {
        "clips": size,
        "captions": len(batch.rows_N),
        "chunk": chunk,
        "layers": layers,
        "loss": taken.loss.total.item(),
    }
    return {**found, "bytes_before": before, "peak_bytes": peak_memory_bytes(torch.device("cpu"))}


def write_data(folder: Path, num_captions: int) -> None:
    """Write clips with made-up captions in two languages, and one row of features each."""
    generator = np.random.default_rng(0)
    num_clips, langs = max(num_captions // (2 * CAPTIONS_A_CLIP), 100), ("en", "it")
    ids = [f"clip{number}" for number in range(num_clips)]
    clips = pa.table({"clip_id": ids, "video": ids, "split": ["train"] * num_clips, "source": ids})
    clips = clips.append_column("start_seconds", pa.nulls(num_clips, pa.float64()))
    clips = clips.append_column("end_seconds", pa.nulls(num_clips, pa.float64()))
    sentences = np.repeat(np.arange(num_captions // 2), 2)
    words = np.array([f"w{number}" for number in range(2000)])
    texts = [" ".join(words[row]) for row in generator.integers(0, 2000, (len(sentences), 6))]
    captions = pa.table(
        {
            "caption_id": [f"s{number}" for number in sentences],
            "clip_id": [ids[number % num_clips] for number in sentences],
            "lang": list(langs) * (len(sentences) // 2),
            "text": texts,
            "origin": ["human"] * len(sentences),
            "weight": np.ones(len(sentences)),
        }
    )
    dataset = Dataset.build("made up", clips, captions).save(folder)
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=64)
    with FeatureWriter(dataset.features_folder("noise"), settings) as writer:
        for clip_id in ids:
            writer.add(clip_id, generator.random((4, 64), np.float32))


def one_run(data: str, run: str) -> dict[str, object]:
    """Train on a folder's captions and say what the process needed at most."""
    recipe = Recipe.model_validate(
        {
            "data": {"dataset": data, "features": "noise", "langs": ["en", "it"]},
            "text": {"vocab_size": 3000, "width": 128},
            "video": {"pooling": "mean"},
            "embed_dim": 128,
            "schedule": {"steps": 50, "keep": "last"},
        }
    )
    before = peak_memory_bytes(torch.device("cpu"))
    train(recipe, run)
    return {"bytes_before": before, "peak_bytes": peak_memory_bytes(torch.device("cpu"))}


def two_runs(num_captions: int) -> list[dict[str, object]]:
    """Train twice: the first run prepares tokens and frames, the second finds them on the disk."""
    with tempfile.TemporaryDirectory() as place:
        measure("write", f"{place}/data", num_captions)
        found = []
        for number, name in enumerate(("first run", "later run")):
            row = {"captions": num_captions, "run": name}
            found.append(row | measure("data", f"{place}/data", f"{place}/run{number}"))
        return found


def measure(*words: object) -> dict[str, object]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "one", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    print(found, flush=True)
    return found


def keep(part: str, rows: list[dict[str, object]]) -> None:
    """Put a part's measurements beside the others, and draw all."""
    result = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    result[part] = rows
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        "| part | clips in a batch | captions | how | peak resident memory, GB |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    for name, found in result.items():
        for row in found:
            gigabytes = f"{row['peak_bytes'] / 1e9:.2f}"
            cells = (name, row.get("clips", 64), f"{row['captions']:,}", how(row), gigabytes)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n")
    draw(result)


def how(row: dict[str, object]) -> str:
    """Say how a measurement was made."""
    chunk = row.get("chunk")
    return str(row.get("run") or (f"in chunks of {chunk}" if chunk else "whole batch at once"))


def draw(result: dict[str, list[dict[str, float]]]) -> None:
    """Draw peak memory against batch and against data."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    parts = (("batch", "clips", "clips in a batch"), ("data", "captions", "captions to train on"))
    for axis, (part, key, label) in zip(axes, parts, strict=True):
        for name in dict.fromkeys(how(row) for row in result.get(part, [])):
            rows = [row for row in result[part] if how(row) == name]
            axis.plot([row[key] for row in rows], [row["peak_bytes"] / 1e9 for row in rows], "o-", label=name)
        axis.set(xscale="log", xlabel=label, ylabel="peak resident memory, GB", ylim=(0, None))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(RESULT.with_suffix(".png"), dpi=110)


def one(part: str, first: str, second: str, layers: str = "") -> dict[str, object]:
    """Do one part in this process."""
    if part == "write":
        write_data(Path(first), int(second))
        return {"written": int(second)}
    return one_run(first, second) if part == "data" else one_step(int(first), int(second) or None, int(layers))


def main() -> None:
    """Measure one part."""
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["batch", "data"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--layers", type=int, default=LAYERS, help="of the tower, for `batch`")
    parser.add_argument("--captions", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    asked = parser.parse_args()
    if asked.part == "data":
        rows: list[dict[str, object]] = []
        for size in asked.captions:
            rows += two_runs(size)
            keep("data", rows)
    else:
        sizes = [(64, 0), *((size, CHUNK) for size in asked.sizes)]
        keep("batch", [measure("batch", size, chunk, asked.layers) for size, chunk in sizes])


if __name__ == "__main__":
    main()
