"""Models on the Hugging Face hub: what would be downloaded, and the download, once, into the hub's own cache.

Only what serves is fetched: weights as safetensors where there are any, and no copies for other frameworks. A model
that lies in the cache is opened without asking the network; its folder there is what an index remembers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from polyreel.errors import DataError
from polyreel.progress import Progress, silent

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from tqdm import tqdm

_PLAIN = (".json", ".txt", ".model", ".md", ".jinja")
_SAFE, _PICKLED = ".safetensors", ".bin"
_OTHERS_FOLDERS = frozenset({"onnx", "openvino", "coreml", "gguf"})
_OF_TRAINING = "training"
_WAY_OUT = "name a model's folder (--model FOLDER), such as one that `polyreel export --onnx` made on another machine"


@dataclass(frozen=True, kw_only=True)
class Download:
    """What fetching a model means.

    Attributes:
        name: on the hub.
        revision: the commit.
        licence: as the model's card says; None where it does not.
        files: what is needed of it.
        num_bytes: of what is not on this machine yet.
        cache: where it will lie.
    """

    name: str
    revision: str
    licence: str | None
    files: tuple[str, ...]
    num_bytes: int
    cache: Path


def cached_model(name: str, cache: Path | None = None) -> Path | None:
    """Return the folder of a model that was fetched before and is whole; None where there is none. Asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            name, local_files_only=True, allow_patterns=["*.json", f"*{_SAFE}"], cache_dir=cache,
            ignore_patterns=[*(f"{folder}/*" for folder in _OTHERS_FOLDERS), f"*{_OF_TRAINING}*"],
        )  # fmt: skip
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    has_weights = any(file.is_file() for end in (_SAFE, _PICKLED) for file in Path(folder).glob(f"*{end}"))
    return Path(folder) if has_weights else None


def plan_download(name: str, hub: "HfApi | None" = None, cache: Path | None = None) -> Download:
    """Ask the hub what a model consists of, and how much of it is missing here.

    Raises:
        DataError: the hub cannot be reached, or has no such model.
    """
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        found = (hub or HfApi()).model_info(name, files_metadata=True)
    except HFValidationError:
        raise DataError(f"{name} is neither a folder nor a name of a model on the hub; {_WAY_OUT}") from None
    except RepositoryNotFoundError:
        raise DataError(f"{name} is no folder here, and the hub has no model of this name; {_WAY_OUT}") from None
    except Exception as error:  # every release of the hub's library has other classes for what a network can do
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name} is not on this machine, and the hub cannot be asked ({reason}); {_WAY_OUT}") from error
    sizes = {one.rfilename: int(one.size or 0) for one in found.siblings or []}
    wanted = files_needed(list(sizes))
    revision = found.sha or "main"
    missing = [
        file for file in wanted if not isinstance(try_to_load_from_cache(name, file, cache, revision=revision), str)
    ]
    return Download(
        name=name,
        revision=revision,
        licence=None if found.card_data is None else found.card_data.get("license"),
        files=wanted,
        num_bytes=sum(sizes[file] for file in missing),
        cache=cache or Path(constants.HF_HUB_CACHE),
    )


def files_needed(files: Sequence[str]) -> tuple[str, ...]:
    """Choose from a model's files: configurations, tokenizers, cards, and each folder's weights in one format."""
    paths = [PurePosixPath(file) for file in sorted(files)]
    paths = [path for path in paths if not _OTHERS_FOLDERS & {*path.parts[:-1]} and not path.name.startswith(".")]
    with_safe = {path.parent for path in paths if path.suffix == _SAFE}
    wanted = [
        path
        for path in paths
        if path.suffix in (*_PLAIN, _SAFE) or (path.suffix == _PICKLED and path.parent not in with_safe)
    ]
    return tuple(str(path) for path in wanted if _OF_TRAINING not in path.stem)


def fetch_model(download: Download, progress: Progress = silent, hub: "HfApi | None" = None) -> Path:
    """Download what is missing of a model, and return its folder; one that was cut short goes on where it was.

    Args:
        download: what `plan_download` found.
        progress: told how many megabytes are here.
        hub: where from; None: the hub.

    Raises:
        DataError: the connection broke.
    """
    from huggingface_hub import HfApi

    try:
        folder = (hub or HfApi()).snapshot_download(
            download.name, allow_patterns=list(download.files), cache_dir=download.cache,
            tqdm_class=_bar_class(download, progress),
        )  # fmt: skip
    except Exception as error:  # as above
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"the download of {download.name} broke off ({reason}); run the same again, it goes on where it was"
        ) from error
    return Path(str(folder))


def _bar_class(download: Download, progress: Progress) -> "type[tqdm]":
    """Make what the hub's library draws its progress with tell ours instead: of bytes that have arrived."""
    from tqdm import tqdm

    class Told(tqdm):  # type: ignore[misc]  # tqdm ships no types
        def __init__(self, *args: object, **settings: object) -> None:
            super().__init__(*args, **{**settings, "file": StringIO(), "disable": False})
            self._counts_bytes = settings.get("unit") == "B" and "Reconstructing" in str(settings.get("desc"))

        def update(self, n: float | None = 1) -> bool | None:
            changed: bool | None = super().update(n)
            if self._counts_bytes:
                progress(min(self.n, download.num_bytes) / 1e6, download.num_bytes / 1e6, download.name)
            return changed

    return Told
