"""The image tower of CLIP, SigLIP, SigLIP 2, MetaCLIP 2 or another model with `get_image_features`, as published.

A row is the model's embedding of one frame, in the space it shares with the model's texts, before it is brought to unit
length. The decoder gives frames that need no more than their numbers changed; frames of any other size are prepared as
the model's own processor prepares a picture (Pillow's resampling, then the crop). The text tower is let go at once.

Shapes: B frames, H height, W width, S sides of what the tower reads, D width of the embedding.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModel

from polyreel.errors import DataError
from polyreel.progress import quietly
from polyreel.storage import fingerprint, published_name
from polyreel.video.decode import Fit, FrameBatch, Size
from polyreel.video.extractors.batches import run_in_batches

Precision = Literal["float32", "bfloat16"]
BATCH_SIZE = 16
_DECIDING = ("hidden_act", "layer_norm_eps", "num_attention_heads", "patch_size")  # beside the weights
_TEXT_PARTS = ("text_model", "text_projection")


class ClipExtractor:
    """An image tower run with torch; row t is its embedding of frame t.

    Attributes:
        name: the model's name without its owner, with "-bf16" where it computes in bfloat16.
        source: "clip:" or "clip-bf16:" and the hub name or the folder's full path.
        fingerprint: digest of the tower's weights, of how frames are prepared, and of the precision.
        dim: width D of an embedding.
        frame_size: width and height of frames that need no resampling.
        fit: how frames come into that size.
    """

    frame_offsets = (0.0,)
    batch_size = BATCH_SIZE

    def __init__(self, model: str, *, precision: Precision = "float32", device: str | None = None) -> None:
        """Load a model.

        Args:
            model: a folder, or a name on the Hugging Face hub.
            precision: what the tower computes in; bfloat16 takes half the memory.
            device: where it computes, as torch calls it; None: a GPU, if there is one.

        Raises:
            DataError: there is no such model, or it has no image tower and image processor of this kind.
        """
        self._preparation, self._tower = _load(model)
        suffix = "" if precision == "float32" else "-bf16"
        self.name = f"{published_name(Path(model))}{suffix}"
        self.source = f"clip{suffix}:{Path(model).absolute() if Path(model).is_dir() else model}"
        self.frame_size: Size = self._preparation.frame_size
        self.fit: Fit = "crop" if self._preparation.is_cropped else "squeeze"
        self.fingerprint = fingerprint(_digest(self._tower), self._preparation.facts, precision)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._number_type = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._tower = self._tower.to(self._device, self._number_type).eval()
        self.dim = self._embed(np.zeros((1, *self.frame_size[::-1], 3), np.uint8)).shape[1]

    def __call__(self, batch: FrameBatch) -> npt.NDArray[np.float32]:
        """Return features `[T, D]` of frames of any one size."""
        return run_in_batches(self, batch.frames)

    def run(self, frames_BFHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return embeddings `[B, D]` of B frames."""
        return self._embed(frames_BFHW3[:, 0])

    def pixel_values(self, frames_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Prepare frames as the model's own processor does: `[B, 3, S, S]`."""
        return self._preparation(frames_BHW3)

    @property
    def tower(self) -> nn.Module:
        """The network, with `get_image_features`."""
        return self._tower

    @property
    def preparation(self) -> "Preparation":
        """What frames go through before it."""
        return self._preparation

    def _embed(self, frames_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        pixels_B3SS = torch.from_numpy(self.pixel_values(frames_BHW3)).to(self._device, self._number_type)
        with torch.inference_mode():
            answer = cast(Callable[..., object], self._tower.get_image_features)(pixel_values=pixels_B3SS)
        rows_BD = answer if isinstance(answer, Tensor) else cast(Tensor, getattr(answer, "pooler_output", None))
        return cast("npt.NDArray[np.float32]", rows_BD.float().cpu().numpy())


class Preparation:
    """What an image processor does to a picture: its resampling, its crop, its numbers.

    Args:
        processor: the model's own.

    Raises:
        DataError: it does something else, such as cutting pictures into pieces.
    """

    def __init__(self, processor: object) -> None:
        def fact(name: str) -> object:
            return getattr(processor, name, None)

        size, crop = fact("size"), fact("crop_size") if fact("do_center_crop") else None
        self._shortest: int = getattr(size, "shortest_edge", None) or 0
        self._squeezed = None if self._shortest else _sides(size)
        self._crop = _sides(crop)
        if not fact("do_resize") or not (self._squeezed or (self._shortest and self._crop)):
            raise DataError(
                f"prepares pictures with {type(processor).__name__} and size {size}; expected one that brings every "
                "picture to one size"
            )
        self._resample = Image.Resampling(int(cast(int, fact("resample"))))
        scale = cast(float, fact("rescale_factor")) if fact("do_rescale") else 1.0
        mean, std = (np.array(fact(name) if fact("do_normalize") else other) for name, other in _NO_CHANGE.items())
        self.mean_3, self.scale_3 = mean / scale, std / scale  # of pixels 0 to 255
        self._factor_3 = (scale / std).astype(np.float32)
        self._offset_3 = (mean / std).astype(np.float32)
        self.is_cropped = self._shortest > 0
        self.facts = [str(fact(name)) for name in ("size", "crop_size", "do_center_crop", "resample")]
        self.facts += [str(self._factor_3.tolist()), str(self._offset_3.tolist())]

    @property
    def frame_size(self) -> Size:
        """Width and height of frames that are not resampled any more."""
        return self._squeezed or (self._shortest, self._shortest)

    def __call__(self, frames_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return numbers `[B, 3, S, S]`."""
        _, height, width, _ = frames_BHW3.shape
        size = self._squeezed or _with_shortest(width, height, self._shortest)
        if size != (width, height):
            frames_BHW3 = np.stack([self._resized(frame, size) for frame in frames_BHW3])
        frames_BSS3 = frames_BHW3 if self._crop is None else _middle(frames_BHW3, self._crop)
        numbers_BSS3 = frames_BSS3.astype(np.float32) * self._factor_3 - self._offset_3
        return np.ascontiguousarray(numbers_BSS3.transpose(0, 3, 1, 2))

    def _resized(self, frame_HW3: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
        return np.asarray(Image.fromarray(frame_HW3).resize(size, self._resample))


_NO_CHANGE = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}


def _sides(size: object) -> Size | None:
    height, width = getattr(size, "height", None), getattr(size, "width", None)
    return (width, height) if width and height else None


def _with_shortest(width: int, height: int, shortest: int) -> Size:
    """Return the size whose shorter side is `shortest`, as processors round it."""
    if width <= height:
        return shortest, int(shortest * height / width)
    return int(shortest * width / height), shortest


def _middle(frames_BHW3: npt.NDArray[np.uint8], crop: Size) -> npt.NDArray[np.uint8]:
    """Cut the middle out, in black where the crop is larger than the frame."""
    _, height, width, _ = frames_BHW3.shape
    missing = [max(wanted - there, 0) for wanted, there in zip(crop, (width, height), strict=True)]
    if any(missing):
        before = [(lack + 1) // 2 for lack in missing]
        pads = [(ahead, lack - ahead) for ahead, lack in zip(before, missing, strict=True)]
        frames_BHW3 = np.pad(frames_BHW3, ((0, 0), pads[1], pads[0], (0, 0)))
        _, height, width, _ = frames_BHW3.shape
    left, top = (width - crop[0]) // 2, (height - crop[1]) // 2
    return frames_BHW3[:, top : top + crop[1], left : left + crop[0]]


def _load(model: str) -> tuple[Preparation, nn.Module]:
    with quietly():
        try:
            processor, network = AutoImageProcessor.from_pretrained(model), AutoModel.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise DataError(
                f"clip:{model} cannot be loaded ({str(error).splitlines()[0]}); expected a folder or a hub name of a "
                "CLIP, SigLIP or MetaCLIP model with its image processor"
            ) from None
    if not hasattr(network, "get_image_features"):
        raise DataError(f"clip:{model} is a {type(network).__name__}, which has no image tower beside a text tower")
    for part in _TEXT_PARTS:
        if hasattr(network, part):
            network.register_module(part, None)  # its memory is free again
    try:
        return Preparation(processor), network
    except DataError as error:
        raise DataError(f"clip:{model} {error}") from None


def _digest(tower: nn.Module) -> str:
    digest = blake2b(digest_size=12)
    settings = getattr(getattr(tower, "config", None), "vision_config", None)
    digest.update(repr([type(tower).__name__, *(getattr(settings, name, None) for name in _DECIDING)]).encode())
    for name, weight in sorted(tower.state_dict().items()):
        if not name.startswith("logit_"):
            digest.update(name.encode())
            digest.update(weight.float().contiguous().numpy().data)
    return digest.hexdigest()
