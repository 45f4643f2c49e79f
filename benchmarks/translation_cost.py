"""What a translated caption costs on a processor: an Opus-MT-base-shaped model, transformers beside CTranslate2.

    .venv/bin/python benchmarks/translation_cost.py

Random weights in the published shape (6 + 6 layers, width 512, 8 heads, 58,101 pieces; 74 million weights), so the
texts mean nothing: a batch's captions are given as many pieces as they have themselves in the mean, which is about what
translations have. The pieces are those of a tokenizer trained on the captions, filled up to the published vocabulary.
Reads the English captions of Multi30k (`../shared`, or `POLYREEL_SHARED`), one thread, batches as `translate` plans
them. Times are processor time, to be read as ratios within one run; a million captions is that many times one. Writes
`results/translation_cost.{json,md}`.
"""

import gzip
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
PIECES, CAPTIONS, BATCH = 58101, 256, 32


def captions() -> list[str]:
    """Read English captions."""
    with gzip.open(SHARED / "data" / "multi30k" / "train.en.gz", "rt", encoding="utf-8") as stream:
        return [line.strip() for line in stream]


def save_model(folder: Path, texts: list[str]) -> Path:
    """Write a model of random weights in the published shape."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "source"), vocab_size=7000, minloglevel=2
    )
    (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    known = ["</s>", "<unk>", *(spm.id_to_piece(i) for i in range(3, spm.get_piece_size()))]
    pieces = [*known, *(f"▁unused{i}" for i in range(PIECES - 1 - len(known))), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), encoding="utf-8")
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=PIECES, d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8,
        decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, max_position_embeddings=512,
        pad_token_id=PIECES - 1, decoder_start_token_id=PIECES - 1, eos_token_id=0, bos_token_id=0,
        forced_eos_token_id=None, static_position_embeddings=True, activation_function="swish", scale_embedding=True,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    MarianTokenizer(*files).save_pretrained(folder)
    return folder


def measure(
    translate: Callable[[list[str], int], int], batches: list[list[str]], lengths: list[int]
) -> dict[str, float]:
    """Time batches; `translate` takes texts and how many pieces each is to get, and returns how many it wrote."""
    translate(batches[0], lengths[0])
    started, written = time.process_time(), 0
    for texts, length in zip(batches, lengths, strict=True):
        written += translate(texts, length)
    seconds = time.process_time() - started
    count = sum(map(len, batches))
    return {"milliseconds_a_caption": round(1e3 * seconds / count, 2), "pieces_a_second": round(written / seconds, 1)}


def main() -> None:
    """Measure both, greedy and with four beams."""
    import ctranslate2
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from polyreel.translation.converted import convert_model

    torch.set_num_threads(1)
    with TemporaryDirectory() as place:
        folder = save_model(Path(place) / "opus", texts := captions())
        converted = convert_model(str(folder), Path(place) / "int8")
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        light = ctranslate2.Translator(str(converted), compute_type="int8", inter_threads=1, intra_threads=1)
    some = texts[:: len(texts) // CAPTIONS][:CAPTIONS]
    ordered = sorted(some, key=lambda text: (len(text), text))
    batches = [ordered[i : i + BATCH] for i in range(0, len(ordered), BATCH)]
    lengths = [round(sum(len(tokenizer.tokenize(text)) for text in batch) / len(batch)) for batch in batches]

    def heavy(texts: list[str], length: int, beams: int) -> int:
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        with torch.inference_mode():
            written = model.generate(
                **batch, num_beams=beams, do_sample=False, min_new_tokens=length, max_new_tokens=length
            )
        return int((written != tokenizer.pad_token_id).sum())

    def lightly(texts: list[str], length: int, beams: int) -> int:
        cut = [tokenizer.convert_ids_to_tokens(row) for row in tokenizer(texts)["input_ids"]]
        found = light.translate_batch(cut, beam_size=beams, min_decoding_length=length, max_decoding_length=length)
        return sum(len(one.hypotheses[0]) for one in found)

    result: dict[str, dict[str, float]] = {}
    for beams in (1, 4):
        for name, run in {"transformers, 32 bits": heavy, "CTranslate2, 8 bits": lightly}.items():
            part = slice(None) if beams == 1 else slice(0, None, 4)  # four beams on a quarter of the batches
            found = measure(lambda texts, length, run=run, b=beams: run(texts, length, b), batches[part], lengths[part])
            found["hours_for_a_million"] = round(found["milliseconds_a_caption"] / 3.6, 1)
            result[f"{name}, {beams} beam{'s' if beams > 1 else ''}"] = found
            print(name, beams, found, flush=True)
    write(result)


def write(result: dict[str, dict[str, float]]) -> None:
    """Write the results and their table."""
    content = {"machine": platform.machine(), "threads": 1, "captions": CAPTIONS, "batch": BATCH, "measured": result}
    (ROOT / "results" / "translation_cost.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    lines = [
        "| one thread | ms a caption | pieces a second | hours for a million captions |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {row['milliseconds_a_caption']:.1f} | {row['pieces_a_second']:,.0f} | "
        f"{row['hours_for_a_million']:.1f} |"
        for name, row in result.items()
    ]
    (ROOT / "results" / "translation_cost.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
