"""Backdrops: what lies behind the things, drawn with a few strokes that differ from clip to clip.

Each painter gets a picture that already shades from the upper to the lower colour of its background. Colours are
muted, so that the things stand out.
"""

from collections.abc import Callable, Mapping
from math import sin, tau
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from polyreel.world.scenes import Background

Rgb = tuple[int, int, int]
Pen = ImageDraw.ImageDraw

_OVERSIZE = 2


def draw_backdrop(background: Background, side: int, random: Random) -> Image.Image:
    """Return a square RGB picture, `side` pixels wide."""
    upper, lower, paint = _BACKDROPS[background]
    large = side * _OVERSIZE
    picture = _shading(upper, lower, large)
    paint(ImageDraw.Draw(picture, "RGBA"), large, random)
    return picture.reduce(_OVERSIZE)


def _shading(upper: Rgb, lower: Rgb, side: int) -> Image.Image:
    shade_H1 = np.linspace(0, 1, side)[:, None]
    column_H3 = (1 - shade_H1) * np.array(upper) + shade_H1 * np.array(lower)
    return Image.fromarray(np.repeat(column_H3.round().astype(np.uint8)[:, None], side, axis=1))


def _clouds(pen: Pen, side: int, random: Random) -> None:
    for height in (0.16, 0.45, 0.78):
        x, y, puff = random.random() * side, (height + random.uniform(-0.08, 0.08)) * side, 0.06 * side
        for step, size in enumerate((0.7, 1.1, 1.3, 0.8)):
            centre = x + (step - 1.5) * puff * 1.1
            pen.ellipse(
                (centre - puff * size, y - puff * size, centre + puff * size, y + puff * size * 0.6),
                fill=(255, 255, 255, 190),
            )


def _stars(pen: Pen, side: int, random: Random) -> None:
    for _ in range(45):
        x, y, size = random.random() * side, random.random() * side, random.uniform(0.002, 0.006) * side
        pen.ellipse((x - size, y - size, x + size, y + size), fill=(255, 250, 220, 210))


def _waves(pen: Pen, side: int, random: Random) -> None:
    _hill(pen, side, 0.42, 0.0, (58, 134, 178), random)
    for row in range(7):
        y = 0.48 + 0.08 * row
        phase = random.random()
        heights = [(x / 40, y + 0.008 * sin(tau * (x / 40 * (9 - row) + phase))) for x in range(41)]
        line = [(x * side, height * side) for x, height in heights]
        pen.line(line, fill=(190, 222, 236, 120), width=max(1, side // 160), joint="curve")


def _grass(pen: Pen, side: int, random: Random) -> None:
    _hill(pen, side, 0.45, 0.05, (150, 190, 120), random)
    _hill(pen, side, 0.62, 0.04, (122, 172, 98), random)
    for _ in range(90):
        x, y = random.random() * side, random.uniform(0.68, 1.0) * side
        tip = x + random.uniform(-0.01, 0.01) * side
        pen.line((x, y, tip, y - 0.035 * side), fill=(92, 146, 76, 200), width=max(1, side // 200))


def _dunes(pen: Pen, side: int, random: Random) -> None:
    _hill(pen, side, 0.5, 0.06, (232, 196, 136), random)
    _hill(pen, side, 0.66, 0.05, (220, 178, 114), random)
    _hill(pen, side, 0.84, 0.04, (206, 160, 96), random)


def _snow(pen: Pen, side: int, random: Random) -> None:
    _hill(pen, side, 0.52, 0.06, (226, 233, 242), random)
    _hill(pen, side, 0.7, 0.05, (240, 244, 249), random)
    for _ in range(60):
        x, y, size = random.random() * side, random.random() * side, random.uniform(0.004, 0.01) * side
        pen.ellipse((x - size, y - size, x + size, y + size), fill=(255, 255, 255, 230))


def _hill(pen: Pen, side: int, top: float, height: float, colour: Rgb, random: Random) -> None:
    """Fill everything below a gently waving line; `top` and `height` are fractions of the side."""
    phase, waves = random.random(), random.uniform(0.6, 1.1)
    ridge = [(x / 40, top + height * sin(tau * (waves * x / 40 + phase))) for x in range(41)]
    pen.polygon([(0, side), *((x * side, y * side) for x, y in ridge), (side, side)], fill=colour)


# Upper colour, lower colour, and what is painted over them.
_BACKDROPS: Mapping[Background, tuple[Rgb, Rgb, Callable[[Pen, int, Random], None]]] = {
    "sky": ((112, 172, 226), (196, 226, 246), _clouds),
    "night": ((14, 18, 50), (52, 58, 108), _stars),
    "sea": ((184, 214, 236), (236, 240, 240), _waves),
    "meadow": ((176, 214, 240), (232, 244, 244), _grass),
    "desert": ((252, 222, 178), (255, 240, 214), _dunes),
    "snow": ((172, 188, 208), (212, 222, 234), _snow),
}
