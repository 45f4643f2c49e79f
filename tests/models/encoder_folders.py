"""The encoders that C2KD and its neighbours use, each tiny but laid out in a folder as its publisher lays it out."""

import json

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

from polyreel.models.huggingface import quietly

WIDTH, POSITIONS = 16, 64
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzäöüß.,:!?"
OTHERS = "一只狗在跑собакежитनमस्ते"
WORDPIECE = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(end + letter for letter in LATIN + OTHERS for end in ("", "##")),
]
XLMR_PIECES = [
    *((special, 0.0) for special in ("<s>", "<pad>", "</s>", "<unk>")),
    *((piece, -2.0 - 0.01 * number) for number, piece in enumerate(dict.fromkeys(["▁", "▁Hund", *LATIN, *OTHERS]))),
    ("<mask>", 0.0),
]
SIZES = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
BERT = {**SIZES, "max_position_embeddings": POSITIONS}
ROBERTA = {**SIZES, "max_position_embeddings": POSITIONS + 2}  # the first two rows are padding's and the one before


def save(model, folder):
    with quietly():
        model.save_pretrained(folder)


def write(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def wordpiece(folder, lower, most=512):
    (folder / "vocab.txt").write_text("\n".join(WORDPIECE), encoding="utf-8")
    write(folder, "tokenizer_config.json", {"do_lower_case": lower, "model_max_length": most})


def unigram(folder):
    XLMRobertaTokenizer(vocab=XLMR_PIECES).backend_tokenizer.save(str(folder / "tokenizer.json"))


def pipeline(folder, mode, *, dense=0, normalize=False, most=128):
    """Write what makes an encoder's folder a sentence-transformers model, in the names of its older releases."""
    write(folder, "sentence_bert_config.json", {"max_seq_length": most, "do_lower_case": False})
    modes = {
        f"pooling_mode_{key}_tok{end}": mode == key for key, end in (("cls", "en"), ("mean", "ens"), ("max", "ens"))
    }
    parts = ["Transformer", "Pooling", *(["Dense"] if dense else []), *(["Normalize"] if normalize else [])]
    places = ["", *(f"{number}_{part}" for number, part in enumerate(parts) if number)]
    for place in places:
        (folder / place).mkdir(exist_ok=True)
    write(folder / places[1], "config.json", {"word_embedding_dimension": WIDTH, **modes})
    if dense:
        tanh = "torch.nn.modules.activation.Tanh"
        shape = {"in_features": WIDTH, "out_features": dense, "bias": True, "activation_function": tanh}
        write(folder / places[2], "config.json", shape)
        weights = {"linear.weight": torch.randn(dense, WIDTH), "linear.bias": torch.randn(dense)}
        torch.save(weights, folder / places[2] / "pytorch_model.bin")
    rows = [
        {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{part}"}
        for number, (part, place) in enumerate(zip(parts, places, strict=True))
    ]
    write(folder, "modules.json", rows)


def labse(folder):
    save(BertModel(BertConfig(vocab_size=len(WORDPIECE), **BERT)), folder)
    wordpiece(folder, lower=False)
    pipeline(folder, "cls", dense=WIDTH, normalize=True, most=256)


def distiluse(folder):
    sizes = {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": POSITIONS}
    save(DistilBertModel(DistilBertConfig(vocab_size=len(WORDPIECE), **sizes)), folder)
    wordpiece(folder, lower=False)
    pipeline(folder, "mean", dense=10)


def mbert_cased(folder, lower=False):
    save(BertForPreTraining(BertConfig(vocab_size=len(WORDPIECE), **BERT)), folder)
    wordpiece(folder, lower)


def mbert_uncased(folder):
    mbert_cased(folder, lower=True)


def xlm_r(folder):
    save(XLMRobertaForMaskedLM(XLMRobertaConfig(vocab_size=len(XLMR_PIECES), **ROBERTA)), folder)
    unigram(folder)
    write(folder, "tokenizer_config.json", {"model_max_length": 512})


def infoxlm(folder):
    """InfoXLM and XLM-Align: weights in half precision, pickled, and of the tokenizer only tokenizer.json."""
    config = XLMRobertaConfig(vocab_size=len(XLMR_PIECES), **ROBERTA)
    config.save_pretrained(folder)
    unigram(folder)
    torch.save(XLMRobertaForMaskedLM(config).half().state_dict(), folder / "pytorch_model.bin")


def simcse(folder):
    config = RobertaConfig(vocab_size=300, type_vocab_size=1, bos_token_id=0, pad_token_id=1, eos_token_id=2, **ROBERTA)
    save(RobertaModel(config), folder)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "do", "<mask>"]
    write(folder, "vocab.json", {piece: number for number, piece in enumerate(pieces)})
    (folder / "merges.txt").write_text("#version: 0.2\nd o\n", encoding="utf-8")
    write(folder, "tokenizer_config.json", {"model_max_length": 512})


def minilm(folder):
    """The paraphrase model: a BERT with XLM-R's pieces, whose files name no tokenizer class."""
    save(BertModel(BertConfig(vocab_size=len(XLMR_PIECES) + 5, **BERT)), folder)
    unigram(folder)
    names = {"cls": "<s>", "sep": "</s>", "bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    tokens = {f"{name}_token": token for name, token in names.items()}
    write(
        folder,
        "tokenizer_config.json",
        {"do_lower_case": True, "strip_accents": None, "model_max_length": 512, **tokens},
    )
    pipeline(folder, "mean")


def e5(folder):
    save(XLMRobertaModel(XLMRobertaConfig(vocab_size=len(XLMR_PIECES), **ROBERTA)), folder)
    unigram(folder)
    write(folder, "tokenizer_config.json", {"model_max_length": 512, "tokenizer_class": "XLMRobertaTokenizer"})
    pipeline(folder, "mean", normalize=True, most=512)


def e5_small(folder):
    save(BertModel(BertConfig(vocab_size=len(XLMR_PIECES) + 5, tokenizer_class="XLMRobertaTokenizer", **BERT)), folder)
    unigram(folder)
    write(folder, "tokenizer_config.json", {"model_max_length": 512, "tokenizer_class": "XLMRobertaTokenizer"})
    pipeline(folder, "mean", normalize=True, most=512)


MAKERS = {
    "LaBSE": labse,
    "distiluse-base-multilingual-cased-v2": distiluse,
    "bert-base-multilingual-cased": mbert_cased,
    "bert-base-multilingual-uncased": mbert_uncased,
    "xlm-roberta-base": xlm_r,
    "infoxlm-base": infoxlm,
    "sup-simcse-roberta-base": simcse,
    "paraphrase-multilingual-MiniLM-L12-v2": minilm,
    "multilingual-e5-base": e5,
    "multilingual-e5-small": e5_small,
}
