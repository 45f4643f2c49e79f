"""Scenes: what happens in one clip of the drawn world, as values without any words or pixels.

A scene is one thing that does something before a background, often with a second, resting thing beside it. Drawing and
grammar both start here, so a clip and its captions agree by construction.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Shape = Literal["circle", "square", "triangle", "cross", "star", "heart", "moon", "flower", "house", "fish"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black"]
Size = Literal["small", "large"]
Motion = Literal["still", "left", "right", "up", "down", "spin", "grow", "shrink", "bounce", "orbit"]
Relation = Literal["left_of", "right_of", "above", "below"]
Background = Literal["sky", "night", "sea", "meadow", "desert", "snow"]

SHAPES: tuple[Shape, ...] = get_args(Shape)
COLOURS: tuple[Colour, ...] = get_args(Colour)
SIZES: tuple[Size, ...] = get_args(Size)
MOTIONS: tuple[Motion, ...] = get_args(Motion)
RELATIONS: tuple[Relation, ...] = get_args(Relation)
BACKGROUNDS: tuple[Background, ...] = get_args(Background)

_SHARE_OF_PAIRS = 0.6


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing in the picture."""

    shape: Shape
    colour: Colour
    size: Size


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one clip shows.

    Attributes:
        thing: the thing the clip is about.
        motion: what the thing does for the whole clip.
        background: what lies behind it.
        other: a second thing of another shape and colour, which rests; None where the thing is alone.
        relation: where the thing is, seen from the other, for the whole clip; None where it is alone.

    Raises:
        ValueError: the scene cannot be drawn so that its captions can be told from others'.
    """

    thing: Thing
    motion: Motion
    background: Background
    other: Thing | None = None
    relation: Relation | None = None

    def __post_init__(self) -> None:
        if (self.other is None) != (self.relation is None):
            raise ValueError(f"a scene has other {self.other} and relation {self.relation}; give both or neither")
        if self.other and (self.other.shape == self.thing.shape or self.other.colour == self.thing.colour):
            raise ValueError(f"two things share shape or colour: {self.thing} and {self.other}; give both others")
        if self.thing.shape == "circle" and self.motion == "spin":
            raise ValueError("a circle spins; nobody can see that; give another shape or motion")


def imagine_scenes(num_scenes: int, seed: int) -> list[Scene]:
    """Return distinct scenes; more scenes from the same seed begin with the same ones."""
    random = Random(f"scenes {seed}")
    scenes: dict[Scene, None] = {}
    while len(scenes) < num_scenes:
        scenes[_imagine(random)] = None
    return list(scenes)


def _imagine(random: Random) -> Scene:
    thing = Thing(shape=random.choice(SHAPES), colour=random.choice(COLOURS), size=random.choice(SIZES))
    other = Thing(
        shape=random.choice([shape for shape in SHAPES if shape != thing.shape]),
        colour=random.choice([colour for colour in COLOURS if colour != thing.colour]),
        size=random.choice(SIZES),
    )
    is_pair = random.random() < _SHARE_OF_PAIRS
    return Scene(
        thing=thing,
        motion=random.choice([motion for motion in MOTIONS if (thing.shape, motion) != ("circle", "spin")]),
        background=random.choice(BACKGROUNDS),
        other=other if is_pair else None,
        relation=random.choice(RELATIONS) if is_pair else None,
    )
