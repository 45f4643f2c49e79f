"""Swahili: adjectives, connectives and verbs agree with the noun's class; animals agree as class 1."""

from collections.abc import Mapping
from typing import NamedTuple

from polyreel.world.grammar.sentences import is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size


class _Class(NamedTuple):
    """What a noun class requires of the words around the noun."""

    subject: str
    negative: str
    connective: str
    located: str
    red: str
    white: str
    black: str
    small: str
    large: str


_ANIMATE = _Class("a", "ha", "wa", "yuko", "mwekundu", "mweupe", "mweusi", "mdogo", "mkubwa")
_CLASS_3 = _Class("u", "hau", "wa", "uko", "mwekundu", "mweupe", "mweusi", "mdogo", "mkubwa")
_CLASS_5 = _Class("li", "hali", "la", "liko", "jekundu", "jeupe", "jeusi", "dogo", "kubwa")
_CLASS_9 = _Class("i", "hai", "ya", "iko", "nyekundu", "nyeupe", "nyeusi", "ndogo", "kubwa")

_NOUNS: Mapping[Shape, tuple[str, _Class]] = {
    "circle": ("duara", _CLASS_5),
    "square": ("mraba", _CLASS_3),
    "triangle": ("pembetatu", _CLASS_9),
    "cross": ("msalaba", _CLASS_3),
    "star": ("nyota", _CLASS_9),
    "heart": ("moyo", _CLASS_3),
    "moon": ("mwezi", _CLASS_3),
    "flower": ("ua", _CLASS_5),
    "house": ("nyumba", _CLASS_9),
    "fish": ("samaki", _ANIMATE),
}
# In these tables {red}, {connective}, {subject} … are filled from the class of the noun they belong to.
_COLOURS: Mapping[Colour, str] = {
    "red": "{red}",
    "orange": "{connective} rangi ya machungwa",
    "yellow": "{connective} njano",
    "green": "{connective} kijani",
    "blue": "{connective} bluu",
    "purple": "{connective} rangi ya zambarau",
    "pink": "{connective} rangi ya waridi",
    "white": "{white}",
    "black": "{black}",
}
_SIZES: Mapping[Size, str] = {"small": "{small}", "large": "{large}"}
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("{subject}metulia", "{negative}sogei", "{subject}mesimama tuli"),
    "left": ("{subject}nasogea kushoto", "{subject}naenda kushoto", "{subject}naelekea upande wa kushoto"),
    "right": ("{subject}nasogea kulia", "{subject}naenda kulia", "{subject}naelekea upande wa kulia"),
    "up": ("{subject}nasogea juu", "{subject}napanda juu"),
    "down": ("{subject}nasogea chini", "{subject}nashuka chini"),
    "spin": ("{subject}nazunguka mahali pamoja", "{subject}najizungusha mahali pamoja"),
    "grow": ("{subject}naongezeka ukubwa", "{subject}nazidi kuwa {large}"),
    "shrink": ("{subject}napungua ukubwa", "{subject}nazidi kuwa {small}"),
    "bounce": ("{subject}narukaruka juu na chini", "{subject}nadunda juu na chini"),
    "orbit": ("{subject}nasogea katika mduara", "{subject}nazunguka mviringo"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "angani",
    "night": "kwenye anga la usiku",
    "sea": "baharini",
    "meadow": "kwenye uwanja wa nyasi",
    "desert": "jangwani",
    "snow": "kwenye theluji",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", huku nyuma kukiwa na anga la bluu",
    "night": ", huku nyuma kukiwa na anga la usiku",
    "sea": ", huku nyuma kukiwa na bahari",
    "meadow": ", huku nyuma kukiwa na uwanja wa nyasi",
    "desert": ", huku nyuma kukiwa na jangwa",
    "snow": ", huku nyuma kukiwa na theluji",
}
_RELATIONS: Mapping[Relation, tuple[str, ...]] = {
    "left_of": ("kushoto kwa", "upande wa kushoto wa"),
    "right_of": ("kulia kwa", "upande wa kulia wa"),
    "above": ("juu ya",),
    "below": ("chini ya",),
}
_TRAVELS = {
    "towards": ("{subject}naelekea kwenye", "{subject}nakaribia"),
    "away": ("{subject}nasogea mbali na", "{subject}najitenga na"),
}
_SEEN = ("kuna", "kwenye video kuna", "hapa kuna")


def say(message: Message) -> str:
    """Say a message in Swahili."""
    thing, wording = _phrase(message.thing), message.wording
    match message:
        case Moves():
            verb, place = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(f"{place},", thing, verb)
            return sentence(thing, verb, place)
        case MovesBeside():
            verb = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing)
            return sentence(thing, verb, pick(("karibu na", "kando ya"), wording), _phrase(message.other))
        case Located():
            where = f"{pick(_RELATIONS[message.relation], wording)} {_phrase(message.other)}"
            if is_fronted(wording):
                return sentence("kuna", thing, where)
            return sentence(thing, _agreeing("{located}", message.thing), where)
        case Travels():
            verb = _agreeing(pick(_TRAVELS[message.direction], wording), message.thing)
            return sentence(thing, verb, _phrase(message.other))
        case Compared():
            size = _agreeing(_SIZES[message.size], message.thing)
            return sentence(thing, "ni", size, "kuliko", _phrase(message.other))
        case Seen():
            other = f" na {_phrase(message.other)}" if message.other else ""
            return sentence(pick(_SEEN, wording), thing + other + _BACKDROPS[message.backdrop])


def _phrase(thing: Mention) -> str:
    size = f"{_SIZES[thing.size]} " if thing.size else ""
    return f"{_NOUNS[thing.shape][0]} {_agreeing(size + _COLOURS[thing.colour], thing)}"


def _agreeing(words: str, noun: Mention) -> str:
    return words.format_map(_NOUNS[noun.shape][1]._asdict())
