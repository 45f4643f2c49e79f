"""How long captions are: a histogram of tokens a caption, so that benchmarks of speed need no data.

    .venv/bin/python benchmarks/caption_lengths.py

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Counts the tokens of multilingual
BERT, special ones included, of every caption of `msrvtt1k` and of the training captions of `multi30k`, by language.
Writes `results/caption_lengths.json`: by data set and language, how many captions have 0, 1, 2, ... tokens.
"""

import csv
import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
from transformers import BertTokenizerFast

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))


def captions() -> dict[str, dict[str, list[str]]]:
    """Return the captions by data set and language."""
    with (SHARED / "data" / "msrvtt1k" / "captions.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = {"msrvtt1k": {lang: [row[lang] for row in rows if row[lang]] for lang in ("en", "it")}, "multi30k": {}}
    for lang in ("en", "de", "fr", "cs"):
        with gzip.open(SHARED / "data" / "multi30k" / f"train.{lang}.gz", "rt", encoding="utf-8") as stream:
            found["multi30k"][lang] = stream.read().splitlines()
    return found


def main() -> None:
    """Count, and write."""
    if not (SHARED / "data" / "msrvtt1k").is_dir():
        sys.exit(f"{SHARED} has no data/msrvtt1k; set POLYREEL_SHARED to the folder of real data")
    vocabulary = SHARED / "models" / "tokenizers" / "bert_multi_cased_vocab.txt"
    tokenizer = BertTokenizerFast(vocab=str(vocabulary), do_lower_case=False)
    result: dict[str, dict[str, list[int]]] = {}
    for name, by_lang in captions().items():
        result[name] = {}
        for lang, texts in by_lang.items():
            lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
            result[name][lang] = np.bincount(lengths).tolist()
            print(f"{name} {lang}: {len(texts)} captions, {np.mean(lengths):.1f} tokens each", flush=True)
    lines = [f'  "{name}": {{\n' + ",\n".join(f'    "{lang}": {json.dumps(counts)}' for lang, counts in found.items())
             + "\n  }" for name, found in result.items()]  # fmt: skip
    (ROOT / "results" / "caption_lengths.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
