"""Videos to measure with: encoded once by the FFmpeg of the imageio-ffmpeg wheel, and kept in a temporary folder.

Ten seconds are encoded and repeated by copying packets, so that a file of a minute or of two hours takes seconds to
make and has key frames where they are wanted. "film" is soft shapes that move, with cuts and fine grain; "noise" is a
test card under heavy noise, which costs a decoder most.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FOLDER = Path(tempfile.gettempdir()) / "polyreel-benchmark-videos"
RATE, ENCODED_SECONDS, SHOT_SECONDS = 30, 10, (3, 4, 3)
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
BITRATES = {"720p": "6M", "1080p": "12M"}  # at most, as downloads have; noise would take ten times as much
CODECS = {
    "h264": ["-c:v", "libx264", "-preset", "veryfast"],
    "hevc": ["-c:v", "libx265", "-preset", "superfast", "-x265-params", "log-level=error:open-gop=0"],
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One file to measure."""

    size: str
    codec: str
    content: str
    key_seconds: int
    seconds: int = 60

    @property
    def name(self) -> str:
        """Say what it is."""
        return f"{self.size}-{self.codec}-{self.content}-key{self.key_seconds}-{self.seconds}s"

    def path(self) -> Path:
        """Make the file, unless it is there, and return where."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.name}.mp4"
        if not path.exists():
            short = FOLDER / f"{self.name}-encoded.mp4"
            _ffmpeg(_source(self), [*CODECS[self.codec], *_keys(self), *_limit(self), "-pix_fmt", "yuv420p"], short)
            loops = self.seconds // ENCODED_SECONDS - 1
            _ffmpeg(["-stream_loop", str(loops), "-i", str(short)], ["-c", "copy", "-t", str(self.seconds)], path)
            short.unlink()
        return path


def _source(sample: Sample) -> list[str]:
    width, height = SIZES[sample.size]
    shape = f"s={width}x{height}:r={RATE}"
    if sample.content == "noise":
        return ["-f", "lavfi", "-i", f"testsrc2={shape}:d={ENCODED_SECONDS},noise=alls=30:allf=t"]
    shots = "".join(
        f"gradients=s=320x180:r={RATE}:d={seconds}:n={4 + seed}:seed={seed + 1}:speed=0.03:type=radial[s{seed}];"
        for seed, seconds in enumerate(SHOT_SECONDS)
    )
    joined = "".join(f"[s{seed}]" for seed in range(len(SHOT_SECONDS)))
    film = f"{shots}{joined}concat=n={len(SHOT_SECONDS)},scale={width}:{height}:flags=bilinear,noise=alls=6:allf=t"
    return ["-f", "lavfi", "-i", film]


def _keys(sample: Sample) -> list[str]:
    frames = str(sample.key_seconds * RATE)
    return ["-g", frames, "-keyint_min", frames, "-sc_threshold", "0"]


def _limit(sample: Sample) -> list[str]:
    return ["-maxrate", BITRATES[sample.size], "-bufsize", BITRATES[sample.size]]


def _ffmpeg(source: list[str], options: list[str], path: Path) -> None:
    aside = path.with_suffix(".part.mp4")
    subprocess.run([FFMPEG, "-v", "error", "-y", *source, *options, str(aside)], check=True)
    aside.replace(path)
