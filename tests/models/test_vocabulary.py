"""A trimmed tokenizer cuts the texts it was made for as before, and still reads all others."""

import shutil

import numpy as np
import pytest
import torch
from encoder_folders import MAKERS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.models.text import build_backbone
from polyreel.models.vocabulary import trimmed

CAPTIONS = ["the red dog runs along the road", "a red cat sleeps", "the dog sleeps", "der rote Hund läuft"]
OTHERS = ["a quiet reader", "Straßenbahn", "reddish dogs sleeping", "the road to the sleeping cat"]
KINDS = {
    "WordPiece": (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer, pre_tokenizers.Whitespace()),
    "BPE": (models.BPE(unk_token="[UNK]"), trainers.BpeTrainer, pre_tokenizers.Metaspace()),
    "byte-level BPE": (models.BPE(), trainers.BpeTrainer, pre_tokenizers.ByteLevel()),
    "Unigram": (models.Unigram(), trainers.UnigramTrainer, pre_tokenizers.Metaspace()),
}


@pytest.fixture(params=KINDS)
def tokenizer(request):
    model, trainer, cut = KINDS[request.param]
    made = Tokenizer(type(model)(**({"unk_token": "[UNK]"} if getattr(model, "unk_token", None) else {})))
    made.pre_tokenizer, made.decoder = cut, decoders.Metaspace()
    extra = {"unk_token": "[UNK]"} if trainer is trainers.UnigramTrainer else {}
    options = {"vocab_size": 300, "special_tokens": ["[UNK]", "[PAD]"], "show_progress": False, **extra}
    made.train_from_iterator(CAPTIONS * 3 + OTHERS * 3, trainer(**options))
    return made


def test_the_texts_it_was_trimmed_for_are_cut_as_before(tokenizer):
    needed = {number for text in CAPTIONS for number in tokenizer.encode(text).ids}
    smaller, kept = trimmed(tokenizer, needed)
    assert len(kept) == smaller.get_vocab_size() < tokenizer.get_vocab_size()
    for text in CAPTIONS:
        before, after = tokenizer.encode(text), smaller.encode(text)
        assert after.tokens == before.tokens and kept[after.ids].tolist() == before.ids


def test_other_texts_are_cut_shorter_and_lose_nothing(tokenizer):
    needed = {number for text in CAPTIONS for number in tokenizer.encode(text).ids}
    smaller, _ = trimmed(tokenizer, needed)
    unknown = smaller.token_to_id("[UNK]")
    for text in OTHERS:
        assert unknown not in smaller.encode(text).ids
        assert len(smaller.encode(text).ids) >= len(tokenizer.encode(text).ids)


def test_a_tokenizer_of_whole_words_is_refused():
    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(RecipeError, match=r"is \"trimmed\", but the tokenizer is of the kind WordLevel"):
        trimmed(words, [0])


def test_without_captions_nothing_tells_what_to_keep(tmp_path):
    MAKERS["LaBSE"](tmp_path)
    with pytest.raises(ValueError, match="keeps the pieces of the training captions, but there are none"):
        build_backbone(TextSettings(backbone=str(tmp_path), vocabulary="trimmed"), [])


@pytest.mark.parametrize("name", MAKERS)
def test_a_trimmed_encoder_reads_captions_alike_and_outlives_its_source(name, tmp_path):
    torch.manual_seed(0)
    (tmp_path / name).mkdir()
    MAKERS[name](tmp_path / name)
    captions = ["ein Hund", "a dog", "A dog, running"]
    whole, less = (
        Retriever.build(
            TextSettings(backbone=str(tmp_path / name), vocabulary=vocabulary, gate=False, layer_norm=False),
            VideoSettings(pooling="mean"),
            FeatureSettings(extractor="net", extractor_fingerprint="1", dim=4),
            embed_dim=16,
            langs=["en"],
            training_texts=captions,
        )
        for vocabulary in ("whole", "trimmed")
    )
    less.text.project.load_state_dict(whole.text.project.state_dict())
    np.testing.assert_allclose(less.encode_text(captions), whole.encode_text(captions), atol=1e-6)
    rows = [len(model.text.backbone.model.get_input_embeddings().weight) for model in (less, whole)]
    assert rows[0] == len(less.text.backbone.vocabulary()) and rows[0] <= rows[1]
    less.save(tmp_path / "model")
    shutil.rmtree(tmp_path / name)
    again = Retriever.load(tmp_path / "model")
    assert again.fingerprint == less.fingerprint
    assert np.array_equal(again.encode_text([*captions, "собака"]), less.encode_text([*captions, "собака"]))
