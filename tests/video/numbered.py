"""Small real videos whose frames carry their number in the picture, so that a decoded one tells which it was."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIDE, NUM_BITS = 64, 8


def numbered(number: int) -> np.ndarray:
    """Draw a number as eight stripes, `[64, 64, 3]`: white is 1, and the highest bit is on the left."""
    bits = np.array([(number >> bit) & 1 for bit in reversed(range(NUM_BITS))], np.uint8)
    row = 20 + 215 * np.repeat(bits, SIDE // NUM_BITS)
    return np.broadcast_to(row[None, :, None], (SIDE, SIDE, 3)).astype(np.uint8)


def number_of(frame: np.ndarray) -> int:
    """Read the number back, from a frame of any size that shows all of it."""
    stripes = np.array_split(frame.mean(axis=(0, 2)), NUM_BITS)
    middles = [stripe[len(stripe) // 4 : -len(stripe) // 4 or None].mean() for stripe in stripes]
    return sum(int(middle > 128) << bit for bit, middle in zip(reversed(range(NUM_BITS)), middles, strict=True))


def write_numbered(
    path: Path,
    seconds: Sequence[float],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Write one numbered frame at each time."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width = stream.height = SIDE
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(numbered(number))
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
