"""Dual encoders, tiny and made from their configurations, each laid out in a folder as its publisher lays it out."""

import json
from pathlib import Path

import torch
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedTokenizerFast,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipModel,
    SiglipTokenizer,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from polyreel.progress import quietly

SIDE, WIDTH, SIGLIP_POSITIONS, CLIP_POSITIONS = 30, 32, 64, 20
SQUARE = {"height": SIDE, "width": SIDE}
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß.,:!?-狗在跑ABCDEFGH"
SIZES = {"hidden_size": WIDTH, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4}
VISION = {**SIZES, "image_size": SIDE, "patch_size": 6}


def save(model: torch.nn.Module, folder: Path) -> None:
    with quietly():
        model.save_pretrained(folder)


def clip(folder: Path) -> Path:
    """Write OpenAI's: byte pairs that end words, texts of any length, the state at the end token."""
    pieces = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "do", "dog</w>", "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    folder.mkdir(parents=True)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[("d", "o"), ("do", "g</w>")], model_max_length=CLIP_POSITIONS)
    tokenizer.save_pretrained(folder)
    ends = {"bos_token_id": len(vocab) - 2, "eos_token_id": len(vocab) - 1, "pad_token_id": len(vocab) - 1}
    text = {**SIZES, "vocab_size": len(vocab), "max_position_embeddings": CLIP_POSITIONS, **ends}
    torch.manual_seed(1)
    save(CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=WIDTH)), folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE).save_pretrained(folder)
    return folder


def siglip2(folder: Path, *, has_own_class: bool = True) -> Path:
    """Write SigLIP 2: Gemma's pieces, an end token, 64 positions; first checkpoints name Gemma's tokenizer class."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS, "do", "dog"]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    folder.mkdir(parents=True)
    named = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "<eos>", "padding_side": "right"}
    if has_own_class:
        Siglip2Tokenizer(vocab=vocab, merges=[("d", "o"), ("do", "g")], padding_side="right").save_pretrained(folder)
    else:
        own = Tokenizer(models.BPE(vocab, [("d", "o"), ("do", "g")], unk_token="<unk>", fuse_unk=True))
        own.normalizer, own.decoder = normalizers.Replace(" ", "▁"), decoders.Replace("▁", " ")
        own.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        own.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
        PreTrainedTokenizerFast(tokenizer_object=own, **named).save_pretrained(folder)
    text = {**SIZES, "vocab_size": len(vocab), "max_position_embeddings": SIGLIP_POSITIONS, "projection_size": WIDTH}
    torch.manual_seed(2)
    save(SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)), folder)
    SiglipImageProcessorPil(size=SQUARE).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    """Write SigLIP of 2023: SentencePiece in Python alone, which lowers case and drops punctuation by itself."""
    folder.mkdir(parents=True)
    corpus = folder.with_suffix(".txt")
    corpus.write_text(
        "\n".join(["a dog runs over the sand", "two cats sleep", "the red ball rolls away", LETTERS] * 20)
    )
    SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=70, hard_vocab_limit=False,
        pad_id=-1, bos_id=-1, eos_id=1, unk_id=2, character_coverage=1.0, minloglevel=3,
    )  # fmt: skip
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"))
    tokenizer.save_pretrained(folder)
    text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": SIGLIP_POSITIONS}
    torch.manual_seed(3)
    save(SiglipModel(SiglipConfig(text_config={**text, "projection_size": WIDTH}, vision_config=VISION)), folder)
    SiglipImageProcessorPil(size=SQUARE).save_pretrained(folder)
    return folder


def multilingual_clip(folder: Path) -> Path:
    """Write a text tower that sentence-transformers made for CLIP's space: an encoder, mean pooling, a dense map."""
    wordpieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(end + one for one in LETTERS for end in ("", "##"))]
    folder.mkdir(parents=True)
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 128}
    torch.manual_seed(4)
    save(DistilBertModel(DistilBertConfig(vocab_size=len(wordpieces), **sizes)), folder)
    (folder / "vocab.txt").write_text("\n".join(wordpieces), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "model_max_length": 512}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}))
    for place in ("1_Pooling", "2_Dense"):
        (folder / place).mkdir()
    modes = {f"pooling_mode_{mode}": mode == "mean_tokens" for mode in ("cls_token", "mean_tokens", "max_tokens")}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}))
    shape = {"in_features": 16, "out_features": WIDTH, "bias": False}
    identity = "torch.nn.modules.linear.Identity"
    (folder / "2_Dense" / "config.json").write_text(json.dumps({**shape, "activation_function": identity}))
    torch.save({"linear.weight": torch.randn(WIDTH, 16)}, folder / "2_Dense" / "pytorch_model.bin")
    rows = [
        {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{part}"}
        for number, (part, place) in enumerate((("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")))
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    return folder
