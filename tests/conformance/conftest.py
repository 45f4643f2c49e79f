"""The reference's tiny models as ours."""

import pytest
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from polyreel.data.feature_settings import FeatureSettings
from polyreel.models.huggingface import HuggingFaceBackbone
from polyreel.models.reference import _their_name
from polyreel.models.retriever import Retriever
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.video import VideoTower


@pytest.fixture(scope="session")
def reference_model(shared):
    """Open one of the golden `*.safetensors` as a Retriever, without dropout."""
    folder = shared / "conformance"

    def opened(name: str) -> Retriever:
        settings = RetrieverSettings(
            text=TextSettings(backbone="bert"),
            video=VideoSettings(width=64, frame_sampling="first"),
            features=FeatureSettings.imported("golden", 40),
            embed_dim=48,
            langs=("en", "de", "sw"),
        )
        encoder = BertModel(BertConfig.from_json_file(folder / "text_config.json"), add_pooling_layer=False)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0}, "[UNK]")))
        text = TextTower(HuggingFaceBackbone(encoder, tokenizer, settings.text), settings.text, embed_dim=48)
        model = Retriever(text, VideoTower(settings.video, video_dim=40, embed_dim=48), settings)
        theirs = load_file(folder / f"{name}.safetensors")
        weights = model.state_dict()
        model.load_state_dict({ours: theirs[_their_name(ours)].reshape(weights[ours].shape) for ours in weights})
        return model.eval()

    return opened
