"""Where networks compute: the processor, or a GPU. What is kept on disk is the same for both."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

DeviceName = Literal["auto", "cpu", "cuda"]
CPU = torch.device("cpu")


def open_device(name: DeviceName) -> torch.device:
    """Return a device by name.

    Args:
        name: "cuda" is the first GPU that CUDA shows; "auto" is that where there is one, and otherwise the processor.

    Raises:
        ValueError: "cuda" is asked for where torch finds none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise ValueError(
            "device 'cuda' is asked for, but torch finds no GPU; expected a CUDA build of torch and a driver; "
            "name device 'cpu', or 'auto' for whatever there is"
        )
    return torch.device("cuda") if has_gpu and name != "cpu" else CPU


@dataclass(frozen=True, kw_only=True)
class DeviceChoice:
    """Where networks compute, and why there.

    Attributes:
        device: the device.
        reason: in a few words, for people.
    """

    device: torch.device
    reason: str


def choose_device(name: DeviceName) -> DeviceChoice:
    """Choose a device by name, and say why.

    Raises:
        ValueError: as `open_device`.
    """
    device = open_device(name)
    if name != "auto":
        return DeviceChoice(device=device, reason="as asked")
    if device.type == "cuda":
        gigabytes = torch.cuda.get_device_properties(device).total_memory / 1e9
        return DeviceChoice(device=device, reason=f"the first GPU that CUDA shows, {gigabytes:.0f} GB")
    if torch.version.cuda is None:
        return DeviceChoice(device=device, reason=f"torch {torch.__version__} is a build without CUDA")
    return DeviceChoice(device=device, reason=f"torch {torch.__version__} finds no GPU, or no driver for it")


def placed(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; to a GPU it goes from pinned memory, and nobody waits for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def name_of(device: torch.device) -> str:
    """Return "cpu", or what a GPU calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
