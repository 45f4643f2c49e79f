"""A small Opus-MT-shaped model from scratch on Multi30k, English to German: does what `translate` runs on translate?

    .venv/bin/python benchmarks/translator_from_scratch.py

Needs the Multi30k files beside the project (`../shared/data/multi30k`, or `POLYREEL_SHARED`). Trains on one thread for
`--seconds` of processor time, then translates the 1,000 sentences of test 2016 through `open_translator`: with
transformers, and converted to 8 bits. chrF (sacrebleu) beside three baselines: the English left as it is, the
references of other sentences, and a lexicon that translates word by word, learnt from the same sentences (IBM model 1).
Leaves the model in `runs/` (and trains none where one is), writes `results/translator_from_scratch.json` and `.md`.
"""

import argparse
import gzip
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
NUM_PIECES, DIM, BATCH = 2000, 128, 64
Pair = tuple[str, str]


def read(split: str) -> list[Pair]:
    """Read the English and German sentences of a split."""
    sides = []
    for lang in ("en", "de"):
        with gzip.open(SHARED / "data" / "multi30k" / f"{split}.{lang}.gz", "rt", encoding="utf-8") as stream:
            sides.append([line.strip() for line in stream])
    return list(zip(*sides, strict=True))


def save_untrained(folder: Path, pairs: Sequence[Pair]) -> None:
    """Write a model with random weights and a tokenizer of these sentences, in the files of an Opus-MT model."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    sentences = [sentence for pair in pairs for sentence in pair]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_prefix=str(folder / "pieces"), vocab_size=NUM_PIECES, minloglevel=2
    )
    spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes((folder / "pieces.model").read_bytes())
    for spare in folder.glob("pieces.*"):
        spare.unlink()
    pieces = ["</s>", "<unk>", *(spm.id_to_piece(i) for i in range(3, spm.get_piece_size())), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), encoding="utf-8")
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    tokenizer = MarianTokenizer(*files, source_lang="en", target_lang="de")
    pad = len(pieces) - 1
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(pieces), d_model=DIM, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=2 * DIM, decoder_ffn_dim=2 * DIM, max_position_embeddings=128,
        pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, bos_token_id=0, forced_eos_token_id=None,
        dropout=0.1, scale_embedding=True, activation_function="swish",
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(folder: Path, pairs: Sequence[Pair], limit_seconds: float) -> dict[str, float]:
    """Train the model in a folder for so long of processor time; write it back, and return what was done."""
    import torch
    from sentencepiece import SentencePieceProcessor
    from transformers import MarianMTModel

    model = MarianMTModel.from_pretrained(folder).train()
    spm, ids = (
        SentencePieceProcessor(model_file=str(folder / "source.spm")),
        json.loads((folder / "vocab.json").read_text()),
    )
    sources, targets = (
        [[*(ids.get(piece, 1) for piece in pieces), 0] for pieces in spm.encode(list(side), out_type=str)]
        for side in zip(*pairs, strict=True)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.01)
    started, steps, shown, seen = time.process_time(), 0, 0.0, 0.0
    pad = ids["<pad>"]
    for rows in batches([len(source) + len(target) for source, target in zip(sources, targets, strict=True)]):
        share = (time.process_time() - started) / limit_seconds
        if share >= 1:
            break
        rate = 3e-3 * min(1.0, (steps + 1) / 200) * max(0.02, 1 - share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        source, target = (padded([side[row] for row in rows], pad) for side in (sources, targets))
        logits = model(
            input_ids=source, attention_mask=(source != pad).long(), decoder_input_ids=shifted(target, pad)
        ).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), target.flatten(), ignore_index=pad, label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps, seen = steps + 1, 0.98 * seen + 0.02 * loss.item() if steps else loss.item()
        if share - shown >= 0.05:
            shown = share
            print(f"{share:4.0%} of {limit_seconds:g} s, step {steps}, loss {seen:.2f}", flush=True)
    model.eval().save_pretrained(folder)
    return {"steps": steps, "epochs": round(steps * BATCH / len(pairs), 2), "loss": round(seen, 3)}


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield batches of like length in random order, without end."""
    chance = random.Random(0)
    order = list(range(len(lengths)))
    while True:
        chance.shuffle(order)
        pools = [sorted(order[i : i + 50 * BATCH], key=lengths.__getitem__) for i in range(0, len(order), 50 * BATCH)]
        cut = [pool[i : i + BATCH] for pool in pools for i in range(0, len(pool), BATCH)]
        chance.shuffle(cut)
        yield from cut


