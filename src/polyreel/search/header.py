"""What an index was made with: the file `index.json` in its folder."""

from pathlib import Path

from pydantic import Field

from polyreel.settings import Settings

SCHEMA_VERSION = 1
HEADER_FILE = "index.json"


class IndexHeader(Settings):
    """What an index was made with, as `index.json` keeps it."""

    schema_version: int = Field(description="of the format")
    encoder_fingerprint: str = Field(description="of the model, extractor and sampling that made every embedding in it")
    dim: int = Field(ge=1, description="width of an embedding")
    extractor: str = Field(description="what `open_extractor` takes")
    model_folder: str | None = Field(description="relative to the index; none for a model that lived in memory alone")
    library_folder: str = Field(description="the videos' folder, relative to the index's")


def is_index(folder: Path) -> bool:
    """Tell whether an index lies in a folder."""
    return (folder / HEADER_FILE).is_file()
