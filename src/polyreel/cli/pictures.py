"""Pictures for an experiment's pages: what the last system of a cell answers to a few queries.

Here meet rooms that do not know one another: what was found (training, evaluation) and what clips look like (video).
"""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from polyreel.errors import VideoError

if TYPE_CHECKING:
    from polyreel import Clip, Dataset
    from polyreel.evaluation.gallery import Gallery, GalleryRow
    from polyreel.training.results import CellResult, ExperimentResult

MAX_THUMBNAIL_SIZE = (192, 192)
_JPEG_QUALITY = 80


def galleries(result: "ExperimentResult") -> "dict[str, Gallery]":
    """Make a gallery for each cell whose dataset has video files, by the cell's name."""
    folders = {cell.name: cell.dataset.videos_folder for cell in result.cells}
    has_videos = {name for name, folder in folders.items() if folder is not None and folder.is_dir()}
    return {cell.name: _gallery(cell) for cell in result.cells if cell.name in has_videos}


def _gallery(cell: "CellResult") -> "Gallery":
    """Ask the first seed of the cell's last system."""
    from polyreel import Retriever
    from polyreel.evaluation.gallery import Gallery, pick_examples

    report = cell.reports[-1]
    model = Retriever.load(cell.runs[report.name][0] / "model")
    features = cell.dataset.features(report.ground.extractor)
    rows = pick_examples(model, cell.dataset, features=features, split=report.ground.split)
    return Gallery(system=report.name, rows=tuple(rows), thumbnails=_thumbnails(cell.dataset, rows))


def _thumbnails(dataset: "Dataset", rows: "Sequence[GalleryRow]") -> dict[str, bytes]:
    """Take the picture in the middle of every clip that a gallery shows; a clip that cannot be decoded has none."""
    from polyreel.evaluation.gallery import NUM_SHOWN

    shown = {clip_id for row in rows for clip_id in (row.right_clip_id, *row.ranked_clip_ids[:NUM_SHOWN])}
    pictures = {}
    for clip in dataset.iter_clips():
        if clip.clip_id in shown and dataset.videos_folder is not None:
            with suppress(VideoError):
                pictures[clip.clip_id] = _thumbnail(dataset.videos_folder / clip.video, clip)
    return pictures


def _thumbnail(video: Path, clip: "Clip") -> bytes:
    from PIL import Image

    from polyreel.video.decode import decode_frames, probe

    end = probe(video).duration_seconds if clip.end_seconds is None else clip.end_seconds
    picture = Image.fromarray(decode_frames(video, [((clip.start_seconds or 0.0) + end) / 2]).frames[0])
    picture.thumbnail(MAX_THUMBNAIL_SIZE)
    jpeg = BytesIO()
    picture.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()
