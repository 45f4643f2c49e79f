"""Export of a model to ONNX: a folder that encodes texts and clips without torch.

Each tower becomes one graph with free batch size and length, from padded input to rows of unit length; what an exported
graph says is compared with the model before the folder is left behind. `onnx_retriever.py` opens it. Needs the extra
`export`.

Shapes: `B` batch, `T` tokens or frames, `D` dims.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

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
from polyreel.similarity import Embeddings
from polyreel.storage import fingerprint, write_aside, write_json

if TYPE_CHECKING:
    from polyreel.models.huggingface import HuggingFaceBackbone
    from polyreel.models.subword import SubwordBackbone

MOST_DIFFERENCE = 1e-4
LEAST_COSINE_INT8 = 0.9
OUTPUT = "embeddings"
_EXAMPLE = (2, 5)  # texts or clips, tokens or frames
_MOST_FRAMES_ASKED = 30
_MOST_BYTES_INSIDE = 1_500_000_000  # a protobuf file ends at 2 GB; weights of larger models lie beside it
_Poolable: TypeAlias = "SubwordBackbone | HuggingFaceBackbone"
ASKED = ("a dog runs", "ein Hund", "犬が走る", "", "one two three four five six seven eight nine ten eleven twelve")


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
        mask = Input("mask", mask_BT, (0, 1))
        write_graph(_TextGraph(model.text), (Input("tokens", ids_BT, (0, 1)), mask), aside / TEXT_FILE, is_int8)
        frames = Input("frames", torch.rand(*_EXAMPLE, model.features.dim), (0, 1))
        write_graph(_VideoGraph(model.video), (frames, mask), aside / VIDEO_FILE, is_int8)
        settings = settings.model_copy(update={"agreement": _check_equal(model, OnnxRetriever.open(aside))})
        write_json(aside / CONFIG_FILE, settings.model_dump(mode="json"))
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


class Input(NamedTuple):
    """One input of a graph: its name, an example, and which of its axes may have any length."""

    name: str
    example: Tensor
    free_axes: tuple[int, ...]


def write_graph(graph: nn.Module, inputs: Sequence[Input], file: Path, is_int8: bool, output: str = OUTPUT) -> None:
    """Write a network as an ONNX graph, its weights in 32 or in 8 bits."""
    free = tuple(dict.fromkeys(one.free_axes, torch.export.Dim.DYNAMIC) for one in inputs)
    num_bytes = sum(weights.numel() * weights.element_size() for weights in graph.state_dict().values())
    with _quietly():
        torch.onnx.export(
            graph.cpu().eval(), tuple(one.example for one in inputs), str(file), dynamo=True, verbose=False,
            input_names=[one.name for one in inputs], output_names=[output], dynamic_shapes=free,
            external_data=num_bytes > _MOST_BYTES_INSIDE,
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
    # convolutions stay as they are: onnxruntime has no signed 8-bit one for the CPU
    kinds = ["MatMul", "Gemm", "Gather", "Attention", "EmbedLayerNormalization"]
    quantize_dynamic(whole, file, weight_type=QuantType.QInt8, op_types_to_quantize=kinds)
    for part in file.parent.glob(f"{whole.name}*"):
        part.unlink()


def _check_equal(model: Retriever, exported: OnnxRetriever) -> dict[str, float]:
    """Ask both the same, texts and clips of several lengths; return the least cosine by tower."""
    rng = np.random.default_rng(0)
    lengths = (1, 3, min(model.settings.video.max_frames, _MOST_FRAMES_ASKED))
    clips = [rng.normal(size=(length, model.features.dim)).astype(np.float32) for length in lengths]
    pairs = {
        "text": (model.encode_text(ASKED), exported.encode_text(ASKED)),
        "video": (model.encode_clips(clips), exported.encode_clips(clips)),
    }
    is_int8 = exported.settings.is_int8
    return {tower: agreement(tower, *both, is_int8=is_int8) for tower, both in pairs.items()}


def agreement(tower: str, ours_ND: Embeddings, theirs_ND: Embeddings, *, is_int8: bool) -> float:
    """Return the least cosine of rows of unit length that model and export give.

    Raises:
        PolyreelError: they differ more than rounding explains.
    """
    cosine = float((ours_ND * theirs_ND).sum(axis=1).min())
    difference = float(np.abs(ours_ND - theirs_ND).max())
    if cosine < LEAST_COSINE_INT8 if is_int8 else difference > MOST_DIFFERENCE:
        raise PolyreelError(
            f"the exported {tower} tower does not say what the model says: cosine {cosine:.4f}, largest difference "
            f"{difference:.2g}; nothing was written"
        )
    return cosine
