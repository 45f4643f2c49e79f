"""The verb that explains a machine: doctor."""

import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from typer import Option

from polyreel import __version__
from polyreel.cli.options import AsJson, print_json

_SHOWN = ("torch", "transformers", "sentence-transformers", "onnxruntime", "lancedb", "faiss-cpu", "av", "numpy")
_FOR = {
    "asr": "transcribing speech", "endpoint": "translating over HTTP", "export": "polyreel export --onnx",
    "hub": "data sets on the Hugging Face hub", "lora": "training adapters", "mt": "translating here",
    "mteb": "mteb's tasks", "qdrant": "an index in a Qdrant cluster", "ray": "several machines",
    "shots": "cutting videos at shots", "track": "TensorBoard", "train": "models of torch: SigLIP 2, CLIP, training",
    "watch": "following a folder",
}  # fmt: skip
_ENOUGH_BYTES = 3_000_000_000  # SigLIP 2 base in 32 bits, both towers once while they load


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a user may want to know.

    Attributes:
        subject: what it is about.
        found: what is there.
        is_fine: whether nothing has to be done.
        advice: what to do; empty where that is nothing.
    """

    subject: str
    found: str
    is_fine: bool = True
    advice: str = ""


def doctor(
    cache: Annotated[
        Path | None, Option("--cache", metavar="FOLDER", help="The hub's cache, if it is not in its own place.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain this machine: versions, devices, extras, the decoder, models at hand, what would be used, what to do.

    Nothing is changed, and the network is not asked.

    Example: polyreel doctor --json
    """
    findings = examine(cache)
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{'ok' if finding.is_fine else '--'}  {finding.subject:{width}}  {finding.found}")
        if finding.advice:
            print(f"    {'':{width}}  {finding.advice}")


def examine(cache: Path | None = None) -> list[Finding]:
    """Look at this machine, subject by subject.

    Args:
        cache: where fetched models lie; None: the hub's own place.
    """
    return [_python(), _libraries(), _processor(), _device(), _decoder(), *_extras(), _default_model(cache)]


def _python() -> Finding:
    found = f"polyreel {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Finding(subject="versions", found=found)


def _libraries() -> Finding:
    known = [f"{name} {number}" for name in _SHOWN if (number := _version(name))]
    return Finding(subject="libraries", found=", ".join(known))


def _processor() -> Finding:
    num_usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = _memory_bytes()
    size = "" if memory is None else f", {memory / 1e9:.0f} GB of memory"
    is_fine = memory is None or memory >= _ENOUGH_BYTES
    advice = "" if is_fine else "little for SigLIP 2; use a model that `polyreel export --onnx --int8` made elsewhere"
    return Finding(
        subject="processor", found=f"{num_usable} cores for this process{size}", is_fine=is_fine, advice=advice
    )


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _device() -> Finding:
    if find_spec("torch") is None:
        advice = "pip install 'polyreel[train]', or index with an exported model, which needs no torch (--model FOLDER)"
        return Finding(
            subject="device auto",
            found="the processor, through onnxruntime; torch is missing",
            is_fine=False,
            advice=advice,
        )
    from polyreel.models.devices import choose_device, name_of

    choice = choose_device("auto")
    return Finding(subject="device auto", found=f"{name_of(choice.device)}: {choice.reason}")


def _decoder() -> Finding:
    import av

    wanted = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1", "mpeg4": "MPEG-4"}
    missing = [name for codec, name in wanted.items() if codec not in av.codecs_available]
    libraries = ".".join(map(str, av.library_versions["libavcodec"]))
    found = f"PyAV {av.__version__} with libavcodec {libraries}; no FFmpeg of the system is needed"
    advice = f"it cannot read {', '.join(missing)}; reinstall av" if missing else ""
    return Finding(subject="decoder", found=found, is_fine=not missing, advice=advice)


def _extras() -> list[Finding]:
    from importlib.metadata import requires

    found: dict[str, list[str]] = {}
    for line in requires("polyreel") or []:
        named = re.match(r"([A-Za-z0-9_.-]+).*extra\s*==\s*['\"]([^'\"]+)['\"]", line)
        if named and named[2] in _FOR:
            found.setdefault(named[2], []).append(named[1])
    findings = []
    for extra, packages in sorted(found.items()):
        missing = [package for package in packages if _version(package) is None]
        advice = f"pip install 'polyreel[{extra}]'" if missing else ""
        state = f"{_FOR[extra]}: {'missing ' + ', '.join(missing) if missing else 'there'}"
        findings.append(Finding(subject=f"extra {extra}", found=state, is_fine=not missing, advice=advice))
    return findings


def _default_model(cache: Path | None) -> Finding:
    from huggingface_hub import constants

    from polyreel.models.fetching import cached_model
    from polyreel.search.encoder import DEFAULT_MODEL

    known = cached_model(DEFAULT_MODEL, cache)
    place = cache or Path(constants.HF_HUB_CACHE)
    if known is not None:
        return Finding(subject="default model", found=f"{DEFAULT_MODEL}, in {known}")
    return Finding(
        subject="default model",
        found=f"{DEFAULT_MODEL} is not in {place}",
        is_fine=False,
        advice="the first `polyreel index` downloads it and says how large it is; or name a folder with --model",
    )


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
