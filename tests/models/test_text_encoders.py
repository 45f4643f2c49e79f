"""Each encoder that C2KD and its neighbours use, against what transformers and sentence-transformers say."""

import shutil

import numpy as np
import pytest
import torch
from encoder_folders import MAKERS, POSITIONS, WIDTH
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from polyreel.data.feature_settings import FeatureSettings
from polyreel.models.huggingface import quietly
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.models.text import build_backbone

FOREIGN = ["一只狗在跑", "собака бежит", "नमस्ते"]
SOME = ["A dog", "ein Hund läuft, sehr schnell!", "", *FOREIGN, "z"]
PIPELINES = ["LaBSE", "distiluse-base-multilingual-cased-v2", "paraphrase-multilingual-MiniLM-L12-v2",
             "multilingual-e5-base", "multilingual-e5-small"]  # fmt: skip
every = pytest.mark.parametrize("name", MAKERS)
every_pipeline = pytest.mark.parametrize("name", PIPELINES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    for name, make in MAKERS.items():
        (place / name).mkdir()
        make(place / name)
    return place


def build(folder, **settings):
    return build_backbone(TextSettings(backbone=str(folder), **settings), []).eval()


def vectors(backbone, texts):
    with torch.no_grad():
        return backbone(backbone.tokenize(texts))


def prompt(name):
    return "query: " if "e5" in name else ""


def published_tokenizer(folder):
    kind = PreTrainedTokenizerFast if "MiniLM" in folder.name else AutoTokenizer
    return kind.from_pretrained(folder)


def hidden_states(folder, texts):
    """What transformers makes of each text alone, with the special tokens and without padding."""
    tokenizer = published_tokenizer(folder)
    with quietly():
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [model(**tokenizer(prompt(folder.name) + text, return_tensors="pt")) for text in texts]


@every
def test_mean_is_a_loop_over_what_transformers_says(folders, name):
    for answer, found in zip(hidden_states(folders / name, SOME), vectors(build(folders / name), SOME), strict=True):
        total = torch.zeros(WIDTH)
        for state in answer.last_hidden_state[0]:
            total += state
        torch.testing.assert_close(found, total / answer.last_hidden_state.shape[1], rtol=1e-4, atol=1e-5)


@every_pipeline
def test_own_is_what_sentence_transformers_says(folders, name):
    with quietly():
        theirs = SentenceTransformer(str(folders / name), device="cpu")
    theirs[0].processor = published_tokenizer(folders / name)
    expected = theirs.encode(SOME, prompt=prompt(name), show_progress_bar=False)
    backbone = build(folders / name, pooling="own")
    np.testing.assert_allclose(vectors(backbone, SOME).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert backbone.dim == expected.shape[1]


def test_own_of_labse_is_first_token_then_dense_then_tanh_then_unit_length(folders):
    dense = torch.load(folders / "LaBSE" / "2_Dense" / "pytorch_model.bin")
    first = torch.cat([answer.last_hidden_state[:, 0] for answer in hidden_states(folders / "LaBSE", SOME)])
    expected = torch.tanh(first @ dense["linear.weight"].T + dense["linear.bias"])
    expected /= expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(vectors(build(folders / "LaBSE", pooling="own"), SOME), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - set(PIPELINES)))
def test_own_without_a_pipeline_is_the_pooler_or_the_first_token(folders, name):
    has_pooler = name.startswith(("bert", "sup-simcse"))
    answers = hidden_states(folders / name, SOME)
    expected = torch.cat([each.pooler_output if has_pooler else each.last_hidden_state[:, 0] for each in answers])
    torch.testing.assert_close(vectors(build(folders / name, pooling="own"), SOME), expected, rtol=1e-4, atol=1e-5)


@every
@pytest.mark.parametrize("pooling", ["mean", "own"])
def test_neither_padding_nor_order_changes_anything(folders, name, pooling):
    backbone = build(folders / name, pooling=pooling)
    together = vectors(backbone, [*SOME, "a very long text that all the others are padded to"])[:-1]
    torch.testing.assert_close(together, torch.cat([vectors(backbone, [text]) for text in SOME]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vectors(backbone, SOME[::-1]).flip(0), together, rtol=1e-4, atol=1e-5)


@every
def test_a_text_cut_short_keeps_its_special_tokens(folders, name):
    tokenizer, long = published_tokenizer(folders / name), "dog " * 300
    ends = ["[CLS]", "[SEP]"] if "[CLS]" in tokenizer.get_vocab() else ["<s>", "</s>"]
    for most, length in ((9, 9), (1000, POSITIONS)):
        backbone = build(folders / name, max_tokens=most)
        tokens = backbone.tokenize([long])
        assert tokens.lengths.tolist() == [length]
        assert tokenizer.convert_ids_to_tokens([int(tokens.ids[0]), int(tokens.ids[-1])]) == ends
        assert torch.isfinite(vectors(backbone, [long, "a"])).all()


@every
def test_every_script_has_pieces_of_its_own(folders, name):
    backbone = build(folders / name)
    unknown = published_tokenizer(folders / name).convert_tokens_to_ids("[UNK]" if name.startswith("bert") else "<unk>")
    assert unknown not in backbone.tokenize(FOREIGN).ids
    assert torch.cdist(vectors(backbone, FOREIGN), vectors(backbone, FOREIGN)).fill_diagonal_(1.0).min() > 1e-3


@pytest.mark.parametrize(("name", "is_cased"), [(name, "uncased" not in name) for name in MAKERS])
def test_only_the_uncased_model_reads_capitals_and_accents_alike(folders, name, is_cased):
    upper, lower = vectors(build(folders / name), ["LÄUFT", "lauft"])
    assert torch.equal(upper, lower) != is_cased


@every
@pytest.mark.parametrize("pooling", ["mean", "own"])
def test_a_saved_model_opens_without_the_folder_it_was_made_from(folders, tmp_path, name, pooling):
    source = shutil.copytree(folders / name, tmp_path / name)
    features = FeatureSettings(extractor="net", extractor_fingerprint="1", dim=4)
    text = TextSettings(backbone=str(source), pooling=pooling)
    model = Retriever.build(
        text, VideoSettings(pooling="mean"), features, embed_dim=8, langs=["en"], training_texts=["a dog"]
    )
    model.save(tmp_path / "model")
    shutil.rmtree(source)
    again = Retriever.load(tmp_path / "model")
    assert again.fingerprint == model.fingerprint
    assert np.array_equal(again.encode_text(SOME), model.encode_text(SOME))


def test_texts_of_like_length_are_encoded_together(folders, monkeypatch):
    texts = ["a", "a b c d e f g h"] * 8
    text = TextSettings(backbone=str(folders / "LaBSE"))
    features = FeatureSettings(extractor="net", extractor_fingerprint="1", dim=4)
    model = Retriever.build(
        text, VideoSettings(pooling="mean"), features, embed_dim=8, langs=["en"], training_texts=texts
    )
    shapes = []
    model.text.backbone.model.register_forward_pre_hook(
        lambda _, __, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    model.encode_text(texts, batch_size=8)
    assert shapes == [(1, 8 * 3), (1, 8 * 10)]
