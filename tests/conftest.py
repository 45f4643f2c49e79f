"""Fixtures every test may use."""

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

WriteVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and models that lie beside the project on some machines; the test is skipped where they do not."""
    folder = Path(os.environ.get("POLYREEL_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "msrvtt1k").is_dir():
        pytest.skip(f"needs the real data folder beside the project ({folder.name}/), or POLYREEL_SHARED")
    return folder


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """Encode frames `[T, H, W, 3]`, each shown at its time, to a real file whose suffix says the container."""
    import av

    def write(
        path: Path,
        frames: np.ndarray,
        seconds: Sequence[float],
        *,
        rotation: int = 0,
        codec: str = "libx264",
        options: dict[str, str] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=options or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                stream.set_display_rotation(rotation)
            for pixels, at in zip(frames, seconds, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
                frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write
