"""Export of a dual encoder to ONNX: a folder with both towers, which indexes and searches without torch.

`text.onnx` and `tokenizer.json` read texts, `image.onnx` and `image.json` are an extractor of the kind `onnx:`. In 32
bits both have the fingerprints of their origin, so an index made with torch is searched without it. Needs the extras
`train` and `export`.

Shapes: `B` batch, `S` sides of what the image tower reads, `D` dims.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from polyreel.errors import DataError, saying_which_extra
from polyreel.models.dual import IMAGE_FILE, DualSettings, OnnxTexts
from polyreel.models.onnx_export import ASKED, Input, agreement, write_graph
from polyreel.models.onnx_retriever import CONFIG_FILE, TEXT_FILE
from polyreel.models.plain_tokens import PlainTokenizer
from polyreel.models.pretrained import PretrainedTexts, open_texts
from polyreel.search.encoder import image_tower_of
from polyreel.similarity import unit
from polyreel.storage import fingerprint, write_aside, write_json
from polyreel.video.decode import FrameBatch
from polyreel.video.extractors import open_extractor
from polyreel.video.extractors.clip import ClipExtractor
from polyreel.video.extractors.onnx import OnnxExtractor, OnnxSettings

_NUM_PICTURES = 4


def export_dual(
    model_folder: Path, folder: Path, *, extractor: str | None = None, is_int8: bool = False
) -> DualSettings:
    """Write a dual encoder as ONNX, compared with the model before the folder is left behind.

    Args:
        model_folder: as its publisher lays it out.
        folder: to write, aside and renamed.
        extractor: the image tower of a text tower alone, where it is not known.
        is_int8: weights in 8 bits: about a quarter of the size, and no longer quite the same embeddings.

    Returns:
        What `config.json` says; `agreement` in it is the least cosine with the model by tower.

    Raises:
        DataError: a tower cannot be exported.
        PolyreelError: the graphs do not say what the model says.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    with saying_which_extra("an export to ONNX"):
        import_module("onnx")
        import_module("onnxscript")
    texts, images = open_texts(model_folder), open_extractor(extractor or image_tower_of(model_folder), "cpu")
    if not isinstance(images, ClipExtractor):
        raise DataError(f"the image tower is the extractor {images.source}; expected one of the kind clip:MODEL")
    with write_aside(folder) as aside:
        aside.mkdir()
        settings = _write_texts(texts, aside, is_int8)
        opened = OnnxTexts.open(aside)
        found = {"text": agreement("text", unit(texts(ASKED)), unit(opened(ASKED)), is_int8=is_int8)}
        _write_images(images, aside / IMAGE_FILE, is_int8)
        found["image"] = _compare_images(images, OnnxExtractor(aside / IMAGE_FILE), is_int8)
        settings = settings.model_copy(update={"agreement": found})
        write_json(aside / CONFIG_FILE, settings.model_dump(mode="json"))
    return settings


class _TextGraph(nn.Module):
    """Padded tokens in, rows out."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return cast(Callable[[Tensor, Tensor], Tensor], self.tower.pool)(ids_BT, mask_BT)


class _ImageGraph(nn.Module):
    """Prepared pictures in, rows out."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels_B3SS: Tensor) -> Tensor:
        answer = cast(Callable[..., object], self.tower.get_image_features)(pixel_values=pixels_B3SS)
        return answer if isinstance(answer, Tensor) else cast(Tensor, getattr(answer, "pooler_output", None))


def _write_texts(texts: PretrainedTexts, folder: Path, is_int8: bool) -> DualSettings:
    tokens: PlainTokenizer = texts.tokens
    tokens.save(folder)
    settings = DualSettings(
        tokens=tokens.settings, langs=texts.langs, is_int8=is_int8,
        fingerprint=fingerprint(texts.fingerprint, "int8") if is_int8 else texts.fingerprint,
    )  # fmt: skip
    write_json(folder / CONFIG_FILE, settings.model_dump(mode="json"))
    length = tokens.settings.padded_to
    ids_BT = torch.full((2, length or 5), tokens.settings.unknown)
    axes = (0,) if length else (0, 1)
    inputs = [Input("tokens", ids_BT, axes), Input("mask", torch.ones_like(ids_BT, dtype=torch.bool), axes)]
    write_graph(_TextGraph(texts.tower), inputs, folder / TEXT_FILE, is_int8)
    return settings


def _write_images(images: ClipExtractor, file: Path, is_int8: bool) -> None:
    preparation = images.preparation
    if images.pixel_values(np.zeros((1, *images.frame_size[::-1], 3), np.uint8)).shape[2:] != images.frame_size[::-1]:
        raise DataError(
            f"{images.source} cuts pictures of {images.frame_size} smaller, which an exported tower cannot; serve it "
            "with torch"
        )
    settings = OnnxSettings(
        layout="NCHW", size=images.frame_size, fit=images.fit, output="features",
        mean=tuple(preparation.mean_3.tolist()), scale=tuple(preparation.scale_3.tolist()),
        name=f"{images.name}-int8" if is_int8 else images.name, fingerprint=None if is_int8 else images.fingerprint,
    )  # fmt: skip
    write_json(file.with_suffix(".json"), settings.model_dump(mode="json"))
    pixels_B3SS = torch.rand(2, 3, *images.frame_size[::-1])
    write_graph(_ImageGraph(images.tower), [Input("pixels", pixels_B3SS, (0,))], file, is_int8, "features")


def _compare_images(images: ClipExtractor, exported: OnnxExtractor, is_int8: bool) -> float:
    """Show both the same pictures."""
    shape = (_NUM_PICTURES, *images.frame_size[::-1], 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batch = FrameBatch(frames=pictures, pts_seconds=np.arange(_NUM_PICTURES, dtype=np.float64))
    return agreement("image", unit(images(batch)), unit(exported(batch)), is_int8=is_int8)
