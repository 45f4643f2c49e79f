"""What an experiment's pages show beside figures: queries with their answers, and what the clips look like.

Here meet rooms that do not know one another: what was found (training, evaluation) and what clips look like (video).
"""

from collections.abc import Collection
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from polyreel.cli.options import open_model
from polyreel.errors import VideoError
from polyreel.progress import Progress, silent

if TYPE_CHECKING:
    from polyreel import Clip, Dataset
    from polyreel.evaluation.browser import Browser
    from polyreel.evaluation.examination import Examinee
    from polyreel.evaluation.gallery import Gallery
    from polyreel.training.results import CellResult, ExperimentResult

MAX_THUMBNAIL_SIZE = (192, 192)
MOST_EXAMINED = 4
_JPEG_QUALITY = 80


def galleries(result: "ExperimentResult") -> "dict[str, Gallery]":
    """Make a gallery for each cell whose dataset has video files, by the cell's name."""
    return {cell.name: _gallery(cell) for cell in result.cells if has_videos(cell.dataset)}


def browsers(result: "ExperimentResult", progress: Progress = silent) -> "dict[str, Browser]":
    """Make an error browser for each cell, by the cell's name: the last system, its teacher, and those it beats."""
    return {cell.name: _browser(cell, progress) for cell in result.cells}


def has_videos(dataset: "Dataset") -> bool:
    """Tell whether a dataset has a folder of video files."""
    return dataset.videos_folder is not None and dataset.videos_folder.is_dir()


def thumbnails(dataset: "Dataset", shown: Collection[str], progress: Progress = silent) -> dict[str, bytes]:
    """Take the picture in the middle of clips, as JPEG by clip id; a clip that cannot be decoded has none."""
    pictures: dict[str, bytes] = {}
    if dataset.videos_folder is None:
        return pictures
    wanted = set(shown)
    for clip in dataset.iter_clips():
        if clip.clip_id in wanted:
            with suppress(VideoError):
                pictures[clip.clip_id] = _thumbnail(dataset.videos_folder / clip.video, clip)
            progress(len(pictures), len(wanted), clip.clip_id)
    return pictures


def teacher_of(name: str, run: Path, dataset: "Dataset") -> "Examinee | None":
    """Open the first teacher that a run's recipe names, to be asked as it taught; None where there is none."""
    from polyreel import load_recipe

    if not (run / "recipe.toml").is_file():
        return None
    recipe = load_recipe(run / "recipe.toml")
    if not recipe.objective.asks_teachers or not (Path(recipe.teachers.runs[0]) / "model").is_dir():
        return None
    return examinee(f"{name}'s teacher", Path(recipe.teachers.runs[0]), dataset, reads=recipe.teachers.lang)


def examinee(name: str, run: Path, dataset: "Dataset", reads: str | None = None) -> "Examinee":
    """Open the model of a run with the features it reads; see `Examinee`."""
    from polyreel.evaluation.examination import Examinee

    model = open_model(run)
    return Examinee(name=name, model=model, features=dataset.features(model.features.extractor), reads=reads)


def _gallery(cell: "CellResult") -> "Gallery":
    """Ask the first seed of the cell's last system."""
    from polyreel import Retriever
    from polyreel.evaluation.gallery import NUM_SHOWN, Gallery, pick_examples

    report = cell.reports[-1]
    model = Retriever.load(cell.runs[report.name][0] / "model")
    features = cell.dataset.features(report.ground.extractor)
    rows = pick_examples(model, cell.dataset, features=features, split=report.ground.split)
    shown = {clip_id for row in rows for clip_id in (row.right_clip_id, *row.ranked_clip_ids[:NUM_SHOWN])}
    return Gallery(system=report.name, rows=tuple(rows), thumbnails=thumbnails(cell.dataset, shown))


def _browser(cell: "CellResult", progress: Progress) -> "Browser":
    """Ask the first seed of a few systems, the last one first."""
    from polyreel.evaluation.browser import Browser
    from polyreel.evaluation.examination import examine

    reports = sorted(cell.reports, key=lambda report: (report is not cell.reports[-1], report.name != cell.baseline))
    runs = {report.name: cell.runs[report.name][0] for report in reports[:MOST_EXAMINED]}
    examinees = [examinee(name, run, cell.dataset) for name, run in runs.items()]
    teacher = teacher_of(reports[0].name, runs[reports[0].name], cell.dataset)
    if teacher is not None:
        examinees = [examinees[0], teacher, *examinees[1 : MOST_EXAMINED - 1]]
    ground = reports[0].ground
    data = cell.dataset.split(ground.split)
    found = examine(
        examinees, cell.dataset, split=ground.split, langs=list(ground.asked), metric=cell.metric, progress=progress
    )
    pictures = thumbnails(data, data.clip_ids, progress) if has_videos(data) else {}
    return Browser(examination=found, pictures=pictures, notes=_notes(reports[0].seeds))


def _notes(seeds: tuple[int, ...]) -> tuple[str, ...]:
    return (f"Asked was one seed of each system, {seeds[0]}; other figures are of all.",) if len(seeds) > 1 else ()


def _thumbnail(video: Path, clip: "Clip") -> bytes:
    from PIL import Image

    from polyreel.video.decode import decode_frames, probe

    end = probe(video).duration_seconds if clip.end_seconds is None else clip.end_seconds
    picture = Image.fromarray(decode_frames(video, [((clip.start_seconds or 0.0) + end) / 2]).frames[0])
    picture.thumbnail(MAX_THUMBNAIL_SIZE)
    jpeg = BytesIO()
    picture.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()
