"""Export of a model to ONNX: a folder that encodes texts and clips without torch.

Each tower becomes one graph with free batch size and length, from padded input to rows of unit length; what an exported
graph says is compared with the model before the folder is left behind. `onnx_retriever.py` opens it. Needs the extra
`export`.

Shapes: `B` batch, `T` tokens or frames, `D` dims.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from polyreel.errors import DataError, PolyreelError, saying_which_extra
from polyreel.models.onnx_retriever import (
    CONFIG_FILE,
    TEXT_FILE,
    VIDEO_FILE,
    OnnxRetriever,
    OnnxSettings,
)
from polyreel.models.retriever import Retriever
from polyreel.models.text import TextTower
from polyreel.models.video import VideoTower
from polyreel.storage import fingerprint, write_aside, write_json

if TYPE_CHECKING:
    from polyreel.models.huggingface import HuggingFaceBackbone
    from polyreel.models.subword import SubwordBackbone

MOST_DIFFERENCE = 1e-4
LEAST_COSINE_INT8 = 0.9
_EXAMPLE = (2, 5)  # texts or clips, tokens or frames
_MOST_FRAMES_ASKED = 30
_MOST_BYTES_INSIDE = 1_500_000_000  # a protobuf file ends at 2 GB; weights of larger models lie beside it
_Poolable: TypeAlias = "SubwordBackbone | HuggingFaceBackbone"
_ASKED = ("a dog runs", "ein Hund", "犬が走る", "", "one two three four five six seven eight nine ten eleven twelve")


def export_onnx(model: Retriever, folder: Path | str, *, is_int8: bool = False) -> OnnxRetriever:
    """Write a model as ONNX and open it.

    Args:
        model: what is exported.
        folder: to write, aside and renamed.
        is_int8: weights in 8 bits: a quarter of the size, and no longer quite the same embeddings.

    Raises:
        DataError: the text tower cannot be exported, or the graphs do not say what the model says.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    backbone = model.text.backbone
    if model.settings.text.pooling_mask is not None:
        raise DataError(
            f"a text tower with text.pooling_mask {model.settings.text.pooling_mask!r} cannot be exported; it reads "
            "two tokenizers; such teachers are for training alone"
        )
    with saying_which_extra("an export to ONNX"):
        import_module("onnx")
        import_module("onnxscript")
    tokens = cast("_Poolable", backbone).tokens
    with write_aside(Path(folder)) as aside:
        aside.mkdir()
        tokens.save(aside)
        settings = OnnxSettings(
            model=model.settings, tokens=tokens.settings, is_int8=is_int8,
            fingerprint=fingerprint(model.fingerprint, "int8") if is_int8 else model.fingerprint,
        )  # fmt: skip
        write_json(aside / CONFIG_FILE, settings.model_dump(mode="json"))
        ids_BT = torch.full(_EXAMPLE, tokens.settings.unknown)
        mask_BT = torch.ones(_EXAMPLE, dtype=torch.bool)
        _write(_TextGraph(model.text), (ids_BT, mask_BT), ("tokens", "mask"), aside / TEXT_FILE, is_int8)
        video_BTD = torch.rand(*_EXAMPLE, model.features.dim)
        _write(_VideoGraph(model.video), (video_BTD, mask_BT), ("frames", "mask"), aside / VIDEO_FILE, is_int8)
        _check_equal(model, OnnxRetriever.open(aside))
    return OnnxRetriever.open(folder)


class _TextGraph(nn.Module):
    """Padded tokens in, rows of unit length out."""

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        vectors_BD = cast("_Poolable", self.tower.backbone).pool(ids_BT, mask_BT)
        return functional.normalize(self.tower.head(vectors_BD), dim=-1)


class _VideoGraph(nn.Module):
    """Padded frames in, rows of unit length out."""

    def __init__(self, tower: VideoTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        return functional.normalize(self.tower(functional.normalize(video_BTD, dim=-1), mask_BT), dim=-1)


def _write(graph: nn.Module, example: tuple[Tensor, Tensor], names: tuple[str, str], file: Path, is_int8: bool) -> None:
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    num_bytes = sum(weights.numel() * weights.element_size() for weights in graph.state_dict().values())
    with _quietly():
        torch.onnx.export(
            graph.cpu().eval(), example, str(file), input_names=list(names), output_names=["embeddings"],
            dynamo=True, dynamic_shapes=(free, free), external_data=num_bytes > _MOST_BYTES_INSIDE, verbose=False,
        )  # fmt: skip
        if is_int8:
            _quantise(file)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep exporter and quantiser from warning of their own parts; what they make is compared with the model."""
    was_disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(was_disabled)


def _quantise(file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = file.with_suffix(".float.onnx")
    file.rename(whole)
    quantize_dynamic(whole, file, weight_type=QuantType.QInt8)
    whole.unlink()


def _check_equal(model: Retriever, exported: OnnxRetriever) -> None:
    """Ask both the same, texts and clips of several lengths."""
    rng = np.random.default_rng(0)
    lengths = (1, 3, min(model.settings.video.max_frames, _MOST_FRAMES_ASKED))
    clips = [rng.normal(size=(length, model.features.dim)).astype(np.float32) for length in lengths]
    pairs = {
        "text": (model.encode_text(_ASKED), exported.encode_text(_ASKED)),
        "video": (model.encode_clips(clips), exported.encode_clips(clips)),
    }
    for tower, (ours_ND, theirs_ND) in pairs.items():
        cosine = float((ours_ND * theirs_ND).sum(axis=1).min())
        difference = float(np.abs(ours_ND - theirs_ND).max())
        if cosine < LEAST_COSINE_INT8 if exported.settings.is_int8 else difference > MOST_DIFFERENCE:
            raise PolyreelError(
                f"the exported {tower} tower does not say what the model says: cosine {cosine:.4f}, largest difference "
                f"{difference:.2g}; nothing was written"
            )
