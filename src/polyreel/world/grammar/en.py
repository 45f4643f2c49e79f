"""English: a or an by sound, definite articles in comparisons."""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Motion, Relation, Size

_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("stays still", "does not move", "remains motionless"),
    "left": ("moves to the left", "drifts left", "slides to the left"),
    "right": ("moves to the right", "drifts right", "slides to the right"),
    "up": ("moves up", "rises", "floats upwards"),
    "down": ("moves down", "sinks", "floats downwards"),
    "spin": ("spins on the spot", "rotates", "turns on its own axis"),
    "grow": ("grows", "gets bigger", "keeps getting larger"),
    "shrink": ("shrinks", "gets smaller", "keeps getting smaller"),
    "bounce": ("bounces up and down", "hops up and down", "keeps jumping up and down"),
    "orbit": ("moves in a circle", "goes round in circles", "flies round and round"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "in the sky",
    "night": "in the night sky",
    "sea": "over the sea",
    "meadow": "over a meadow",
    "desert": "in the desert",
    "snow": "in the snow",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", with a blue sky in the background",
    "night": ", with a night sky in the background",
    "sea": ", with the sea in the background",
    "meadow": ", with a meadow in the background",
    "desert": ", with a desert in the background",
    "snow": ", with a snowy landscape in the background",
}
_RELATIONS: Mapping[Relation, tuple[str, ...]] = {
    "left_of": ("to the left of", "on the left of"),
    "right_of": ("to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
_TRAVELS = {"towards": ("moves towards", "approaches"), "away": ("moves away from", "drifts away from")}
_COMPARED: Mapping[Size, tuple[str, ...]] = {"small": ("smaller",), "large": ("bigger", "larger")}
_SEEN = ("we see", "the video shows", "there is")


def say(message: Message) -> str:
    """Say a message in English."""
    thing, wording = _a(message.thing), message.wording
    match message:
        case Moves():
            verb, place = pick(_MOTIONS[message.motion], wording), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(f"{place},", thing, verb)
            return sentence(thing, verb, place)
        case MovesBeside():
            beside = pick(("next to", "beside"), wording)
            return sentence(thing, pick(_MOTIONS[message.motion], wording), beside, _a(message.other))
        case Located():
            where = f"{pick(_RELATIONS[message.relation], wording)} {_a(message.other)}"
            return sentence("there is", thing, where) if is_fronted(wording) else sentence(thing, "is", where)
        case Travels():
            return sentence(thing, pick(_TRAVELS[message.direction], wording), _a(message.other))
        case Compared():
            comparative = pick(_COMPARED[message.size], wording)
            return sentence(_the(message.thing), "is", comparative, "than", _the(message.other))
        case Seen():
            other = f" and {_a(message.other)}" if message.other else ""
            return sentence(pick(_SEEN, wording), thing + other + _BACKDROPS[message.backdrop])


def _a(thing: Mention) -> str:
    words = _the(thing).removeprefix("the ")
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _the(thing: Mention) -> str:
    return " ".join(filter(None, ("the", thing.size, thing.colour, thing.shape)))
