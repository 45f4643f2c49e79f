"""Motions: where things are at each moment of a clip, so that what the scene says is true in every frame.

Places are fractions of the picture's side, x to the right and y downwards. A pair divides the picture along its
relation: the other thing rests near one edge, and the thing keeps to the room that remains, never crossing over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import cos, pi, sin, tau
from random import Random

from polyreel.world.scenes import Motion, Relation, Scene, Size

RADII: Mapping[Size, float] = {"small": 0.09, "large": 0.165}

_MARGIN = 0.04
_LONGEST_WAY = 0.3
_HIGHEST_HOP = 0.16
# Unit vector from the other thing to the thing.
_SIDES: Mapping[Relation, tuple[int, int]] = {"left_of": (-1, 0), "right_of": (1, 0), "above": (0, -1), "below": (0, 1)}


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a thing is at one moment: its centre and radius in sides of the picture, its turn in degrees."""

    x: float
    y: float
    radius: float
    degrees: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Room:
    """How far a thing may move from its middle pose, along x and along y."""

    middle: Pose
    x: float
    y: float


Path = Callable[[float], Pose]
"""From how much of the clip has passed, 0 to 1, to the pose at that moment."""


def plan_paths(scene: Scene, random: Random) -> tuple[Path, Pose | None]:
    """Return the path of the scene's thing, and the pose of the other thing if there is one."""
    room, other = _divide(scene, random)
    move = _MOVES[scene.motion]
    return (lambda passed: move(room, passed)), other


def _divide(scene: Scene, random: Random) -> tuple[_Room, Pose | None]:
    radius = RADII[scene.thing.size]
    aside, other_aside = random.uniform(-0.1, 0.1), random.uniform(-0.1, 0.1)
    free_aside = min(_LONGEST_WAY, 0.5 - radius - _MARGIN - abs(aside))
    if scene.other is None or scene.relation is None:
        middle = Pose(x=0.5 + aside, y=0.5 + other_aside, radius=radius)
        return _Room(middle=middle, x=free_aside, y=min(_LONGEST_WAY, 0.4 - radius - _MARGIN)), None
    other_radius = RADII[scene.other.size]
    other_along = other_radius + _MARGIN
    nearest = other_along + other_radius + radius + _MARGIN
    farthest = 1 - radius - _MARGIN
    middle = _place(scene.relation, (nearest + farthest) / 2, aside, radius)
    along = (farthest - nearest) / 2
    is_sideways = _SIDES[scene.relation][0] != 0
    room = _Room(middle=middle, x=along if is_sideways else free_aside, y=free_aside if is_sideways else along)
    return room, _place(scene.relation, other_along, other_aside, other_radius)


def _place(relation: Relation, along: float, aside: float, radius: float) -> Pose:
    """Turn a distance from the other thing's edge, and one across from the middle, into a pose."""
    side_x, side_y = _SIDES[relation]
    if side_x:
        return Pose(x=0.5 + side_x * (along - 0.5), y=0.5 + aside, radius=radius)
    return Pose(x=0.5 + aside, y=0.5 + side_y * (along - 0.5), radius=radius)


def _straight(side_x: int, side_y: int) -> Callable[[_Room, float], Pose]:
    def move(room: _Room, passed: float) -> Pose:
        way = 2 * passed - 1
        middle = room.middle
        return replace(middle, x=middle.x + side_x * way * room.x, y=middle.y + side_y * way * room.y)

    return move


def _rest(room: _Room, passed: float) -> Pose:
    return room.middle


def _spin(room: _Room, passed: float) -> Pose:
    return replace(room.middle, degrees=360 * passed)


def _grow(room: _Room, passed: float) -> Pose:
    return replace(room.middle, radius=room.middle.radius * (0.4 + 0.85 * passed))


def _shrink(room: _Room, passed: float) -> Pose:
    return _grow(room, 1 - passed)


def _bounce(room: _Room, passed: float) -> Pose:
    height = min(room.y, _HIGHEST_HOP)
    return replace(room.middle, y=room.middle.y + height - 2 * height * abs(sin(tau * passed)))


def _orbit(room: _Room, passed: float) -> Pose:
    reach = min(room.x, room.y, _HIGHEST_HOP)
    angle = tau * passed - pi / 2
    return replace(room.middle, x=room.middle.x + reach * cos(angle), y=room.middle.y + reach * sin(angle))


_MOVES: Mapping[Motion, Callable[[_Room, float], Pose]] = {
    "still": _rest,
    "left": _straight(-1, 0),
    "right": _straight(1, 0),
    "up": _straight(0, -1),
    "down": _straight(0, 1),
    "spin": _spin,
    "grow": _grow,
    "shrink": _shrink,
    "bounce": _bounce,
    "orbit": _orbit,
}
