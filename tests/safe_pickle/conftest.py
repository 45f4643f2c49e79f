"""Checkpoints put together by hand."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

TorchZip = Callable[..., Path]


@pytest.fixture
def torch_zip(tmp_path) -> TorchZip:
    """Write entries by name into a zip like `torch.save`'s."""

    def write(entries: dict[str, bytes], *, compression: int = ZIP_STORED) -> Path:
        path = tmp_path / "model.pth"
        with ZipFile(path, "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(f"archive/{name}", content)
        return path

    return write
