"""What an encoder's folder says beside its weights: prompts, tokenizers of several kinds, and what is wrong in some."""

import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from encoder_folders import (
    BERT,
    MAKERS,
    WORDPIECE,
    labse,
    mbert_cased,
    save,
    wordpiece,
    write,
    xlm_r,
)
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import RecipeError
from polyreel.models.huggingface import quietly
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.models.text import build_backbone

PROMPTS = "config_sentence_transformers.json"


@pytest.fixture
def make(tmp_path):
    def make_folder(name):
        folder = tmp_path / name
        folder.mkdir()
        MAKERS[name](folder)
        return folder

    return make_folder


def build(folder, **settings):
    return build_backbone(TextSettings(backbone=str(folder), **settings), []).eval()


def tokens(folder, text, **settings):
    return build(folder, **settings).tokenize([text]).ids.tolist()


def saved(folder, place, **settings):
    text, video = TextSettings(backbone=str(folder), **settings), VideoSettings(pooling="mean")
    features = FeatureSettings(extractor="net", extractor_fingerprint="1", dim=4)
    model = Retriever.build(text, video, features, embed_dim=8, langs=["en"], training_texts=["a dog"])
    model.save(place)
    return model, Retriever.load(place)


@pytest.mark.parametrize(
    ("named", "prompt"),
    [
        ({"prompts": {"query": "Q: ", "passage": "P: "}, "default_prompt_name": None}, "Q: "),
        ({"prompts": {"query": "Q: ", "passage": "P: "}, "default_prompt_name": "passage"}, "Q: "),
        ({"prompts": {"search": "S: "}, "default_prompt_name": "search"}, "S: "),
        ({"prompts": {"search": "S: "}, "default_prompt_name": None}, ""),
    ],
)
def test_every_text_gets_the_prompt_its_files_name_for_queries(make, named, prompt):
    folder = make("LaBSE")
    expected = tokens(folder, prompt + "a dog")
    write(folder, PROMPTS, named)
    assert tokens(folder, "a dog") == tokens(folder, "a dog", pooling="own") == expected


def test_a_named_prompt_goes_before_that_of_the_card(make):
    folder = make("multilingual-e5-base")
    assert tokens(folder, "a dog") == AutoTokenizer.from_pretrained(folder)("query: a dog")["input_ids"]
    write(folder, PROMPTS, {"prompts": {"query": "Q: "}, "default_prompt_name": None})
    assert tokens(folder, "a dog") == AutoTokenizer.from_pretrained(folder)("Q: a dog")["input_ids"]


