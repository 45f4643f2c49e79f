"""Tiny text models of the formats others publish, made from configurations."""

from pathlib import Path

import pytest

TEXTS = [
    "A dog runs fast.",
    "Ein Hund läuft schnell, sehr schnell!",
    "一只狗在跑",
    "собака бежит",
    "",
    "☃☃☃",
    "a man is cooking in a kitchen and talking to the camera",
]


@pytest.fixture(scope="session")
def texts():
    return TEXTS


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> Path:
    """A one-layer BERT with a pooler and a WordPiece tokenizer of single letters."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    _save(folder, BertModel(BertConfig(vocab_size=len(vocabulary), **_tiny())), BertTokenizer.from_pretrained(folder))
    return folder


@pytest.fixture(scope="session")
def xlm_roberta_folder(tmp_path_factory) -> Path:
    """A one-layer XLM-R without a pooler, its pieces learnt from the test's texts."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    from polyreel.models.subword import train_tokenizer

    folder = tmp_path_factory.mktemp("xlm_roberta")
    pieces = train_tokenizer(TEXTS, vocab_size=200)
    pieces.add_special_tokens(["<s>", "<pad>", "</s>"])
    ends = [(token, pieces.token_to_id(token)) for token in ("<s>", "</s>")]
    pieces.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="[UNK]"
    )
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **_tiny() | {"max_position_embeddings": 300}
    )
    _save(folder, XLMRobertaModel(config, add_pooling_layer=False), tokenizer)
    return folder


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory, bert_folder) -> Path:
    """A sentence-transformers model laid out like LaBSE: encoder, first token, dense with tanh, unit length."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    from polyreel.models.huggingface import quietly

    folder = tmp_path_factory.mktemp("pipeline")
    with quietly():
        encoder = Transformer(str(bert_folder))
        SentenceTransformer(
            modules=[encoder, Pooling(16, "cls"), Dense(16, 8), Normalize()], device="cpu"
        ).save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory) -> Path:
    """A sentence-transformers StaticEmbedding: one vector a piece."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    from polyreel.models.subword import train_tokenizer

    folder = tmp_path_factory.mktemp("static")
    static = StaticEmbedding(train_tokenizer(TEXTS, vocab_size=200), embedding_dim=16)
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


def _tiny():
    return {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 64,
    }


def _save(folder, model, tokenizer):
    from polyreel.models.huggingface import quietly

    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
