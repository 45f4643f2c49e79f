import huggingface_hub.constants
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import BoW, Dense, StaticEmbedding
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from polyreel.errors import RecipeError
from polyreel.models.huggingface import quietly
from polyreel.models.settings import TextSettings
from polyreel.models.subword import SubwordBackbone, train_tokenizer
from polyreel.models.text import build_backbone

SOME = ["a dog", "the quick brown fox jumps", ""]


def build(folder, texts=(), **settings):
    return build_backbone(TextSettings(backbone=str(folder), **settings), list(texts)).eval()


def vectors(backbone, texts):
    with torch.no_grad():
        return backbone(backbone.tokenize(texts))


def hidden_states(folder, text):
    """The encoder as transformers runs it, one text at a time, so that nothing is padded."""
    with quietly():
        model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt"))


@pytest.mark.parametrize("kind", ["bert_folder", "xlm_roberta_folder"])
def test_mean_is_over_all_tokens_special_ones_included(request, kind):
    folder = request.getfixturevalue(kind)
    expected = torch.cat([hidden_states(folder, text).last_hidden_state.mean(1) for text in SOME])
    torch.testing.assert_close(vectors(build(folder), SOME), expected, rtol=1e-4, atol=1e-5)


def test_own_is_the_pooler_where_the_weights_have_one(bert_folder):
    expected = torch.cat([hidden_states(bert_folder, text).pooler_output for text in SOME])
    torch.testing.assert_close(vectors(build(bert_folder, pooling="own"), SOME), expected, rtol=1e-4, atol=1e-5)


def test_own_is_the_first_token_where_they_have_none(xlm_roberta_folder):
    expected = torch.cat([hidden_states(xlm_roberta_folder, text).last_hidden_state[:, 0] for text in SOME])
    torch.testing.assert_close(vectors(build(xlm_roberta_folder, pooling="own"), SOME), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "own"])
def test_no_weight_is_kept_that_nothing_reads(bert_folder, pooling):
    backbone = build(bert_folder, pooling=pooling)
    backbone(backbone.tokenize(SOME)).sum().backward()
    assert not [name for name, weight in backbone.named_parameters() if weight.grad is None]


def test_own_of_a_pipeline_is_what_sentence_transformers_says(pipeline_folder):
    with quietly():
        expected = SentenceTransformer(str(pipeline_folder), device="cpu").encode(SOME, show_progress_bar=False)
    backbone = build(pipeline_folder, pooling="own")
    np.testing.assert_allclose(vectors(backbone, SOME).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert backbone.dim == 8


def test_mean_of_a_pipeline_is_its_encoders(pipeline_folder, bert_folder):
    torch.testing.assert_close(vectors(build(pipeline_folder), SOME), vectors(build(bert_folder), SOME))


@pytest.mark.parametrize("pooling", ["mean", "own"])
def test_a_static_embedding_is_what_sentence_transformers_says(static_folder, texts, pooling):
    expected = SentenceTransformer(str(static_folder), device="cpu").encode(texts[:4], show_progress_bar=False)
    backbone = build(static_folder, texts[:2], pooling=pooling, num_layers=2)
    assert isinstance(backbone, SubwordBackbone)
    np.testing.assert_allclose(vectors(backbone, texts[:4]).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_of_a_static_embedding_the_pieces_of_the_training_texts_learn(static_folder, texts):
    backbone = build(static_folder, texts[:1])
    assert len(backbone.table.learnt) == len(np.unique(backbone.tokenize(texts[:1]).ids))
    frozen = build(static_folder, texts[:1], is_frozen=True)
    assert len(frozen.table.learnt) == len(frozen.vocabulary())


def test_tokens_stay_within_what_the_encoder_can_take(bert_folder):
    backbone = build(bert_folder, max_tokens=500)
    tokens = backbone.tokenize(["word " * 100])
    assert tokens.lengths.tolist() == [64]
    assert build(bert_folder, max_tokens=7).tokenize(["word " * 100]).lengths.tolist() == [7]
    assert torch.isfinite(vectors(backbone, ["word " * 100])).all()


def test_no_texts_are_no_tokens(bert_folder):
    assert len(build(bert_folder).tokenize([])) == 0


def test_half_precision_weights_are_read_as_single(tmp_path, bert_folder):
    with quietly():
        AutoModel.from_pretrained(bert_folder, dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(tmp_path)
    assert {weight.dtype for weight in build(tmp_path).parameters()} == {torch.float32}


def test_a_folder_that_is_not_there_is_said_at_once():
    with pytest.raises(RecipeError, match=r"'\./nowhere' cannot be loaded \(there is no such folder\); expected"):
        build("./nowhere")


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(RecipeError, match=r'cannot be loaded .* expected "subword", a folder with a Hugging Face'):
        build(tmp_path)


def test_a_model_the_hub_does_not_give_points_to_the_folder_way(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RecipeError, match="where the hub cannot be reached, download the model elsewhere and give its"):
        build("nobody/nothing-of-that-name")


def test_unknown_modules_are_refused(tmp_path, texts):
    SentenceTransformer(modules=[BoW(["a", "dog"])], device="cpu").save_pretrained(
        str(tmp_path / "bow"), create_model_card=False
    )
    with pytest.raises(RecipeError, match="consists of BoW; expected a StaticEmbedding alone, or a Transformer"):
        build(tmp_path / "bow")
    static = StaticEmbedding(train_tokenizer(texts, vocab_size=100), embedding_dim=4)
    SentenceTransformer(modules=[static, Dense(4, 2)], device="cpu").save_pretrained(
        str(tmp_path / "dense"), create_model_card=False
    )
    with pytest.raises(RecipeError, match=r"consists of StaticEmbedding, Dense; .* leaves out what follows the first"):
        build(tmp_path / "dense", pooling="own")
    assert build(tmp_path / "dense", pooling="mean").dim == 4


def test_a_pooler_the_checkpoint_lacks_is_not_invented(tmp_path, bert_folder):
    config = BertConfig.from_pretrained(bert_folder)
    with quietly():
        BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(tmp_path)
    assert not any("pooler" in name for name, _ in build(tmp_path, pooling="own").named_parameters())


def test_the_real_static_model(shared):
    folder = shared / "models" / "static_multilingual"
    texts = ["a dog runs on the grass", "ein Hund läuft auf dem Gras", "a man plays the guitar"]
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts, show_progress_bar=False)
    found = vectors(build(folder, texts[:1]), texts)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)  # the file holds half precision
    dog, hund, guitar = torch.nn.functional.normalize(found, dim=-1)
    assert dog @ hund > 0.6 > 0.3 > dog @ guitar
