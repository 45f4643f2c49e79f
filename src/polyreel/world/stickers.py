"""Stickers: the things of the drawn world, cut out with a white rim, so that every colour shows on every background.

A shape is one or more outlines around (0, 0) with a radius of about 1, x to the right and y downwards. A sticker is
drawn four times too large and then reduced, which smooths its edges.
"""

from collections.abc import Mapping, Sequence
from math import acos, atan2, cos, pi, sin, tau

from PIL import Image, ImageDraw, ImageFilter

from polyreel.world.scenes import Colour, Shape, Thing

Point = tuple[float, float]
Outline = list[Point]
Rgb = tuple[int, int, int]

_COLOURS: Mapping[Colour, Rgb] = {
    "red": (218, 44, 44),
    "orange": (245, 136, 24),
    "yellow": (250, 214, 48),
    "green": (52, 160, 70),
    "blue": (42, 92, 214),
    "purple": (132, 62, 182),
    "pink": (246, 132, 184),
    "white": (250, 250, 250),
    "black": (40, 40, 46),
}
_WHITE: Rgb = (255, 255, 255)
_OVERSIZE = 4
_REACH = 1.4  # half the sticker's side, in radii: the shape, its rim and its shadow
_RIM = 0.2


def draw_sticker(thing: Thing, radius_pixels: float) -> Image.Image:
    """Return a square RGBA picture of the thing, its centre in the middle; it reaches 1.4 radii to each side."""
    scale = radius_pixels * _OVERSIZE
    side = 2 * round(_REACH * radius_pixels) * _OVERSIZE
    outlines = [_scaled(outline, scale, side / 2) for outline in _OUTLINES[thing.shape]]
    sticker = _shadow(outlines, scale, side)
    pen, colour = ImageDraw.Draw(sticker), _COLOURS[thing.colour]
    for fill, width in ((_WHITE, _RIM), (_shaded(colour, 0.72), _RIM / 2.6), (colour, 0.0)):
        for outline in outlines:
            pen.polygon(outline, fill=fill)
            pen.line([*outline, *outline[:2]], fill=fill, width=round(width * scale), joint="curve")
    for outline, shade in _DETAILS.get(thing.shape, ()):
        pen.polygon(_scaled(outline, scale, side / 2), fill=_shaded(colour, shade))
    return sticker.reduce(_OVERSIZE)


def _shadow(outlines: Sequence[Outline], scale: float, side: int) -> Image.Image:
    alpha = Image.new("L", (side, side))
    pen = ImageDraw.Draw(alpha)
    for outline in outlines:
        pen.polygon(outline, fill=110)
        pen.line([*outline, *outline[:2]], fill=110, width=round(_RIM * scale), joint="curve")
    shadow = Image.new("RGBA", (side, side), (20, 24, 40, 0))
    shadow.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.08 * scale)))
    return shadow


def _shaded(colour: Rgb, shade: float) -> Rgb:
    """Darken a colour (shade below 1) or bring it nearer to white (above 1)."""
    if shade > 1:
        red, green, blue = (round(255 - (255 - part) * (2 - shade)) for part in colour)
    else:
        red, green, blue = (round(part * shade) for part in colour)
    return red, green, blue


def _scaled(outline: Outline, scale: float, centre: float) -> Outline:
    return [(centre + scale * x, centre + scale * y) for x, y in outline]


def _disc(x: float, y: float, radius_x: float, radius_y: float) -> Outline:
    angles = (tau * step / 48 for step in range(48))
    return [(x + radius_x * cos(angle), y + radius_y * sin(angle)) for angle in angles]


def _box(left: float, top: float, right: float, bottom: float) -> Outline:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _spikes(num_corners: int, radii: Sequence[float], y: float = 0.0) -> Outline:
    """Go round the centre from the top, corner by corner, with the radii taking turns."""
    angles = [tau * corner / num_corners - pi / 2 for corner in range(num_corners)]
    lengths = [radii[corner % len(radii)] for corner in range(num_corners)]
    return [(size * cos(angle), y + size * sin(angle)) for angle, size in zip(angles, lengths, strict=True)]


def _heart() -> Outline:
    angles = [tau * step / 96 for step in range(96)]
    lobes = [13 * cos(a) - 5 * cos(2 * a) - 2 * cos(3 * a) - cos(4 * a) for a in angles]
    return [(sin(a) ** 3, -lobe / 16 - 0.1) for a, lobe in zip(angles, lobes, strict=True)]


def _crescent(shift: float = 0.5, cut_radius: float = 0.8, tilt: float = -0.4) -> Outline:
    """Cut a disc of radius `cut_radius`, `shift` to the right, out of the unit disc; turn by `tilt` radians."""
    tip = acos((shift**2 + 1 - cut_radius**2) / (2 * shift))
    cut_tip = atan2(sin(tip), cos(tip) - shift)
    outer = [tip + (tau - 2 * tip) * step / 60 for step in range(61)]
    inner = [-cut_tip - (tau - 2 * cut_tip) * step / 60 for step in range(1, 60)]
    points = [(cos(a), sin(a)) for a in outer] + [(shift + cut_radius * cos(a), cut_radius * sin(a)) for a in inner]
    turned = [(x * cos(tilt) - y * sin(tilt), x * sin(tilt) + y * cos(tilt)) for x, y in points]
    return [(x + 0.2, y) for x, y in turned]


def _plus(half_width: float = 0.34) -> Outline:
    corner = [(-half_width, -1.0), (half_width, -1.0), (half_width, -half_width)]
    return corner + [turned for quarter in (1, 2, 3) for turned in (_quarter_turned(p, quarter) for p in corner)]


def _quarter_turned(point: Point, times: int) -> Point:
    for _ in range(times):
        point = (-point[1], point[0])
    return point


_OUTLINES: Mapping[Shape, list[Outline]] = {
    "circle": [_disc(0, 0, 0.92, 0.92)],
    "square": [_box(-0.8, -0.8, 0.8, 0.8)],
    "triangle": [_spikes(3, [1.1], y=0.2)],
    "cross": [_plus()],
    "star": [_spikes(10, [1.1, 0.46], y=0.08)],
    "heart": [_heart()],
    "moon": [_crescent()],
    "flower": [_disc(x, y, 0.4, 0.4) for x, y in _spikes(6, [0.6])],
    "house": [_box(-0.68, -0.1, 0.68, 0.85), [(-0.98, -0.05), (0, -0.98), (0.98, -0.05)]],
    "fish": [_disc(-0.22, 0, 0.76, 0.56), [(0.3, 0), (1.0, -0.55), (0.82, 0), (1.0, 0.55)]],
}
# Outlines on top of the shape, and how much darker (below 1) or lighter (above 1) they are than it.
_DETAILS: Mapping[Shape, list[tuple[Outline, float]]] = {
    "flower": [(_disc(0, 0, 0.36, 0.36), 0.66), (_disc(0, 0, 0.26, 0.26), 1.6)],
    "house": [(_box(-0.42, 0.25, -0.08, 0.85), 0.6), (_box(0.12, 0.15, 0.46, 0.5), 1.7)],
    "fish": [(_disc(-0.6, -0.12, 0.14, 0.14), 1.9), (_disc(-0.63, -0.12, 0.07, 0.07), 0.15)],
}
