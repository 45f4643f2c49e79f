"""The first time a folder is indexed: which model, what it costs to have it, where it computes, how long it will take.

All of it is said on standard error before the work begins. What cannot be had is one line that names the way out.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from polyreel.cli.options import model_folder
from polyreel.cli.progress import shown
from polyreel.errors import MissingExtraError

if TYPE_CHECKING:
    from polyreel.models.devices import DeviceName
    from polyreel.search.encoder import SearchEncoder

_OF_TORCH = ("torch", "transformers")


def encoder_for(
    index_folder: Path,
    videos: Path,
    model: str | None,
    extractor: str | None,
    device: "DeviceName",
    *,
    is_quiet: bool,
) -> "SearchEncoder | None":
    """Open what will embed a library's clips; None for the encoder that an index there is was made with.

    Args:
        index_folder: where the index lies, or will.
        videos: the videos' folder; there must be some before anything is downloaded for them.
        model: what the user named.
        extractor: what the user named.
        device: what the user named.
        is_quiet: say nothing.
    """
    from polyreel.search.encoder import DEFAULT_MODEL, SearchEncoder
    from polyreel.search.header import is_index
    from polyreel.search.index import Index
    from polyreel.video.decode import find_videos

    if model is None and is_index(index_folder):
        header = Index.open(index_folder).header
        if device == "auto" or header.model_folder is None:
            return None
        model, extractor = str((index_folder / header.model_folder).resolve()), header.extractor
    find_videos(videos)
    if model is None and not is_quiet:
        _say(f"no --model is named, so it is {DEFAULT_MODEL}, which reads many languages")
    folder = fetched(model or DEFAULT_MODEL, is_quiet=is_quiet)
    chosen = _device_for(folder, device, is_quiet)
    return SearchEncoder.open(folder, extractor, device=chosen)


def fetched(model: str, *, is_quiet: bool) -> Path:
    """Return the folder of a model: as it is, a run's, or fetched from the hub after saying how large it is.

    Raises:
        MissingExtraError: it needs torch, which is not installed; said before anything is downloaded.
        DataError: the hub cannot be reached, or has no such model.
    """
    if Path(model).is_dir():
        return model_folder(Path(model))
    from polyreel.models.fetching import cached_model, fetch_model, plan_download
    from polyreel.search.encoder import WITHOUT_TORCH

    if any(find_spec(name) is None for name in _OF_TORCH):
        raise MissingExtraError(f"{WITHOUT_TORCH}; {model}", "train")
    known = cached_model(model)
    if known is not None:
        return known
    plan = plan_download(model)
    licence = f", licence {plan.licence}" if plan.licence else ""
    if not is_quiet:
        _say(f"{model}{licence}: {plan.num_bytes / 1e6:,.0f} MB to download once, into {plan.cache}")
    with shown(is_quiet, unit="MB") as progress:
        return fetch_model(plan, progress)


def tell_estimate(videos: Path, encoder: "SearchEncoder") -> None:
    """Say how long indexing a folder will take."""
    from polyreel.search.estimate import estimate_work
    from polyreel.video.decode import find_videos

    found = find_videos(videos)
    guess = estimate_work(found, encoder)
    if guess is None:
        _say(f"{len(found)} videos; none of those tried could be read")
        return
    _say(
        f"{guess.num_videos} videos, about {_duration(guess.video_seconds)} of film: about "
        f"{_duration(guess.work_seconds)} of work, judged by {guess.num_tried} of them; Ctrl-C stops, and the next run "
        "goes on from there"
    )


def _device_for(folder: Path, name: "DeviceName", is_quiet: bool) -> str | None:
    """Choose where networks compute, and say why; None where torch has no part in it."""
    from polyreel.models.dual import is_exported_pair
    from polyreel.models.onnx_retriever import is_onnx_folder

    if is_exported_pair(folder) or is_onnx_folder(folder):
        if name == "cuda":
            raise ValueError(f"device 'cuda' is asked for, but {folder} is an exported model, which runs on the CPU")
        return None
    if any(find_spec(needed) is None for needed in _OF_TORCH):
        return None  # opening it will say what is missing
    from polyreel.models.devices import choose_device, name_of

    choice = choose_device(name)
    if not is_quiet:
        _say(f"device {name_of(choice.device)}: {choice.reason}")
    return choice.device.type


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
