"""Both towers against golden numbers of the reference implementation of C2KD."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from polyreel.models.huggingface import HuggingFaceBackbone
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.models.video import VideoTower

TOLERANCE = 1e-5
GATED = {"fc.": "linear.", "cg.fc.": "gate."}
BLOCK = {
    "norm1.": "attention_norm.",
    "attn.qkv.": "query_key_value.",
    "attn.proj.": "attention_out.",
    "norm2.": "mlp_norm.",
    "mlp.fc1.": "mlp_in.",
    "mlp.fc2.": "mlp_out.",
}


def nested(theirs, ours, names):
    return {theirs + their: ours + our for their, our in names.items()}


OURS = {
    **nested("video_token_proj.", "video.pool.token_project.", GATED),
    "video_norm_layer.": "video.pool.token_norm.",
    "fusion_video.cls_token": "video.pool.class_token",
    **nested("fusion_video.blocks.0.", "video.pool.blocks.0.", BLOCK),
    **nested("fusion_video.blocks.1.", "video.pool.blocks.1.", BLOCK),
    **nested("video_proj.", "video.project.", GATED),
    "fusion_text.": "text.backbone.model.",
    "text_proj.0.": "text.norm.",
    **nested("text_proj.1.", "text.project.", GATED),
}
UNUSED = ("fusion_video.masking_token", "fusion_video.norm.")


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "conformance" / "student_forward.npz")


@pytest.fixture(scope="module")
def weights(shared):
    """The reference's weights by our names."""
    found = {}
    for name, tensor in load_file(shared / "conformance" / "student.safetensors").items():
        if not name.startswith(UNUSED):
            theirs = next(prefix for prefix in OURS if name.startswith(prefix))
            found[name.replace(theirs, OURS[theirs], 1)] = tensor
    found["video.pool.class_token"] = found["video.pool.class_token"].flatten()
    return found


def fill(tower, weights, prefix):
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    tower.load_state_dict(own, strict=True)
    return tower.eval()


@pytest.fixture(scope="module")
def video_embeddings(weights, golden):
    tower = VideoTower(VideoSettings(width=64), video_dim=40, embed_dim=48)
    with torch.no_grad():
        return fill(tower, weights, "video.")(torch.from_numpy(golden["video"]), torch.from_numpy(golden["video_mask"]))


@pytest.fixture(scope="module")
def text_tower(shared, weights):
    config = BertConfig.from_json_file(shared / "conformance" / "text_config.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0}, "[UNK]")))
    settings = TextSettings(backbone="bert")
    backbone = HuggingFaceBackbone(BertModel(config, add_pooling_layer=False), tokenizer, settings)
    return fill(TextTower(backbone, settings, embed_dim=48), weights, "text.")


def close(found, expected):
    return np.abs(np.asarray(found) - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_the_video_tower(video_embeddings, golden):
    assert close(video_embeddings, golden["video_embed"])


@pytest.mark.parametrize("lang", ["en", "de", "sw"])
def test_the_text_tower_and_similarities(text_tower, video_embeddings, golden, lang):
    pairs = zip(golden[f"ids_{lang}"], golden[f"mask_{lang}"], strict=True)
    tokens = Tokens.from_lists([ids[mask == 1].tolist() for ids, mask in pairs])
    with torch.no_grad():
        embeddings = text_tower(tokens)
    assert close(embeddings, golden[f"text_embed_{lang}"])
    texts, clips = (torch.nn.functional.normalize(rows, dim=-1) for rows in (embeddings, video_embeddings))
    assert close(texts @ clips.T, golden[f"sims_{lang}"])
