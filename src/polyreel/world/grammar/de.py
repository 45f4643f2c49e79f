"""German: four cases in mixed and weak declension, the verb second, its complement last."""

from collections.abc import Mapping
from typing import NamedTuple

from polyreel.world.grammar.sentences import Gender, Verb, is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size


class _Noun(NamedTuple):
    word: str
    gender: Gender
    dative: str


_NOUNS: Mapping[Shape, _Noun] = {
    "circle": _Noun("Kreis", "m", "Kreis"),
    "square": _Noun("Quadrat", "n", "Quadrat"),
    "triangle": _Noun("Dreieck", "n", "Dreieck"),
    "cross": _Noun("Kreuz", "n", "Kreuz"),
    "star": _Noun("Stern", "m", "Stern"),
    "heart": _Noun("Herz", "n", "Herzen"),
    "moon": _Noun("Mond", "m", "Mond"),
    "flower": _Noun("Blume", "f", "Blume"),
    "house": _Noun("Haus", "n", "Haus"),
    "fish": _Noun("Fisch", "m", "Fisch"),
}
_COLOURS: Mapping[Colour, str] = {
    "red": "rot",
    "orange": "orangefarben",
    "yellow": "gelb",
    "green": "grün",
    "blue": "blau",
    "purple": "violett",
    "pink": "rosa",
    "white": "weiß",
    "black": "schwarz",
}
_UNDECLINED = "rosa"
_SIZES: Mapping[Size, str] = {"small": "klein", "large": "groß"}
# For each gender: article and adjective ending in the nominative, accusative and dative.
_INDEFINITE: Mapping[Gender, Mapping[str, tuple[str, str]]] = {
    "m": {"nom": ("ein", "er"), "acc": ("einen", "en"), "dat": ("einem", "en")},
    "f": {"nom": ("eine", "e"), "acc": ("eine", "e"), "dat": ("einer", "en")},
    "n": {"nom": ("ein", "es"), "acc": ("ein", "es"), "dat": ("einem", "en")},
}
_DEFINITE: Mapping[Gender, tuple[str, str]] = {"m": ("der", "e"), "f": ("die", "e"), "n": ("das", "e")}
_MOTIONS: Mapping[Motion, tuple[Verb, ...]] = {
    "still": (Verb("steht", "still"), Verb("ruht"), Verb("bleibt", "an Ort und Stelle")),
    "left": (Verb("bewegt sich", "nach links"), Verb("gleitet", "nach links"), Verb("wandert", "nach links")),
    "right": (Verb("bewegt sich", "nach rechts"), Verb("gleitet", "nach rechts"), Verb("wandert", "nach rechts")),
    "up": (Verb("bewegt sich", "nach oben"), Verb("schwebt", "nach oben"), Verb("steigt", "auf")),
    "down": (Verb("bewegt sich", "nach unten"), Verb("schwebt", "nach unten"), Verb("sinkt", "herab")),
    "spin": (Verb("dreht sich", "auf der Stelle"), Verb("rotiert"), Verb("dreht sich", "um sich selbst")),
    "grow": (Verb("wächst"), Verb("wird", "größer"), Verb("wird", "immer größer")),
    "shrink": (Verb("schrumpft"), Verb("wird", "kleiner"), Verb("wird", "immer kleiner")),
    "bounce": (Verb("hüpft", "auf und ab"), Verb("springt", "auf und ab")),
    "orbit": (Verb("bewegt sich", "im Kreis"), Verb("wandert", "im Kreis"), Verb("dreht", "Runden")),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "am Himmel",
    "night": "am Nachthimmel",
    "sea": "über dem Meer",
    "meadow": "über einer Wiese",
    "desert": "in der Wüste",
    "snow": "im Schnee",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": "vor blauem Himmel",
    "night": "vor einem Nachthimmel",
    "sea": "vor dem Meer",
    "meadow": "vor einer Wiese",
    "desert": "vor einer Wüste",
    "snow": "vor einer Schneelandschaft",
}
_RELATIONS: Mapping[Relation, tuple[str, ...]] = {
    "left_of": ("links von", "links neben"),
    "right_of": ("rechts von", "rechts neben"),
    "above": ("über",),
    "below": ("unter",),
}
_COMPARED: Mapping[Size, str] = {"small": "kleiner", "large": "größer"}


def say(message: Message) -> str:
    """Say a message in German."""
    thing, wording = _a(message.thing, "nom"), message.wording
    match message:
        case Moves():
            verb, place = pick(_MOTIONS[message.motion], wording), _PLACES[message.place]
            if is_fronted(wording) and place:
                return sentence(place, verb.finite, thing, verb.end)
            return sentence(thing, verb.finite, place, verb.end)
        case MovesBeside():
            verb = pick(_MOTIONS[message.motion], wording)
            return sentence(thing, verb.finite, "neben", _a(message.other, "dat"), verb.end)
        case Located():
            where = f"{pick(_RELATIONS[message.relation], wording)} {_a(message.other, 'dat')}"
            if is_fronted(wording):
                return sentence(where, "befindet sich", thing)
            return sentence(thing, "ist", where)
        case Travels():
            return _travels(message)
        case Compared():
            comparative = _COMPARED[message.size]
            return sentence(_the(message.thing), "ist", comparative, "als", _the(message.other))
        case Seen():
            return _seen(message)


def _travels(message: Travels) -> str:
    thing, dative = _a(message.thing, "nom"), _a(message.other, "dat")
    if message.direction == "away":
        return sentence(
            thing, *pick((("bewegt sich von", dative, "weg"), ("entfernt sich von", dative)), message.wording)
        )
    accusative = _a(message.other, "acc")
    return sentence(thing, *pick((("bewegt sich auf", accusative, "zu"), ("nähert sich", dative)), message.wording))


def _seen(message: Seen) -> str:
    things = [message.thing, message.other] if message.other else [message.thing]
    start = pick(("man sieht", "das Video zeigt", f"zu sehen {'sind' if message.other else 'ist'}"), message.wording)
    case = "nom" if start.startswith("zu sehen") else "acc"
    return sentence(start, " und ".join(_a(thing, case) for thing in things), _BACKDROPS[message.backdrop])


def _a(thing: Mention, case: str) -> str:
    noun = _NOUNS[thing.shape]
    article, ending = _INDEFINITE[noun.gender][case]
    return " ".join((article, *_adjectives(thing, ending), noun.dative if case == "dat" else noun.word))


def _the(thing: Mention) -> str:
    noun = _NOUNS[thing.shape]
    article, ending = _DEFINITE[noun.gender]
    return " ".join((article, *_adjectives(thing, ending), noun.word))


def _adjectives(thing: Mention, ending: str) -> list[str]:
    stems = [_SIZES[thing.size]] if thing.size else []
    stems.append(_COLOURS[thing.colour])
    return [stem if stem == _UNDECLINED else stem + ending for stem in stems]
