"""Messages: what a caption says, before any language says it.

A scene can be described in several ways: what the thing does, where it is, how large it is beside another. Each way is
one small frozen value; every language's grammar turns each of them into a sentence. Whoever adds a way of describing
adds a class here and a `case` to each grammar, and mypy names the grammars that lack it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, zip_longest
from random import Random
from typing import Literal, TypeAlias

from polyreel.world.scenes import COLOURS, SHAPES, Background, Colour, Motion, Relation, Scene, Shape, Size, Thing

NUM_WORDINGS = 12


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A thing as a caption mentions it; a size of None is left unsaid."""

    shape: Shape
    colour: Colour
    size: Size | None = None


@dataclass(frozen=True, kw_only=True)
class Moves:
    """A red star moves to the left (over a meadow)."""

    thing: Mention
    motion: Motion
    place: Background | None = None
    wording: int = 0


@dataclass(frozen=True, kw_only=True)
class MovesBeside:
    """A red star spins next to a blue house."""

    thing: Mention
    motion: Motion
    other: Mention
    wording: int = 0


@dataclass(frozen=True, kw_only=True)
class Located:
    """A red star is to the left of a blue house."""

    thing: Mention
    relation: Relation
    other: Mention
    wording: int = 0


@dataclass(frozen=True, kw_only=True)
class Travels:
    """A red star moves towards a blue house, or away from it."""

    thing: Mention
    direction: Literal["towards", "away"]
    other: Mention
    wording: int = 0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The red star is larger than the blue house, or smaller."""

    thing: Mention
    size: Size
    other: Mention
    wording: int = 0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """We see a red star (and a blue house) (with a desert in the background)."""

    thing: Mention
    other: Mention | None = None
    backdrop: Background | None = None
    wording: int = 0


Message: TypeAlias = Moves | MovesBeside | Located | Travels | Compared | Seen
"""One of the ways to describe a scene. `wording`, 0 or more, chooses among a language's ways to say the same."""

_TOWARDS: dict[Relation, Motion] = {"left_of": "right", "right_of": "left", "above": "down", "below": "up"}
_AWAY: dict[Relation, Motion] = {"left_of": "left", "right_of": "right", "above": "up", "below": "down"}


def choose_messages(scene: Scene, num_messages: int, random: Random) -> list[Message]:
    """Return what the captions of a clip say, as different from one another as the scene allows.

    The ways to describe the scene take turns; once all that can be said is said, it is said again in other words.
    """
    ways = [list(way) for way in (_moves(scene), _seen(scene), *_of_pair(scene))]
    ways = random.sample([way for way in ways if way], k=sum(map(bool, ways)))
    turns = zip_longest(*(random.sample(way, k=len(way)) for way in ways))
    contents = [message for turn in turns for message in turn if message is not None]
    return [
        replace(content, wording=random.randrange(NUM_WORDINGS)) for content in islice(cycle(contents), num_messages)
    ]


def garble(message: Message, random: Random) -> Message:
    """Return a message that is wrong about the thing's shape or colour, as a bad translation is."""
    thing, mentioned = message.thing, [message.thing]
    if not isinstance(message, Moves) and message.other is not None:
        mentioned.append(message.other)
    if random.random() < 0.5:
        shapes = [shape for shape in SHAPES if shape not in {mention.shape for mention in mentioned}]
        return replace(message, thing=replace(thing, shape=random.choice(shapes)))
    colours = [colour for colour in COLOURS if colour not in {mention.colour for mention in mentioned}]
    return replace(message, thing=replace(thing, colour=random.choice(colours)))


def _moves(scene: Scene) -> Iterator[Message]:
    for thing in _mentions_of_thing(scene):
        for place in (None, scene.background):
            yield Moves(thing=thing, motion=scene.motion, place=place)


def _seen(scene: Scene) -> Iterator[Message]:
    for thing in _mentions_of_thing(scene):
        for other in _mentions(scene.other) if scene.other else [None]:
            for backdrop in (None, scene.background):
                yield Seen(thing=thing, other=other, backdrop=backdrop)


def _of_pair(scene: Scene) -> tuple[list[Message], ...]:
    if scene.other is None or scene.relation is None:
        return ()
    pairs = [(thing, other) for thing in _mentions_of_thing(scene) for other in _mentions(scene.other)]
    beside: list[Message] = [MovesBeside(thing=thing, motion=scene.motion, other=other) for thing, other in pairs]
    located: list[Message] = [Located(thing=thing, relation=scene.relation, other=other) for thing, other in pairs]
    return beside, located, list(_travels(scene, pairs)), list(_compared(scene))


def _travels(scene: Scene, pairs: list[tuple[Mention, Mention]]) -> Iterator[Message]:
    if scene.relation is not None and scene.motion in (_TOWARDS[scene.relation], _AWAY[scene.relation]):
        for thing, other in pairs:
            direction: Literal["towards", "away"] = "towards" if scene.motion == _TOWARDS[scene.relation] else "away"
            yield Travels(thing=thing, direction=direction, other=other)


def _compared(scene: Scene) -> Iterator[Message]:
    if scene.other and scene.other.size != scene.thing.size and not _changes_size(scene):
        thing, other = (Mention(shape=each.shape, colour=each.colour) for each in (scene.thing, scene.other))
        yield Compared(thing=thing, size=scene.thing.size, other=other)


def _mentions_of_thing(scene: Scene) -> list[Mention]:
    return _mentions(scene.thing)[: 1 if _changes_size(scene) else 2]


def _mentions(thing: Thing) -> list[Mention]:
    plain = Mention(shape=thing.shape, colour=thing.colour)
    return [plain, replace(plain, size=thing.size)]


def _changes_size(scene: Scene) -> bool:
    return scene.motion in ("grow", "shrink")
