"""Czech: nouns and adjectives in five cases, the clitic `se` in second place, place or thing first as topic.

Where to and how come last, as the news of the sentence: "se pohybuje nad loukou doleva".
"""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import Case, Gender, Verb, in_case, is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

# Nominative, genitive, dative, accusative, instrumental; the masculine nouns are all inanimate.
_NOUNS: Mapping[Shape, tuple[Gender, str]] = {
    "circle": ("m", "kruh kruhu kruhu kruh kruhem"),
    "square": ("m", "čtverec čtverce čtverci čtverec čtvercem"),
    "triangle": ("m", "trojúhelník trojúhelníku trojúhelníku trojúhelník trojúhelníkem"),
    "cross": ("m", "kříž kříže kříži kříž křížem"),
    "star": ("f", "hvězda hvězdy hvězdě hvězdu hvězdou"),
    "heart": ("n", "srdce srdce srdci srdce srdcem"),
    "moon": ("m", "měsíc měsíce měsíci měsíc měsícem"),
    "flower": ("f", "květina květiny květině květinu květinou"),
    "house": ("m", "dům domu domu dům domem"),
    "fish": ("f", "ryba ryby rybě rybu rybou"),
}
_ENDINGS: Mapping[Gender, str] = {"m": "ý ého ému ý ým", "f": "á é é ou ou", "n": "é ého ému é ým"}
_COLOURS: Mapping[Colour, str] = {
    "red": "červen",
    "orange": "oranžov",
    "yellow": "žlut",
    "green": "zelen",
    "blue": "modr",
    "purple": "fialov",
    "pink": "růžov",
    "white": "bíl",
    "black": "čern",
}
_SIZES: Mapping[Size, str] = {"small": "mal", "large": "velk"}
# A reflexive verb brings its clitic, which stands right after the first phrase of the sentence.
_MOTIONS: Mapping[Motion, tuple[Verb, ...]] = {
    "still": (Verb("stojí na místě"), Verb("nehybně stojí"), Verb("zůstává", "na místě")),
    "left": (Verb("se pohybuje", "doleva"), Verb("pluje", "doleva"), Verb("se posouvá", "doleva")),
    "right": (Verb("se pohybuje", "doprava"), Verb("pluje", "doprava"), Verb("se posouvá", "doprava")),
    "up": (Verb("se pohybuje", "nahoru"), Verb("stoupá", "nahoru"), Verb("se vznáší", "vzhůru")),
    "down": (Verb("se pohybuje", "dolů"), Verb("klesá", "dolů"), Verb("se snáší", "dolů")),
    "spin": (Verb("se otáčí", "na místě"), Verb("se točí", "kolem své osy")),
    "grow": (Verb("roste"), Verb("se zvětšuje"), Verb("postupně roste")),
    "shrink": (Verb("se zmenšuje"), Verb("se postupně zmenšuje")),
    "bounce": (Verb("poskakuje", "nahoru a dolů"), Verb("skáče", "nahoru a dolů")),
    "orbit": (Verb("krouží"), Verb("se pohybuje", "dokola")),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "na obloze",
    "night": "na noční obloze",
    "sea": "nad mořem",
    "meadow": "nad loukou",
    "desert": "v poušti",
    "snow": "ve sněhu",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", v pozadí je modrá obloha",
    "night": ", v pozadí je noční obloha",
    "sea": ", v pozadí je moře",
    "meadow": ", v pozadí je louka",
    "desert": ", v pozadí je poušť",
    "snow": ", v pozadí je zasněžená krajina",
}
_RELATIONS: Mapping[Relation, tuple[tuple[str, Case], ...]] = {
    "left_of": (("nalevo od", "gen"), ("vlevo od", "gen")),
    "right_of": (("napravo od", "gen"), ("vpravo od", "gen")),
    "above": (("nad", "ins"),),
    "below": (("pod", "ins"),),
}
_COMPARED: Mapping[Size, str] = {"small": "menší", "large": "větší"}


def say(message: Message) -> str:
    """Say a message in Czech."""
    thing, wording = _phrase(message.thing, "nom"), message.wording
    match message:
        case Moves():
            verb, place = pick(_MOTIONS[message.motion], wording), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(place, *verb, thing)
            return sentence(thing, verb.finite, place, verb.end)
        case MovesBeside():
            verb = pick(_MOTIONS[message.motion], wording)
            return sentence(thing, verb.finite, "vedle", _phrase(message.other, "gen"), verb.end)
        case Located():
            preposition, case = pick(_RELATIONS[message.relation], wording)
            where = f"{preposition} {_phrase(message.other, case)}"
            return sentence(where, "je", thing) if is_fronted(wording) else sentence(thing, "je", where)
        case Travels():
            return sentence(thing, _travels(message))
        case Compared():
            return sentence(thing, "je", _COMPARED[message.size], "než", _phrase(message.other, "nom"))
        case Seen():
            return _seen(message)


def _travels(message: Travels) -> str:
    if message.direction == "away":
        return f"{pick(('se vzdaluje', 'se pohybuje pryč'), message.wording)} od {_phrase(message.other, 'gen')}"
    target = _phrase(message.other, "dat")
    preposition = "ke" if target.startswith("žl") else "k"
    return f"{pick(('se pohybuje směrem', 'se blíží', 'míří'), message.wording)} {preposition} {target}"


def _seen(message: Seen) -> str:
    starts: tuple[tuple[str, Case], ...] = (("vidíme", "acc"), ("video ukazuje", "acc"), ("na videu je", "nom"))
    start, case = pick(starts, message.wording)
    other = f" a {_phrase(message.other, case)}" if message.other else ""
    return sentence(start, _phrase(message.thing, case) + other + _BACKDROPS[message.backdrop])


def _phrase(thing: Mention, case: Case) -> str:
    gender, forms = _NOUNS[thing.shape]
    stems = ([_SIZES[thing.size]] if thing.size else []) + [_COLOURS[thing.colour]]
    ending = in_case(_ENDINGS[gender], case)
    return " ".join([*(stem + ending for stem in stems), in_case(forms, case)])