def padded(rows: Sequence[Sequence[int]], pad: int) -> "torch.Tensor":
    """Stack rows of ids, `[B, T]`."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])


def shifted(target: "torch.Tensor", pad: int) -> "torch.Tensor":
    """Move targets one to the right, behind the padding piece that a Marian decoder starts with."""
    import torch

    return torch.cat([torch.full_like(target[:, :1], pad), target[:, :-1]], dim=1)


def lexicon(pairs: Sequence[Pair], rounds: int = 5) -> dict[str, str]:
    """Return each English word's likeliest German word by IBM model 1."""
    import numpy as np

    sides = [[side.lower().split() for side in column] for column in zip(*pairs, strict=True)]
    number: list[defaultdict[str, int]] = [defaultdict(lambda d=i: len(number[d])) for i in range(2)]
    cells: list[tuple[int, int, int]] = []
    for row, (english, german) in enumerate(zip(*sides, strict=True)):
        ids = [number[0][word] for word in english]
        cells += [(one, number[1][word], row * 64 + at) for at, word in enumerate(german[:64]) for one in ids]
    english_ids, german_ids, places = np.array(cells, np.int64).T
    keys, pair_of = np.unique(english_ids * len(number[1]) + german_ids, return_inverse=True)
    chance = np.full(len(keys), 1.0)
    for _ in range(rounds):
        weights = chance[pair_of]
        weights = weights / np.bincount(places, weights)[places]
        counts = np.bincount(pair_of, weights)
        chance = counts / np.bincount(keys // len(number[1]), counts)[keys // len(number[1])]
    words = [list(side) for side in number]
    best = {}
    for at in np.argsort(chance, kind="stable"):
        best[words[0][keys[at] // len(number[1])]] = words[1][keys[at] % len(number[1])]
    return best


def measure(folder: Path, pairs: Sequence[Pair], train_pairs: Sequence[Pair]) -> dict[str, float]:
    """Return chrF of the model, as it is and converted, and of the baselines."""
    from sacrebleu.metrics import CHRF

    from polyreel import TranslationSettings, open_translator
    from polyreel.translation.converted import convert_model
    from polyreel.translation.translator import Sentence

    english, german = map(list, zip(*pairs, strict=True))
    words = lexicon(train_pairs)
    chance = random.Random(0)
    said = {
        "English as it is": english,
        "references of other sentences": chance.sample(german, len(german)),
        "word by word": [" ".join(words.get(word, word) for word in line.lower().split()) for line in english],
    }
    converted = folder.with_name(folder.name + "-int8")
    if not converted.exists():
        convert_model(str(folder), converted)
    for name, model in {"transformers": str(folder), "CTranslate2, 8 bits": f"ctranslate2:{converted}"}.items():
        translator = open_translator(model, TranslationSettings(beams=1, max_tokens=64))
        texts: list[str] = []
        for start in range(0, len(english), 50):
            part = [Sentence(caption_id=line, text=line) for line in english[start : start + 50]]
            texts += [text or "" for text in translator(part, "en", "de").texts]
        said[f"our model, {name}"] = texts
    for line, text in zip(english[:5], said["our model, transformers"][:5], strict=True):
        print(f"{line}\n  -> {text}", flush=True)
    return {name: round(CHRF().corpus_score(texts, [german]).score, 1) for name, texts in said.items()}


def main() -> None:
    """Train, measure, write down."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=480.0, help="processor time to train for")
    arguments.add_argument("--train-only", action="store_true", help="measure later")
    arguments.add_argument("-o", "--output", type=Path, default=ROOT / "results", help="folder of the result")
    arguments.add_argument("--model", type=Path, default=ROOT / "runs" / "opus-mt-en-de", help="folder of the model")
    asked = arguments.parse_args()
    import torch

    torch.set_num_threads(1)
    pairs = read("train")
    trained = asked.model.with_name(asked.model.name + ".json")
    if not trained.exists():
        save_untrained(asked.model, pairs)
        trained.write_text(json.dumps(train(asked.model, pairs, asked.seconds)), encoding="utf-8")
    if asked.train_only:
        return
    done = json.loads(trained.read_text(encoding="utf-8"))
    chrf = measure(asked.model, read("test_2016_flickr"), pairs)
    weights = sum(file.stat().st_size for file in asked.model.glob("*.safetensors")) / 4e6
    result = {"train_cpu_seconds": asked.seconds, **done, "million_weights": round(weights, 2), "chrf": chrf}
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "translator_from_scratch.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    lines = ["| Multi30k test 2016, English to German | chrF |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.1f} |" for name, value in chrf.items()]
    (asked.output / "translator_from_scratch.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
