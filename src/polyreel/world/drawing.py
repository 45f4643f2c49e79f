"""Drawing: a scene becomes the frames of a clip, and frames become a file.

Frames are composed twice too large and then reduced, which smooths edges and lets things move by half pixels. The
encoder runs on one thread with its bit-exact flags, so the same scene gives the same bytes wherever the same FFmpeg
is built in.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from polyreel.storage import write_aside
from polyreel.world.backdrops import draw_backdrop
from polyreel.world.motions import RADII, Pose, plan_paths
from polyreel.world.scenes import Scene, Thing
from polyreel.world.stickers import draw_sticker

SIDE_PIXELS = 128
FRAMES_PER_SECOND = 12
CLIP_SECONDS = 2.0
NUM_FRAMES = round(CLIP_SECONDS * FRAMES_PER_SECOND)

_OVERSIZE = 2
_CANVAS = SIDE_PIXELS * _OVERSIZE


def draw_frames(scene: Scene, random: Random) -> Iterator[np.ndarray]:
    """Yield the frames of a clip: uint8 `[128, 128, 3]` in RGB, 24 of them.

    Args:
        scene: what the clip shows.
        random: settles what the scene leaves open, such as clouds and exact places.
    """
    backdrop = draw_backdrop(scene.background, _CANVAS, random)
    path, other_pose = plan_paths(scene, random)
    if scene.other and other_pose:
        _paste(backdrop, _sticker(scene.other), RADII[scene.other.size], other_pose)
    sticker = _sticker(scene.thing)
    for number in range(NUM_FRAMES):
        frame = backdrop.copy()
        _paste(frame, sticker, RADII[scene.thing.size], path(number / (NUM_FRAMES - 1)))
        yield np.asarray(frame.reduce(_OVERSIZE))


def write_clip(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write frames as an H.264 mp4 file, aside and renamed."""
    import av

    with write_aside(path) as aside, av.open(str(aside), "w", format="mp4", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "20", "preset": "veryfast"})
        stream.width = stream.height = SIDE_PIXELS
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def _sticker(thing: Thing) -> Image.Image:
    return draw_sticker(thing, RADII[thing.size] * _CANVAS)


def _paste(frame: Image.Image, sticker: Image.Image, drawn_radius: float, pose: Pose) -> None:
    if pose.degrees:
        sticker = sticker.rotate(-pose.degrees, Image.Resampling.BICUBIC)
    if pose.radius != drawn_radius:
        side = round(sticker.width * pose.radius / drawn_radius)
        sticker = sticker.resize((side, side), Image.Resampling.BICUBIC)
    corner = (round(pose.x * _CANVAS - sticker.width / 2), round(pose.y * _CANVAS - sticker.height / 2))
    frame.paste(sticker, corner, sticker)
