"""A model by its folder or its name on the hub, whichever kind it is: torch's weights, or exported to ONNX."""

from pathlib import Path
from typing import TYPE_CHECKING

from polyreel.errors import saying_which_extra
from polyreel.models.onnx_retriever import OnnxRetriever, is_onnx_folder

if TYPE_CHECKING:
    from polyreel.models.retriever import Retriever


def open_model(name: Path | str) -> "Retriever | OnnxRetriever":
    """Open a model; one that was exported to ONNX needs no torch.

    Args:
        name: a model's folder, or its name on the Hugging Face hub.

    Raises:
        DataError: it is neither a folder nor a model that can be fetched.
        MissingExtraError: it needs torch, and that is not installed.
    """
    if is_onnx_folder(Path(name)):
        return OnnxRetriever.open(name)
    with saying_which_extra("a model"):
        from polyreel.models.retriever import Retriever
    return Retriever.from_pretrained(name)
