"""Image towers of dual encoders, tiny and made from their configurations, as their own processors feed them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModel,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from polyreel.errors import DataError
from polyreel.video.decode import FrameBatch
from polyreel.video.extractors import Network, open_extractor
from polyreel.video.extractors.clip import ClipExtractor

SIDE, BIG_SIDE = 30, 48
TEXT = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 99}
TEXT |= {"max_position_embeddings": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
VISION = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION |= {"image_size": SIDE, "patch_size": 6}
SQUARE = {"height": SIDE, "width": SIDE}
MODELS = {
    "clip": (CLIPModel, CLIPConfig, CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE)),
    "clip-larger": (CLIPModel, CLIPConfig, CLIPImageProcessorPil(size={"shortest_edge": BIG_SIDE}, crop_size=SQUARE)),
    "metaclip": (
        MetaClip2Model,
        MetaClip2Config,
        CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE),
    ),
    "siglip": (SiglipModel, SiglipConfig, SiglipImageProcessorPil(size=SQUARE)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a model, laid out as publishers do."""
    root = tmp_path_factory.mktemp("towers")
    for name, (model, config, processor) in MODELS.items():
        torch.manual_seed(0)
        model(config(text_config=TEXT, vision_config=VISION)).save_pretrained(root / name)
        processor.save_pretrained(root / name)
    return root


def frames(width: int, height: int, num_frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


def batch(pixels: np.ndarray) -> FrameBatch:
    return FrameBatch(frames=pixels, pts_seconds=np.arange(len(pixels), dtype=np.float64))


@pytest.mark.parametrize("name", MODELS)
def test_frames_are_prepared_as_the_models_own_processor_does(folders: Path, name: str) -> None:
    tower, processor = ClipExtractor(str(folders / name)), AutoImageProcessor.from_pretrained(folders / name)
    for width, height in [(SIDE, SIDE), (BIG_SIDE, BIG_SIDE), (64, 48), (47, 83), (20, 25)]:
        pixels = frames(width, height)
        wanted = processor(images=list(pixels), return_tensors="np")["pixel_values"]
        np.testing.assert_allclose(tower.pixel_values(pixels), wanted, atol=2e-6)


def test_a_crop_larger_than_the_frame_is_black_around_it(folders: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(folders / "clip").save_pretrained(tmp_path / "clip")
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE - 5}, crop_size=SQUARE)
    processor.save_pretrained(tmp_path / "clip")
    wanted = processor(images=list(frames(SIDE - 5, SIDE - 5)), return_tensors="np")["pixel_values"]
    found = ClipExtractor(str(tmp_path / "clip")).pixel_values(frames(SIDE - 5, SIDE - 5))
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_models_own_embeddings(folders: Path, name: str) -> None:
    tower = ClipExtractor(str(folders / name))
    pixels = frames(*tower.frame_size)
    model = AutoModel.from_pretrained(folders / name).eval()
    values = AutoImageProcessor.from_pretrained(folders / name)(images=list(pixels), return_tensors="pt")
    with torch.inference_mode():
        wanted = model.get_image_features(**values).pooler_output
    found = tower(batch(pixels))
    assert (found.dtype, found.shape) == (np.float32, (3, tower.dim))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_a_tower_says_which_frames_it_wants(folders: Path) -> None:
    asked = {name: ClipExtractor(str(folders / name)) for name in MODELS}
    assert {name: (tower.frame_size, tower.fit) for name, tower in asked.items()} == {
        "clip": ((SIDE, SIDE), "crop"),
        "clip-larger": ((BIG_SIDE, BIG_SIDE), "crop"),
        "metaclip": ((SIDE, SIDE), "crop"),
        "siglip": ((SIDE, SIDE), "squeeze"),
    }
    assert all(isinstance(tower, Network) for tower in asked.values())
    assert len({tower.fingerprint for tower in asked.values()}) == len(asked)


def test_the_source_opens_the_same_tower_again(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)
    tower = open_extractor("clip:siglip")
    assert (tower.name, tower.source) == ("siglip", f"clip:{folders / 'siglip'}")
    assert open_extractor(tower.source).fingerprint == tower.fingerprint


def test_bfloat16_is_another_extractor_of_nearly_the_same_rows(folders: Path) -> None:
    whole, half = open_extractor(f"clip:{folders / 'clip'}"), open_extractor(f"clip-bf16:{folders / 'clip'}")
    assert (half.name, half.fingerprint == whole.fingerprint) == ("clip-bf16", False)
    assert open_extractor(half.source).fingerprint == half.fingerprint
    found, wanted = half(batch(frames(SIDE, SIDE))), whole(batch(frames(SIDE, SIDE)))
    cosines = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.995
    assert np.abs(found - wanted).max() > 0


def test_what_is_no_dual_encoder_is_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clip:.*gone cannot be loaded \(.*\); expected a folder or a hub name"):
        open_extractor(f"clip:{tmp_path / 'gone'}")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(**sizes)).save_pretrained(tmp_path / "bert")
    MODELS["clip"][2].save_pretrained(tmp_path / "bert")
    with pytest.raises(DataError, match="is a BertModel, which has no image tower beside a text tower"):
        open_extractor(f"clip:{tmp_path / 'bert'}")


def test_a_processor_that_cuts_pictures_into_pieces_is_refused(tmp_path: Path) -> None:
    vision = {key: value for key, value in VISION.items() if key != "image_size"} | {"num_patches": 25}
    Siglip2Model(Siglip2Config(text_config=TEXT, vision_config=vision)).save_pretrained(tmp_path / "naflex")
    Siglip2ImageProcessorPil(patch_size=6, max_num_patches=25).save_pretrained(tmp_path / "naflex")
    with pytest.raises(DataError, match="naflex prepares pictures with Siglip2ImageProcessorPil and size None"):
        open_extractor(f"clip:{tmp_path / 'naflex'}")
