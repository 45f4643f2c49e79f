"""Layout: how somebody's own files are laid out, as they describe it in a small `import.toml`.

Files are named relative to the folder they lie in, so one layout serves everybody who has the same files; layouts of
public data ship with polyreel beside the recipes. A column that the layout does not name is looked for under the name
of the field it fills, so tables that use our names need no `columns` at all.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from polyreel.data.clips import CLIP_SCHEMA, Origin
from polyreel.errors import DataError
from polyreel.languages import check_lang
from polyreel.settings import Settings, parse, read_toml

LAYOUT_FILE = "import.toml"
SHIPPED = Path(__file__).parents[2] / "recipes"


class ClipColumns(Settings):
    """Which column of a clip table holds what."""

    clip_id: str | None = Field(default=None, description="id of the clip")
    video: str | None = Field(default=None, description="its video: a file or an id; the clip id if none")
    start_seconds: str | None = Field(default=None, description="first moment of the clip in its video")
    end_seconds: str | None = Field(default=None, description="first moment after the clip")
    split: str | None = Field(default=None, description="name of its split")
    source: str | None = Field(default=None, description="the video it was cut from; its `video` where there is none")


class ClipsLayout(Settings):
    """One file of clips; without a file, the clips are those that the captions name."""

    file: str | None = Field(default=None, description="table with a row a clip")
    split: str | None = Field(default=None, description="split of all clips of this file, instead of a column")
    columns: ClipColumns = Field(default=ClipColumns(), description="which column holds what")
    keep: tuple[str, ...] = Field(default=(), description="further columns to keep in the clip table")

    @field_validator("keep")
    @classmethod
    def _keeps_further_columns(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        taken = [name for name in keep if name in CLIP_SCHEMA.names]
        if taken:
            raise ValueError(f"{taken[0]!r} is a clip's own field; name its column under `columns` instead")
        return keep

    @model_validator(mode="after")
    def _has_one_split_rule(self) -> "ClipsLayout":
        if self.split is not None and self.columns.split is not None:
            raise ValueError("`split` and `columns.split` are both given; keep one of them")
        return self


class CaptionColumns(Settings):
    """Which column of a caption table holds what."""

    clip_id: str | None = Field(default=None, description="the clip that the caption describes")
    caption_id: str | None = Field(default=None, description="id that a sentence and its translations share")
    sentence: str | None = Field(default=None, description="number of the sentence in its clip; makes the id")
    lang: str | None = Field(default=None, description="language code; long tables only")
    text: str | None = Field(default=None, description="the caption; long tables only")
    origin: str | None = Field(default=None, description="how the text came about, by row")
    weight: str | None = Field(default=None, description="how much it counts in training; 1 if none")


class CaptionsLayout(Settings):
    """One file of captions: wide if `langs` names a column a language, long otherwise."""

    file: str = Field(description="table with a row a sentence (wide) or a row a caption (long)")
    langs: dict[str, str] = Field(default={}, description="wide tables: the column of each language, by its code")
    origins: dict[str, Origin] = Field(default={}, description="how a language's texts came about, if not human")
    columns: CaptionColumns = Field(default=CaptionColumns(), description="which column holds what")

    @field_validator("langs", "origins")
    @classmethod
    def _names_languages(cls, by_lang: dict[str, str]) -> dict[str, str]:
        for code in by_lang:
            check_lang(code, "the table")
        return by_lang


class FeatureLayout(Settings):
    """The features of one extractor."""

    file: str = Field(description="an array .npy or .npz, or a folder of CLIP.npy or of tar shards")
    ids: str | None = Field(default=None, description="text file with the clip id of each row of the array, one a line")


class Layout(Settings):
    """How a folder of files becomes a dataset; frozen."""

    name: str | None = Field(default=None, description="what reports call the dataset; the folder's name unless said")
    videos: str | None = Field(default=None, description="folder of the video files; none unless said")
    publisher_splits: bool = Field(default=False, description="a source in two splits is a warning only")
    clips: tuple[ClipsLayout, ...] = Field(default=(ClipsLayout(),), description="files of clips")
    captions: tuple[CaptionsLayout, ...] = Field(default=(), description="files of captions")
    features: dict[str, FeatureLayout] = Field(default={}, description="features by the name of their extractor")

    @model_validator(mode="after")
    def _says_where_clips_are(self) -> "Layout":
        if any(clips.file is None for clips in self.clips) and (len(self.clips) > 1 or not self.captions):
            raise ValueError("clips need a `file`, or captions that name them")
        return self


def load_layout(source: Path, layout: Path | str | None = None) -> Layout:
    """Read the layout of the files in a folder.

    Args:
        source: the folder.
        layout: a TOML file, or the name of a shipped layout such as `msrvtt1k`; None means the folder's `import.toml`.

    Raises:
        DataError: there is no such layout, or it says something that is not allowed.
    """
    file = find_layout(source, layout)
    values: dict[str, object] = read_toml(file, DataError)
    for key in ("clips", "captions"):
        if isinstance(values.get(key), Mapping):
            values[key] = [values[key]]
    return parse(Layout, values, str(file), DataError)


def find_layout(source: Path, layout: Path | str | None = None) -> Path:
    """Return the layout's file; arguments as in `load_layout`.

    Raises:
        DataError: there is none; the message lists the shipped ones.
    """
    asked = source / LAYOUT_FILE if layout is None else Path(layout)
    shipped = {file.parent.name: file for file in sorted(SHIPPED.glob(f"*/{LAYOUT_FILE}"))}
    if asked.is_file():
        return asked
    if str(layout) in shipped:
        return shipped[str(layout)]
    raise DataError(
        f"{asked} does not exist; a layout describes the files of {source} (docs/bring-your-own-data.md); "
        f"shipped layouts are {', '.join(shipped)}"
    )
