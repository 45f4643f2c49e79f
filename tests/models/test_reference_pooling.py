"""The reference's pooling of its published teachers, against a loop written from its description."""

import re

import numpy as np
import pytest
import torch

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import RecipeError
from polyreel.models.huggingface import load_encoder
from polyreel.models.reference_pooling import ForeignMaskBackbone, load_mask_tokenizer
from polyreel.models.retriever import Retriever
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower, build_backbone
from polyreel.models.video import VideoTower

MAX_TOKENS = 12
CAPTIONS = [
    "A dog, runs!",
    "it's a man... (cooking) -- well?",
    "one",
    "!?",
    "",
    "Ein Hund läuft schnell, sehr schnell!",
]


@pytest.fixture(scope="module", params=["bert_folder", "xlm_roberta_folder"])
def folders(request, bert_folder, xlm_roberta_folder):
    """The teacher's encoder, and the encoder whose tokenizer gives the mask."""
    teacher = request.getfixturevalue(request.param)
    return str(teacher), str(xlm_roberta_folder if teacher == bert_folder else bert_folder)


@pytest.fixture
def backbone(folders):
    settings = TextSettings(backbone=folders[0], pooling_mask=folders[1], max_tokens=MAX_TOKENS)
    return ForeignMaskBackbone(load_encoder(folders[0], settings, ()), load_mask_tokenizer(folders[1]), settings).eval()


def by_the_description(folders, caption):
    """One caption as the reference reads it: everything padded to the most tokens, one number after the other."""
    from transformers import AutoModel, AutoTokenizer

    encoder, (teacher, labse) = AutoModel.from_pretrained(folders[0]), map(AutoTokenizer.from_pretrained, folders)
    padded = {"padding": "max_length", "max_length": MAX_TOKENS, "truncation": True, "return_tensors": "pt"}
    words = teacher(" ".join(re.findall(r"[\w']+", caption)), **padded)
    mask = labse(caption, **padded)["attention_mask"][0]
    with torch.no_grad():
        states = encoder(input_ids=words["input_ids"], attention_mask=words["attention_mask"]).last_hidden_state[0]
    total, count = torch.zeros(states.shape[1]), 0
    for position in range(MAX_TOKENS):
        if mask[position]:
            total += states[position]
            count += 1
    return (total / count).numpy()


def test_the_slow_loop(backbone, folders):
    with torch.no_grad():
        found = backbone(backbone.tokenize(CAPTIONS)).numpy()
    for row, caption in zip(found, CAPTIONS, strict=True):
        np.testing.assert_allclose(row, by_the_description(folders, caption), atol=1e-5)


def test_it_is_another_mean_than_the_own_mask_gives(backbone):
    tokens = backbone.encoder.tokenize(CAPTIONS)
    with torch.no_grad():
        found, own = backbone(backbone.tokenize(CAPTIONS)), backbone.encoder(tokens)
    assert (found - own).abs().max() > 1e-3


def test_batches_change_nothing(backbone):
    tokens = backbone.tokenize(CAPTIONS)
    with torch.no_grad():
        together = backbone(tokens)
        for row in range(len(CAPTIONS)):
            torch.testing.assert_close(backbone(tokens.select([row]))[0], together[row], atol=1e-5, rtol=1e-5)
    assert len(backbone.tokenize([])) == 0


def test_it_is_kept_in_the_model_s_folder(backbone, folders, tmp_path):
    settings = RetrieverSettings(
        text=TextSettings(backbone=folders[0], pooling_mask=folders[1], max_tokens=MAX_TOKENS),
        video=VideoSettings(width=8),
        features=FeatureSettings.imported("clip", 6),
        embed_dim=4,
        langs=("en",),
    )
    text = TextTower(backbone, settings.text, embed_dim=4)
    model = Retriever(text, VideoTower(settings.video, video_dim=6, embed_dim=4), settings).eval()
    model.save(tmp_path / "model")
    opened = Retriever.load(tmp_path / "model")
    assert opened.fingerprint == model.fingerprint
    np.testing.assert_array_equal(opened.encode_text(CAPTIONS), model.encode_text(CAPTIONS))


def test_a_recipe_cannot_ask_for_it(folders):
    with pytest.raises(RecipeError, match=r"text\.pooling_mask is '.*', which is for teachers that the reference"):
        build_backbone(TextSettings(backbone=folders[0], pooling_mask=folders[1]), [])
