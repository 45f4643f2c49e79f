"""What an index was made with: the file `index.json` in its folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from polyreel.errors import DataError
from polyreel.search.store import check_location
from polyreel.settings import Settings

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder

SCHEMA_VERSION = 2
HEADER_FILE = "index.json"


class IndexHeader(Settings):
    """What an index was made with, as `index.json` keeps it."""

    schema_version: int = Field(description="of the format")
    encoder_fingerprint: str = Field(description="of the model, extractor and sampling that made every embedding in it")
    dim: int = Field(ge=1, description="width of an embedding")
    extractor: str = Field(description="what `open_extractor` takes")
    model_folder: str | None = Field(description="relative to the index; none for a model that lived in memory alone")
    part: str = Field(default="", description="the folder in the index that holds its rows; empty: the index itself")
    library_folder: str = Field(description="the videos' folder, relative to the index's")
    store: str | None = Field(default=None, description="URL of what keeps the rows; none: the folder itself")

    @property
    def location(self) -> str | None:
        """URL of what keeps the rows of this part; None: the part's folder."""
        return self.store if self.store is None or not self.part else f"{self.store}-{self.part}"


def is_index(folder: Path) -> bool:
    """Tell whether an index lies in a folder."""
    return (folder / HEADER_FILE).is_file()


def header_for(folder: Path, encoder: "SearchEncoder", library_folder: Path, store: str | None) -> IndexHeader:
    """Describe an index that will lie in a folder.

    Raises:
        ValueError: the store is of no known kind.
    """
    return IndexHeader(
        schema_version=SCHEMA_VERSION,
        encoder_fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        extractor=encoder.extractor.source,
        model_folder=None if encoder.model_folder is None else relative_path(encoder.model_folder, folder),
        library_folder=relative_path(library_folder, folder),
        store=None if store is None else check_location(store),
    )


def open_encoder(folder: Path, header: IndexHeader) -> "SearchEncoder":
    """Open the encoder that an index was made with, where it was; this loads the model.

    Raises:
        DataError: the model lived in memory alone, or is not where it was.
        FingerprintError: the extractor is not what the model was trained with.
    """
    if header.model_folder is None:
        raise DataError(f"{folder} was made with a model that is in no folder; hand its encoder to Index.open")
    from polyreel.search.encoder import SearchEncoder

    model, library = ((folder / place).resolve() for place in (header.model_folder, header.library_folder))
    if not model.is_dir():
        raise DataError(
            f"{folder} was made with the model {model}, which is not there any more; say where it is now: "
            f"polyreel index {library} --model MODEL -o {folder}"
        )
    return SearchEncoder.open(model, header.extractor)


def relative_path(path: Path, folder: Path) -> str:
    """Spell a path as seen from a folder, so that both can be moved together."""
    return os.path.relpath(path.resolve(), folder.resolve())