def test_own_is_what_sentence_transformers_says_of_a_query(make):
    folder = make("LaBSE")
    write(folder, PROMPTS, {"prompts": {"query": "Q: "}, "default_prompt_name": None})
    with quietly():
        expected = SentenceTransformer(str(folder), device="cpu").encode_query(["a dog"], show_progress_bar=False)
    backbone = build(folder, pooling="own")
    with torch.no_grad():
        np.testing.assert_allclose(backbone(backbone.tokenize(["a dog"])).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_prompt_kept_out_of_the_pooling_is_refused(make):
    folder = make("distiluse-base-multilingual-cased-v2")
    write(
        folder / "1_Pooling",
        "config.json",
        {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": False},
    )
    assert build(folder, pooling="own").dim == 10
    write(folder, PROMPTS, {"prompts": {"query": "Q: "}, "default_prompt_name": None})
    assert build(folder).dim == 16
    with pytest.raises(
        RecipeError, match=r"leaves its prompt 'Q: ' out of the pooling, .* use text.pooling = \"mean\""
    ):
        build(folder, pooling="own")


def test_a_saved_model_keeps_its_prompt(make, tmp_path):
    folder = make("multilingual-e5-small")
    model, again = saved(folder, tmp_path / "model")
    assert (tmp_path / "model" / "backbone" / "prompt.txt").read_text() == "query: "
    assert again.text.tokenize(["a dog"]).ids.tolist() == model.text.tokenize(["a dog"]).ids.tolist()
    assert len(tokens(folder, "a dog")) > len(AutoTokenizer.from_pretrained(folder)("a dog")["input_ids"])


def test_a_saved_model_keeps_a_tokenizer_that_was_changed(make, tmp_path):
    folder = make("multilingual-e5-base")
    write(folder, "sentence_bert_config.json", {"max_seq_length": 30, "do_lower_case": True})
    model, again = saved(folder, tmp_path / "model")
    assert model.text.tokenize(["A DOG"]).ids.tolist() == model.text.tokenize(["a dog"]).ids.tolist()
    assert again.text.tokenize(["A DOG"]).ids.tolist() == again.text.tokenize(["a dog"]).ids.tolist()
    assert again.text.tokenize(["dog " * 99]).lengths.tolist() == [30]


@pytest.mark.parametrize("is_pipeline", [True, False])
def test_the_kind_of_tokenizer_is_the_published_one(make, is_pipeline):
    """transformers makes a WordPiece tokenizer of XLM-R's pieces where a BERT's files name no class."""
    folder = make("paraphrase-multilingual-MiniLM-L12-v2")
    if not is_pipeline:
        (folder / "modules.json").unlink()
    found = tokens(folder, "ein Hund läuft")
    assert found == PreTrainedTokenizerFast.from_pretrained(folder)("ein Hund läuft")["input_ids"]
    assert found != AutoTokenizer.from_pretrained(folder)("ein Hund läuft")["input_ids"]
    length = 128 if is_pipeline else 512
    assert build(folder, max_tokens=1000)._tokenizer.model_max_length == length


def test_the_real_vocabulary_of_mbert_is_read_as_its_authors_say(shared, tmp_path):
    pieces = shared / "models" / "tokenizers" / "bert_multi_cased_vocab.txt"
    save(BertModel(BertConfig(vocab_size=119547, **{**BERT, "hidden_size": 2, "num_attention_heads": 1})), tmp_path)
    wordpiece(tmp_path, lower=False)
    shutil.copy(pieces, tmp_path / "vocab.txt")
    names = pieces.read_text("utf-8").split("\n")
    found = [names[token] for token in tokens(tmp_path, "Ein Hund läuft, 一只狗 собака")]
    assert found == ["[CLS]", "Ein", "Hund", "läuft", ",", "一", "只", "狗", "со", "##бак", "##а", "[SEP]"]


def sentencepiece_only(folder):
    xlm_r(folder)
    (folder / "tokenizer.json").unlink()
    model = import_protobuf().ModelProto()
    for piece, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3), ("▁", 1), ("a", 1)):
        model.pieces.add(piece=piece, score=-1.0, type=kind)
    (folder / "sentencepiece.bpe.model").write_bytes(model.SerializeToString())


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
def test_a_sentencepiece_model_alone_says_what_reads_it(tmp_path):
    sentencepiece_only(tmp_path)
    with pytest.raises(RecipeError, match=r"SentencePiece model alone, .* pip install sentencepiece; "):
        build(tmp_path)


@pytest.mark.skipif(find_spec("sentencepiece") is None, reason="sentencepiece is not installed")
def test_a_sentencepiece_model_alone_gets_the_numbers_of_xlm_r(tmp_path):
    sentencepiece_only(tmp_path)
    assert tokens(tmp_path, "a") == [0, 4, 5, 2]  # <s> <pad> </s> <unk> come first, whatever the model's own order


@pytest.mark.parametrize("make_folder", [labse, mbert_cased, xlm_r])
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, make_folder):
    make_folder(tmp_path)
    for name in ("vocab.txt", "tokenizer.json"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(
        RecipeError, match=r"has no tokenizer: none of its files gives \w+Tokenizer any pieces; expected"
    ):
        build(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save(BertModel(BertConfig(vocab_size=len(WORDPIECE) - 9, **BERT)), tmp_path)
    wordpiece(tmp_path, lower=False)
    with pytest.raises(RecipeError, match=r"a tokenizer of \d+ tokens, but the encoder knows \d+; they do not belong"):
        build(tmp_path)


def test_room_for_the_special_tokens_alone_is_refused(make):
    folder = make("LaBSE")
    assert len(tokens(folder, "a dog", max_tokens=3)) == 3
    with pytest.raises(RecipeError, match=r"text.max_tokens is 2, .* adds 2 special tokens .*; expected at least 3"):
        build(folder, max_tokens=2)
