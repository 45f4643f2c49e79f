"""Vietnamese: classifiers, modifiers after the noun, aspect by `đang`.

Places always come first, and so does what something moves beside: most begin with the word for "up" or "side" and
would be misread after a verb of motion.
"""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import is_fronted, pick, sentence
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

# Classifier and noun.
_NOUNS: Mapping[Shape, str] = {
    "circle": "hình tròn",
    "square": "hình vuông",
    "triangle": "hình tam giác",
    "cross": "hình chữ thập",
    "star": "ngôi sao",
    "heart": "trái tim",
    "moon": "mặt trăng",
    "flower": "bông hoa",
    "house": "ngôi nhà",
    "fish": "con cá",
}
_COLOURS: Mapping[Colour, str] = {
    "red": "màu đỏ",
    "orange": "màu cam",
    "yellow": "màu vàng",
    "green": "màu xanh lá cây",
    "blue": "màu xanh dương",
    "purple": "màu tím",
    "pink": "màu hồng",
    "white": "màu trắng",
    "black": "màu đen",
}
_SIZES: Mapping[Size, str] = {"small": "nhỏ", "large": "lớn"}
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("đứng yên", "không di chuyển", "đang đứng yên tại chỗ"),
    "left": ("di chuyển sang trái", "đang trôi sang trái", "đang di chuyển sang bên trái"),
    "right": ("di chuyển sang phải", "đang trôi sang phải", "đang di chuyển sang bên phải"),
    "up": ("di chuyển lên trên", "đang bay lên", "đang di chuyển lên phía trên"),
    "down": ("di chuyển xuống dưới", "đang hạ xuống", "đang di chuyển xuống phía dưới"),
    "spin": ("xoay tại chỗ", "đang xoay tròn tại chỗ", "đang tự xoay quanh mình"),
    "grow": ("to dần lên", "đang lớn dần lên", "ngày càng to ra"),
    "shrink": ("nhỏ dần đi", "đang thu nhỏ dần", "ngày càng nhỏ lại"),
    "bounce": ("nảy lên nảy xuống", "đang nhảy lên nhảy xuống"),
    "orbit": ("di chuyển theo vòng tròn", "đang bay vòng vòng"),
}
_PLACES: Mapping[Background | None, str] = {
    None: "",
    "sky": "trên bầu trời",
    "night": "trên bầu trời đêm",
    "sea": "trên mặt biển",
    "meadow": "trên đồng cỏ",
    "desert": "trên sa mạc",
    "snow": "trên nền tuyết",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": ", phía sau là bầu trời xanh",
    "night": ", phía sau là bầu trời đêm",
    "sea": ", phía sau là biển",
    "meadow": ", phía sau là đồng cỏ",
    "desert": ", phía sau là sa mạc",
    "snow": ", phía sau là cánh đồng tuyết",
}
_RELATIONS: Mapping[Relation, str] = {
    "left_of": "bên trái",
    "right_of": "bên phải",
    "above": "phía trên",
    "below": "phía dưới",
}
_TRAVELS = {
    "towards": ("đang di chuyển về phía", "đang tiến lại gần"),
    "away": ("đang di chuyển ra xa khỏi", "đang rời xa"),
}
_COMPARED: Mapping[Size, tuple[str, ...]] = {"small": ("nhỏ hơn", "bé hơn"), "large": ("lớn hơn", "to hơn")}
_SEEN = ("có", "video cho thấy", "ta thấy")


def say(message: Message) -> str:
    """Say a message in Vietnamese."""
    thing, wording = _one(message.thing), message.wording
    match message:
        case Moves():
            return _moves(thing, message.motion, _PLACES[message.place], wording)
        case MovesBeside():
            return _moves(thing, message.motion, f"bên cạnh {_one(message.other)}", wording)
        case Located():
            where = f"{_RELATIONS[message.relation]} {_one(message.other)}"
            if is_fronted(wording):
                return sentence("có", thing, "ở", where)
            return sentence(thing, pick(("ở", "nằm ở"), wording), where)
        case Travels():
            return sentence(thing, pick(_TRAVELS[message.direction], wording), _one(message.other))
        case Compared():
            return sentence(_bare(message.thing), pick(_COMPARED[message.size], wording), _bare(message.other))
        case Seen():
            other = f" và {_one(message.other)}" if message.other else ""
            return sentence(pick(_SEEN, wording), thing + other + _BACKDROPS[message.backdrop])


def _moves(thing: str, motion: Motion, place: str, wording: int) -> str:
    verb = pick(_MOTIONS[motion], wording)
    if place and is_fronted(wording):
        return sentence(f"{place},", thing, verb)
    return sentence(place, "có", thing, verb) if place else sentence(thing, verb)


def _one(thing: Mention) -> str:
    return f"một {_bare(thing)}"


def _bare(thing: Mention) -> str:
    size = f" {_SIZES[thing.size]}" if thing.size else ""
    return f"{_NOUNS[thing.shape]}{size} {_COLOURS[thing.colour]}"
