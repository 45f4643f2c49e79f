"""Tiny translation models of every architecture, saved from a config, with SentencePiece models trained on the spot.

Their weights are random, so what they say means nothing; their files, tokenizers and marks of languages are of the
published models' kind.
"""

import json
from pathlib import Path

import sentencepiece
import torch
import transformers

from polyreel.progress import quietly

SENTENCES = [
    "a dog runs on the beach", "two people cook in a kitchen", "a man plays the guitar and sings",
    "a red car drives fast",
    "ein Hund rennt am Strand", "zwei Menschen kochen", "ein Mann spielt Gitarre", "un chien court sur la plage",
    "deux personnes cuisinent", "une voiture rouge roule vite", "mbwa anakimbia ufukweni", "watu wawili wanapika",
] * 4  # fmt: skip
SMALL = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
         "max_position_embeddings": 64}  # fmt: skip


def save_marian(folder: Path, marks: tuple[str, ...] = ()) -> Path:
    """Opus-MT: one pair, or several targets with marks like `>>deu<<`."""
    spm = train_pieces(folder / "source.spm", "unigram")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    pieces = [piece for piece in pieces_of(spm) if piece not in {"<unk>", "<s>", "</s>"}]
    vocabulary = ["</s>", "<unk>", *pieces, *marks, "<pad>"]
    write_json(folder / "vocab.json", {piece: number for number, piece in enumerate(vocabulary)})
    tokenizer = transformers.MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang="en",
        target_lang="de",
    )
    pad = len(vocabulary) - 1
    config = transformers.MarianConfig(
        vocab_size=len(vocabulary), pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, bos_token_id=0,
        forced_eos_token_id=None, static_position_embeddings=True, **SMALL,
    )  # fmt: skip
    return save(folder, transformers.MarianMTModel, config, tokenizer)


def save_nllb(folder: Path) -> Path:
    """NLLB-200: marks like `deu_Latn`."""
    train_pieces(folder / "sentencepiece.bpe.model", "bpe")
    marks = ["eng_Latn", "deu_Latn", "fra_Latn", "swh_Latn"]
    of_published = {"tokenizer_class": "NllbTokenizer", "src_lang": "eng_Latn", "additional_special_tokens": marks}
    write_json(folder / "tokenizer_config.json", of_published)
    return save_m2m_network(folder, transformers.NllbTokenizer.from_pretrained(folder))


def save_m2m(folder: Path) -> Path:
    """M2M-100: marks like `__de__`, which its tokenizer keeps beside its vocabulary."""
    spm = train_pieces(folder / "sentencepiece.bpe.model", "bpe")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(piece for piece in pieces_of(spm) if not piece.startswith("<"))]
    write_json(folder / "vocab.json", {piece: number for number, piece in enumerate(pieces)})
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    return save_m2m_network(folder, tokenizer, further=108)


def save_m2m_network(folder: Path, tokenizer, further: int = 0) -> Path:
    config = transformers.M2M100Config(
        vocab_size=len(tokenizer.get_vocab()) + further, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        decoder_start_token_id=2, **SMALL,
    )  # fmt: skip
    return save(folder, transformers.M2M100ForConditionalGeneration, config, tokenizer)


def save_mbart(folder: Path) -> Path:
    """mBART-50: marks like `de_DE`."""
    train_pieces(folder / "sentencepiece.bpe.model", "unigram")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "MBart50Tokenizer", "src_lang": "en_XX"})
    tokenizer = transformers.MBart50Tokenizer.from_pretrained(folder)
    config = transformers.MBartConfig(
        vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
        tokenizer_class="MBart50Tokenizer", forced_eos_token_id=None, normalize_before=True,
        normalize_embedding=True, **SMALL,
    )  # fmt: skip
    return save(folder, transformers.MBartForConditionalGeneration, config, tokenizer)


def save_madlad(folder: Path) -> Path:
    """MADLAD-400: a T5 whose texts begin with marks like `<2de>`."""
    marks = ["<2en>", "<2de>", "<2fr>", "<2sw>"]
    train_pieces(folder / "spiece.model", "unigram", marks=marks, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    tokenizer = transformers.T5Tokenizer.from_pretrained(folder)
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0,
    )  # fmt: skip
    return save(folder, transformers.T5ForConditionalGeneration, config, tokenizer)


def save(folder: Path, network, config, tokenizer) -> Path:
    torch.manual_seed(0)
    model = network(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # louder, so that different sentences get different words
    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_pieces(
    file: Path, kind: str, marks: list[str] | None = None, **ids: int
) -> sentencepiece.SentencePieceProcessor:
    file.parent.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix=str(file.with_suffix("")), vocab_size=100, model_type=kind,
        user_defined_symbols=marks or [], hard_vocab_limit=False, minloglevel=2, **ids,
    )  # fmt: skip
    file.with_suffix(".model").rename(file)
    file.with_suffix(".vocab").unlink()
    return sentencepiece.SentencePieceProcessor(model_file=str(file))


def pieces_of(spm: sentencepiece.SentencePieceProcessor) -> list[str]:
    return [spm.id_to_piece(number) for number in range(spm.get_piece_size())]


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")


SAVERS = {"marian": save_marian, "nllb": save_nllb, "m2m": save_m2m, "mbart": save_mbart, "madlad": save_madlad}
