"""Russian: nouns and adjectives in five cases, four kinds of adjective endings, short forms that agree."""

from collections.abc import Mapping
from typing import Literal

from polyreel.world.grammar.sentences import Case, Gender, in_case, is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

# Nominative, genitive, dative, accusative, instrumental; the masculine nouns are all inanimate.
_NOUNS: Mapping[Shape, tuple[Gender, str]] = {
    "circle": ("m", "круг круга кругу круг кругом"),
    "square": ("m", "квадрат квадрата квадрату квадрат квадратом"),
    "triangle": ("m", "треугольник треугольника треугольнику треугольник треугольником"),
    "cross": ("m", "крест креста кресту крест крестом"),
    "star": ("f", "звезда звезды звезде звезду звездой"),
    "heart": ("n", "сердце сердца сердцу сердце сердцем"),
    "moon": ("f", "луна луны луне луну луной"),
    "flower": ("m", "цветок цветка цветку цветок цветком"),
    "house": ("m", "дом дома дому дом домом"),
    "fish": ("f", "рыба рыбы рыбе рыбу рыбой"),
}
_Declension = Literal["hard", "soft", "velar", "stressed"]
_ENDINGS: Mapping[tuple[_Declension, Gender], str] = {
    ("hard", "m"): "ый ого ому ый ым",
    ("hard", "f"): "ая ой ой ую ой",
    ("hard", "n"): "ое ого ому ое ым",
    ("soft", "m"): "ий его ему ий им",
    ("soft", "f"): "яя ей ей юю ей",
    ("soft", "n"): "ее его ему ее им",
    ("velar", "m"): "ий ого ому ий им",
    ("velar", "f"): "ая ой ой ую ой",
    ("velar", "n"): "ое ого ому ое им",
    ("stressed", "m"): "ой ого ому ой им",
    ("stressed", "f"): "ая ой ой ую ой",
    ("stressed", "n"): "ое ого ому ое им",
}
_COLOURS: Mapping[Colour, tuple[str, _Declension]] = {
    "red": ("красн", "hard"),
    "orange": ("оранжев", "hard"),
    "yellow": ("жёлт", "hard"),
    "green": ("зелён", "hard"),
    "blue": ("син", "soft"),
    "purple": ("фиолетов", "hard"),
    "pink": ("розов", "hard"),
    "white": ("бел", "hard"),
    "black": ("чёрн", "hard"),
}
_SIZES: Mapping[Size, tuple[str, _Declension]] = {"small": ("маленьк", "velar"), "large": ("больш", "stressed")}
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("стоит на месте", "неподвижно стоит", "остаётся на месте"),
    "left": ("движется влево", "плывёт влево", "перемещается влево"),
    "right": ("движется вправо", "плывёт вправо", "перемещается вправо"),
    "up": ("движется вверх", "поднимается", "плывёт вверх"),
    "down": ("движется вниз", "опускается", "плывёт вниз"),
    "spin": ("вращается на месте", "крутится на месте", "вращается вокруг своей оси"),
    "grow": ("растёт", "увеличивается", "постепенно растёт"),
    "shrink": ("сжимается", "уменьшается", "постепенно уменьшается"),
    "bounce": ("прыгает вверх и вниз", "подпрыгивает"),
    "orbit": ("движется по кругу", "летает по кругу"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "в небе",
    "night": "в ночном небе",
    "sea": "над морем",
    "meadow": "над лугом",
    "desert": "в пустыне",
    "snow": "над снегом",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": "на фоне голубого неба",
    "night": "на фоне ночного неба",
    "sea": "на фоне моря",
    "meadow": "на фоне луга",
    "desert": "на фоне пустыни",
    "snow": "на фоне снега",
}
_RELATIONS: Mapping[Relation, tuple[str, Case]] = {
    "left_of": ("слева от", "gen"),
    "right_of": ("справа от", "gen"),
    "above": ("над", "ins"),
    "below": ("под", "ins"),
}
_TRAVELS: Mapping[str, tuple[tuple[str, ...], Case]] = {
    "towards": (("движется к", "приближается к"), "dat"),
    "away": (("удаляется от", "движется прочь от"), "gen"),
}
_COMPARED: Mapping[Size, str] = {"small": "меньше", "large": "больше"}
_SHOWN: Mapping[Gender, str] = {"m": "показан", "f": "показана", "n": "показано"}


def say(message: Message) -> str:
    """Say a message in Russian."""
    thing, wording = _phrase(message.thing, "nom"), message.wording
    match message:
        case Moves():
            verb, place = pick(_MOTIONS[message.motion], wording), _PLACES[message.place]
            if place and is_fronted(wording):
                return sentence(place, verb, thing)
            return sentence(thing, verb, place)
        case MovesBeside():
            return sentence(thing, pick(_MOTIONS[message.motion], wording), "рядом с", _phrase(message.other, "ins"))
        case Located():
            preposition, case = _RELATIONS[message.relation]
            where = f"{preposition} {_phrase(message.other, case)}"
            return sentence(where, "находится", thing) if is_fronted(wording) else sentence(thing, "находится", where)
        case Travels():
            verbs, case = _TRAVELS[message.direction]
            return sentence(thing, pick(verbs, wording), _phrase(message.other, case))
        case Compared():
            than = pick((f" {_phrase(message.other, 'gen')}", f", чем {_phrase(message.other, 'nom')}"), wording)
            return sentence(thing, _COMPARED[message.size] + than)
        case Seen():
            return _seen(message)


def _seen(message: Seen) -> str:
    shown = "показаны" if message.other else _SHOWN[_NOUNS[message.thing.shape][0]]
    starts: tuple[tuple[str, Case], ...] = (("мы видим", "acc"), (f"на видео {shown}", "nom"))
    start, case = pick(starts, message.wording)
    other = f"и {_phrase(message.other, case)}" if message.other else ""
    return sentence(start, _phrase(message.thing, case), other, _BACKDROPS[message.backdrop])


def _phrase(thing: Mention, case: Case) -> str:
    gender, forms = _NOUNS[thing.shape]
    adjectives = ([_SIZES[thing.size]] if thing.size else []) + [_COLOURS[thing.colour]]
    words = [stem + in_case(_ENDINGS[declension, gender], case) for stem, declension in adjectives]
    return " ".join([*words, in_case(forms, case)])
