"""French: two genders, size before the noun and colour after it, elision."""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import Gender, is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

_NOUNS: Mapping[Shape, tuple[str, Gender]] = {
    "circle": ("cercle", "m"),
    "square": ("carré", "m"),
    "triangle": ("triangle", "m"),
    "cross": ("croix", "f"),
    "star": ("étoile", "f"),
    "heart": ("cœur", "m"),
    "moon": ("lune", "f"),
    "flower": ("fleur", "f"),
    "house": ("maison", "f"),
    "fish": ("poisson", "m"),
}
# Masculine, feminine.
_COLOURS: Mapping[Colour, tuple[str, str]] = {
    "red": ("rouge", "rouge"),
    "orange": ("orange", "orange"),
    "yellow": ("jaune", "jaune"),
    "green": ("vert", "verte"),
    "blue": ("bleu", "bleue"),
    "purple": ("violet", "violette"),
    "pink": ("rose", "rose"),
    "white": ("blanc", "blanche"),
    "black": ("noir", "noire"),
}
_SIZES: Mapping[Size, tuple[str, str]] = {"small": ("petit", "petite"), "large": ("grand", "grande")}
# {e} and {self} agree with the subject.
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("reste immobile", "ne bouge pas"),
    "left": ("se déplace vers la gauche", "glisse vers la gauche", "va vers la gauche"),
    "right": ("se déplace vers la droite", "glisse vers la droite", "va vers la droite"),
    "up": ("se déplace vers le haut", "monte", "s'élève"),
    "down": ("se déplace vers le bas", "descend"),
    "spin": ("tourne sur {self}-même", "pivote sur place", "tourne sur place"),
    "grow": ("grandit", "devient plus grand{e}", "devient de plus en plus grand{e}"),
    "shrink": ("rétrécit", "devient plus petit{e}", "devient de plus en plus petit{e}"),
    "bounce": ("rebondit", "sautille", "fait des bonds"),
    "orbit": ("tourne en rond", "se déplace en cercle", "décrit des cercles"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "dans le ciel",
    "night": "dans le ciel nocturne",
    "sea": "au-dessus de la mer",
    "meadow": "au-dessus d'une prairie",
    "desert": "dans le désert",
    "snow": "dans la neige",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", avec un ciel bleu à l'arrière-plan",
    "night": ", avec un ciel nocturne à l'arrière-plan",
    "sea": ", avec la mer à l'arrière-plan",
    "meadow": ", avec une prairie à l'arrière-plan",
    "desert": ", avec un désert à l'arrière-plan",
    "snow": ", avec un paysage enneigé à l'arrière-plan",
}
# What follows begins with un or une, so `de` is always elided.
_RELATIONS: Mapping[Relation, str] = {
    "left_of": "à gauche d'",
    "right_of": "à droite d'",
    "above": "au-dessus d'",
    "below": "au-dessous d'",
}
_TRAVELS = {"towards": ("se dirige vers ", "s'approche d'"), "away": ("s'éloigne d'",)}
_COMPARED: Mapping[Size, str] = {"small": "plus petit{e} que", "large": "plus grand{e} que"}
_SEEN = ("on voit", "la vidéo montre", "il y a")


def say(message: Message) -> str:
    """Say a message in French."""
    thing, wording = _a(message.thing), message.wording
    match message:
        case Moves():
            verb, place = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(f"{place},", thing, verb)
            return sentence(thing, verb, place)
        case MovesBeside():
            verb = _agreeing(pick(_MOTIONS[message.motion], wording), message.thing)
            return sentence(thing, verb, pick(("à côté d'", "près d'"), wording) + _a(message.other))
        case Located():
            where = _RELATIONS[message.relation] + _a(message.other)
            if is_fronted(wording):
                return sentence("il y a", thing, where)
            return sentence(thing, pick(("est", "se trouve"), wording), where)
        case Travels():
            return sentence(thing, pick(_TRAVELS[message.direction], wording) + _a(message.other))
        case Compared():
            comparative = _agreeing(_COMPARED[message.size], message.thing)
            return sentence(_the(message.thing), "est", comparative, _the(message.other))
        case Seen():
            other = f" et {_a(message.other)}" if message.other else ""
            return sentence(pick(_SEEN, wording), thing + other + _BACKDROPS[message.backdrop])


def _a(thing: Mention) -> str:
    return f"{'une' if _is_feminine(thing) else 'un'} {_words(thing)}"


def _the(thing: Mention) -> str:
    words = _words(thing)
    if words[0] in "aeiouéœ":
        return f"l'{words}"
    return f"{'la' if _is_feminine(thing) else 'le'} {words}"


def _words(thing: Mention) -> str:
    gender = _is_feminine(thing)
    size = f"{_SIZES[thing.size][gender]} " if thing.size else ""
    return f"{size}{_NOUNS[thing.shape][0]} {_COLOURS[thing.colour][gender]}"


def _agreeing(words: str, subject: Mention) -> str:
    is_feminine = _is_feminine(subject)
    return words.format(e="e" if is_feminine else "", self="elle" if is_feminine else "lui")


def _is_feminine(thing: Mention) -> bool:
    return _NOUNS[thing.shape][1] == "f"
