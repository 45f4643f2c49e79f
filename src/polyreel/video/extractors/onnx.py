"""Features from an image network in an ONNX file.

The file says most of what is needed. What it cannot say, or wants otherwise than the defaults here, stands in a small
JSON file beside it: `model.json` beside `model.onnx`, with the keys of `OnnxSettings`.

Shapes: T frames, H height, W width, D width of the output.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors
from pydantic import Field

from polyreel.errors import DataError
from polyreel.settings import Settings, parse
from polyreel.storage import fingerprint, read_json
from polyreel.video.decode import Fit, FrameBatch, Size
from polyreel.video.extractors.batches import run_in_batches

BATCH_SIZE = 16
_PREFERRED_OUTPUT = "features"

_OPENING_ERRORS = (
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.Fail,
    onnxruntime_errors.NotImplemented,
)

Layout = Literal["NCHW", "NHWC"]
Side = Annotated[int, Field(ge=1)]
Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class OnnxSettings(Settings):
    """How an ONNX image network wants its frames, and which of its outputs are the features."""

    input: str | None = Field(default=None, description="name of the input; the model's first unless said")
    output: str | None = Field(
        default=None, description='name of the output; the one called "features" unless said, else the first [N, D] one'
    )
    layout: Layout | None = Field(
        default=None, description="order of the input's axes; found from where its 3 colours are unless said"
    )
    size: tuple[Side, Side] | None = Field(
        default=None, description="width and height in pixels; found from the input's shape unless said"
    )
    fit: Fit = Field(
        default="squeeze", description='"crop" cuts the middle out of a frame of another shape instead of squeezing it'
    )
    mean: Triple = Field(
        default=(127.5, 127.5, 127.5), description="subtracted from red, green and blue, each 0 to 255"
    )
    scale: tuple[Positive, Positive, Positive] = Field(
        default=(127.5, 127.5, 127.5), description="what the difference is divided by; the default gives -1 to 1"
    )
    name: str | None = Field(default=None, description="what it is called; the file's name unless said")
    fingerprint: str | None = Field(
        default=None,
        description="of the network it was exported from and compared with, whose rows it gives; its own unless said",
    )


class OnnxExtractor:
    """An image network run on the CPU with ONNX Runtime; row t is its output for frame t.

    A pixel p (0 to 255) enters as `(p - mean) / scale`, by default `p / 127.5 - 1`.

    Attributes:
        name: the file's name without suffix, unless the settings say another.
        source: "onnx:" and the file's full path.
        settings: every choice made, from the JSON file beside the model or found in the model.
        fingerprint: digest of the file's bytes and of the settings; that of its origin, where the settings say one.
        dim: width D of a row.
        frame_size: width and height of the frames it wants.
        fit: how frames come into that size.
        batch_size: the model's own, where it takes no other; else 16.
    """

    frame_offsets = (0.0,)

    def __init__(self, path: Path, settings: OnnxSettings | None = None) -> None:
        """Open a model.

        Args:
            path: the ONNX file.
            settings: None reads the JSON file beside the model, if there is one.

        Raises:
            DataError: the file is missing, is no ONNX model, or does not take frames and give rows.
        """
        if not path.is_file():
            raise DataError(f"there is no ONNX model at {path}")
        self.path = path
        self.source = f"onnx:{path.absolute()}"  # a link keeps its name and what lies beside it
        self._session = _open_session(path)
        self.settings = _complete(settings or _read_settings(path), self._session, path)
        self.name = self.settings.name or path.stem
        self.fingerprint = self.settings.fingerprint or _digest(path, self.settings)
        assert self.settings.size is not None
        self.frame_size: Size = self.settings.size
        self.fit: Fit = self.settings.fit
        self.batch_size = _batch_size(self._session, self.settings)
        self.dim = self._run(np.zeros((self.batch_size, *self.frame_size[::-1], 3), np.uint8)).shape[1]

    def __call__(self, batch: FrameBatch) -> npt.NDArray[np.float32]:
        """Return features `[T, D]` of frames of the wanted size."""
        return run_in_batches(self, batch.frames)

    def run(self, frames_BFHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return features `[B, D]` of B frames."""
        return self._run(frames_BFHW3[:, 0])

    def _run(self, frames_THW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        settings = self.settings
        ordered = frames_THW3.transpose(0, 3, 1, 2) if settings.layout == "NCHW" else frames_THW3
        pixels = np.ascontiguousarray(ordered, np.float32)
        axes = (3, 1, 1) if settings.layout == "NCHW" else (3,)
        pixels -= np.array(settings.mean, np.float32).reshape(axes)
        pixels /= np.array(settings.scale, np.float32).reshape(axes)
        try:
            rows = self._session.run([settings.output], {settings.input: pixels})[0]
        except onnxruntime_errors.InvalidArgument as error:
            _, height, width, _ = frames_THW3.shape
            raise DataError(
                f"{self.path} does not take frames of {width} x {height} pixels as {settings.layout}: {error}"
            ) from None
        if rows.ndim != 2 or len(rows) != len(frames_THW3):
            raise DataError(
                f"{self.path} gives {settings.output!r} of shape {list(rows.shape)} for {len(frames_THW3)} frames; "
                "expected one row a frame; name another output in the JSON file beside it"
            )
        return np.asarray(rows, np.float32)


def _digest(path: Path, settings: OnnxSettings) -> str:
    unsaid = {"name", "fingerprint"}  # what a network is called does not change its rows
    if settings.fit == "squeeze":
        unsaid.add("fit")  # as digests were before there was a choice
    return fingerprint(path.read_bytes(), settings.model_dump(mode="json", exclude=unsaid))


def _batch_size(session: onnxruntime.InferenceSession, settings: OnnxSettings) -> int:
    shape = next(node.shape for node in session.get_inputs() if node.name == settings.input)
    return shape[0] if isinstance(shape[0], int) and shape[0] > 0 else BATCH_SIZE


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _OPENING_ERRORS as error:
        raise DataError(f"{path} is no ONNX model that can be run: {error}") from None


def _read_settings(path: Path) -> OnnxSettings:
    beside = path.with_suffix(".json")
    return parse(OnnxSettings, read_json(beside), str(beside), DataError) if beside.is_file() else OnnxSettings()


def _complete(settings: OnnxSettings, session: onnxruntime.InferenceSession, path: Path) -> OnnxSettings:
    """Fill in from the model what the settings leave open."""
    shapes = {node.name: node.shape for node in session.get_inputs()}
    input_name = settings.input or next(iter(shapes))
    _check_name("input", input_name, shapes, path)
    outputs = {node.name: node.shape for node in session.get_outputs()}
    output_name = settings.output or _choose_output(outputs)
    _check_name("output", output_name, outputs, path)
    layout, size = _find_layout(shapes[input_name])
    choices = {
        "input": input_name,
        "output": output_name,
        "layout": settings.layout or layout,
        "size": settings.size or size,
    }
    unknown = [key for key in ("layout", "size") if choices[key] is None]
    if unknown:
        raise DataError(
            f"{path} has an input of shape {shapes[input_name]}, which does not tell its {' and '.join(unknown)}; "
            f"say so in {path.with_suffix('.json').name} beside it"
        )
    return settings.model_copy(update=choices)


def _find_layout(shape: list[int | str | None]) -> tuple[Layout | None, Size | None]:
    """Tell layout and frame size (width, height) from an input's shape, as far as its numbers are fixed."""
    match shape:
        case [_, 3, height, width]:
            layout: Layout = "NCHW"
        case [_, height, width, 3]:
            layout = "NHWC"
        case _:
            return None, None
    return layout, (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _choose_output(shapes: dict[str, list[int | str | None]]) -> str:
    if _PREFERRED_OUTPUT in shapes:
        return _PREFERRED_OUTPUT
    return next((name for name, shape in shapes.items() if len(shape) == 2), next(iter(shapes)))


def _check_name(what: str, name: str, known: Iterable[str], path: Path) -> None:
    if name not in known:
        raise DataError(f"{path} has no {what} {name!r}; it has {', '.join(known)}")
