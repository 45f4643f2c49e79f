"""Spanish: two genders, adjectives after the noun, some colours that do not change."""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import Gender, is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

_NOUNS: Mapping[Shape, tuple[str, Gender]] = {
    "circle": ("círculo", "m"),
    "square": ("cuadrado", "m"),
    "triangle": ("triángulo", "m"),
    "cross": ("cruz", "f"),
    "star": ("estrella", "f"),
    "heart": ("corazón", "m"),
    "moon": ("luna", "f"),
    "flower": ("flor", "f"),
    "house": ("casa", "f"),
    "fish": ("pez", "m"),
}
# {o} agrees with the noun it belongs to.
_COLOURS: Mapping[Colour, str] = {
    "red": "roj{o}",
    "orange": "naranja",
    "yellow": "amarill{o}",
    "green": "verde",
    "blue": "azul",
    "purple": "morad{o}",
    "pink": "rosa",
    "white": "blanc{o}",
    "black": "negr{o}",
}
_SIZES: Mapping[Size, str] = {"small": "pequeñ{o}", "large": "grande"}
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("está quiet{o}", "no se mueve", "permanece inmóvil"),
    "left": ("se mueve hacia la izquierda", "se desplaza hacia la izquierda", "va hacia la izquierda"),
    "right": ("se mueve hacia la derecha", "se desplaza hacia la derecha", "va hacia la derecha"),
    "up": ("se mueve hacia arriba", "sube", "asciende"),
    "down": ("se mueve hacia abajo", "baja", "desciende"),
    "spin": ("gira sobre sí mism{o}", "da vueltas sobre sí mism{o}", "rota sin moverse del sitio"),
    "grow": ("crece", "se hace más grande", "se va haciendo más grande"),
    "shrink": ("se encoge", "se hace más pequeñ{o}", "se va haciendo más pequeñ{o}"),
    "bounce": ("rebota arriba y abajo", "salta arriba y abajo", "da saltos"),
    "orbit": ("se mueve en círculos", "da vueltas en círculo"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "en el cielo",
    "night": "en el cielo nocturno",
    "sea": "por encima del mar",
    "meadow": "por encima de un prado",
    "desert": "en el desierto",
    "snow": "en la nieve",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", con un cielo azul al fondo",
    "night": ", con un cielo nocturno al fondo",
    "sea": ", con el mar al fondo",
    "meadow": ", con un prado al fondo",
    "desert": ", con un desierto al fondo",
    "snow": ", con un paisaje nevado al fondo",
}
_RELATIONS: Mapping[Relation, str] = {
    "left_of": "a la izquierda de",
    "right_of": "a la derecha de",
    "above": "encima de",
    "below": "debajo de",
}
_TRAVELS = {"towards": ("se mueve hacia", "se acerca a"), "away": ("se aleja de",)}
_COMPARED: Mapping[Size, str] = {"small": "más pequeñ{o} que", "large": "más grande que"}


def say(message: Message) -> str:
    """Say a message in Spanish."""
    thing, wording = _a(message.thing), message.wording
    match message:
        case Moves():
            verb, place = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(f"{place},", thing, verb)
            return sentence(thing, verb, place)
        case MovesBeside():
            verb = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing)
            return sentence(thing, verb, pick(("junto a", "al lado de"), wording), _a(message.other))
        case Located():
            where = f"{_RELATIONS[message.relation]} {_a(message.other)}"
            if is_fronted(wording):
                return sentence("hay", thing, where)
            return sentence(thing, pick(("está", "se encuentra"), wording), where)
        case Travels():
            return sentence(thing, pick(_TRAVELS[message.direction], wording), _a(message.other))
        case Compared():
            comparative = _agreeing(_COMPARED[message.size], message.thing)
            return sentence(_the(message.thing), "es", comparative, _the(message.other))
        case Seen():
            start = pick(("se ven" if message.other else "se ve", "el vídeo muestra", "hay"), wording)
            other = f" y {_a(message.other)}" if message.other else ""
            return sentence(start, thing + other + _BACKDROPS[message.backdrop])


def _a(thing: Mention) -> str:
    return f"{'una' if _is_feminine(thing) else 'un'} {_words(thing)}"


def _the(thing: Mention) -> str:
    return f"{'la' if _is_feminine(thing) else 'el'} {_words(thing)}"


def _words(thing: Mention) -> str:
    size = f" {_SIZES[thing.size]}" if thing.size else ""
    return _agreeing(f"{_NOUNS[thing.shape][0]} {_COLOURS[thing.colour]}{size}", thing)


def _agreeing(words: str, noun: Mention) -> str:
    return words.format(o="a" if _is_feminine(noun) else "o")


def _is_feminine(thing: Mention) -> bool:
    return _NOUNS[thing.shape][1] == "f"
