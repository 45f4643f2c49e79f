"""Decoded frames to RGB: scaled by FFmpeg on the way, upright, with square pixels, in the colours of a screen.

Only the small picture reaches Python. What differs from camera to camera is dealt with here: pixels that are not
square, pictures that lie on their side, two half pictures woven into one, colours for bright screens, transparency.

Shapes: height H and width W in RGB.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from polyreel.video.colour import Transfer, to_bt709
from polyreel.video.frames import Fit, Image, Size

_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}  # FFmpeg's numbers, those of ITU-T H.273
_MOST_CUT = 16  # a frame that is cropped is scaled to at most so many times the wanted side; a thinner one is squeezed


class Converter:
    """Converts the frames of one video, and keeps FFmpeg's tables for the sizes it is asked for."""

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        """Take what the file says of its pixels: width by height of one; None where it does not."""
        self._pixel_aspect = pixel_aspect if pixel_aspect and pixel_aspect > 0 else Fraction(1)
        self._reformatters: dict[tuple[Size | None, Fit], av.video.reformatter.VideoReformatter] = {}
        self._half: tuple[tuple[int, int, str], av.filter.Graph] | None = None

    def shown_size(self, frame: av.VideoFrame) -> Size:
        """Return width and height of a frame as it is shown."""
        width, height = max(1, round(frame.width * self._pixel_aspect)), frame.height
        return (height, width) if _quarter_turns(frame) % 2 else (width, height)

    def image(self, frame: av.VideoFrame, size: Size | None, fit: Fit) -> Image:
        """Convert a frame to `[H, W, 3]`."""
        shown = self.shown_size(frame)
        wanted = size or shown
        scaled = _covering(shown, wanted) if fit == "crop" else wanted
        turns = _quarter_turns(frame)
        width, height = scaled[::-1] if turns % 2 else scaled
        reformatter = self._reformatters.setdefault((size, fit), av.video.reformatter.VideoReformatter())
        source = self._top_field(frame) if frame.interlaced_frame else frame
        small = reformatter.reformat(
            source, width=width, height=height, format=_rgb_format(frame), interpolation="AREA", threads=1
        )
        return _middle(np.rot90(_finish(frame, small.to_ndarray()), turns), wanted)

    def _top_field(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Take every other line, those of one moment, by reading with twice the stride."""
        form = (frame.width, frame.height, frame.format.name)
        if self._half is None or self._half[0] != form:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            graph.link_nodes(source, graph.add("field", "type=top"), graph.add("buffersink")).configure()
            self._half = (form, graph)
        graph = self._half[1]
        graph.push(frame)
        return graph.pull()


@dataclass(frozen=True, kw_only=True)
class PyavPicture:
    """A decoded frame with its time; pixels are made when they are asked for."""

    at_seconds: float
    frame: av.VideoFrame
    converter: Converter

    def image(self, size: Size | None, fit: Fit) -> Image:
        """Convert to RGB `[H, W, 3]`."""
        return self.converter.image(self.frame, size, fit)


def _quarter_turns(frame: av.VideoFrame) -> int:
    return round(int(frame.rotation) / 90) % 4  # counterclockwise, as np.rot90 turns


def _rgb_format(frame: av.VideoFrame) -> str:
    """Say what FFmpeg is to make of a frame: 16 bits where colours are converted later, alpha where there is some."""
    if frame.color_trc in _TRANSFERS:
        return "rgb48le"
    has_alpha = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
    return "rgba" if has_alpha else "rgb24"


def _finish(frame: av.VideoFrame, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Image:
    """Bring what `_rgb_format` asked for to RGB of 8 bits; what shines through is black, as on an empty screen."""
    if pixels.dtype == np.uint16:
        return to_bt709(pixels.astype(np.uint16, copy=False), _TRANSFERS[frame.color_trc])
    if pixels.shape[-1] == 4:
        return (pixels[..., :3] * (pixels[..., 3:].astype(np.uint16)) // 255).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def _covering(shown: Size, wanted: Size) -> Size:
    """Return the smallest size of the shown shape that covers the wanted one."""
    factor = max(wanted[0] / shown[0], wanted[1] / shown[1])
    width, height = (
        min(max(round(side * factor), least), _MOST_CUT * least) for side, least in zip(shown, wanted, strict=True)
    )
    return width, height


def _middle(image: Image, size: Size) -> Image:
    top, left = (image.shape[0] - size[1]) // 2, (image.shape[1] - size[0]) // 2
    return image[top : top + size[1], left : left + size[0]]
