"""Chinese: measure words, modifiers before the noun, place before the verb, no spaces."""

from collections.abc import Mapping

from polyreel.world.grammar.sentences import is_fronted, pick
from polyreel.world.messages import Compared, Located, Mention, Message, Moves, MovesBeside, Seen, Travels
from polyreel.world.scenes import Background, Colour, Motion, Relation, Shape, Size

# Measure word, noun.
_NOUNS: Mapping[Shape, tuple[str, str]] = {
    "circle": ("个", "圆形"),
    "square": ("个", "正方形"),
    "triangle": ("个", "三角形"),
    "cross": ("个", "十字"),
    "star": ("颗", "星星"),
    "heart": ("颗", "爱心"),
    "moon": ("个", "月亮"),
    "flower": ("朵", "花"),
    "house": ("座", "房子"),
    "fish": ("条", "鱼"),
}
_COLOURS: Mapping[Colour, str] = {
    "red": "红色的",
    "orange": "橙色的",
    "yellow": "黄色的",
    "green": "绿色的",
    "blue": "蓝色的",
    "purple": "紫色的",
    "pink": "粉色的",
    "white": "白色的",
    "black": "黑色的",
}
_SIZES: Mapping[Size | None, str] = {None: "", "small": "小", "large": "大"}
_MOTIONS: Mapping[Motion, tuple[str, ...]] = {
    "still": ("静止不动", "一动不动"),
    "left": ("向左移动", "往左移动", "缓缓向左移动"),
    "right": ("向右移动", "往右移动", "缓缓向右移动"),
    "up": ("向上移动", "往上移动", "缓缓上升"),
    "down": ("向下移动", "往下移动", "缓缓下降"),
    "spin": ("原地旋转", "原地转动", "不停地原地旋转"),
    "grow": ("逐渐变大", "慢慢变大", "变得越来越大"),
    "shrink": ("逐渐变小", "慢慢变小", "变得越来越小"),
    "bounce": ("一上一下地跳动", "不停地跳上跳下"),
    "orbit": ("绕着圈移动", "不停地绕圈"),
}
_PLACES: Mapping[Background, str] = {
    "sky": "天空中",
    "night": "夜空中",
    "sea": "海面上",
    "meadow": "草地上",
    "desert": "沙漠里",
    "snow": "雪地里",
}
_BACKDROPS: Mapping[Background | None, str] = {
    None: "",
    "sky": "，背景是蓝天",
    "night": "，背景是夜空",
    "sea": "，背景是大海",
    "meadow": "，背景是草地",
    "desert": "，背景是沙漠",
    "snow": "，背景是雪地",
}
_RELATIONS: Mapping[Relation, tuple[str, ...]] = {
    "left_of": ("左边", "左侧"),
    "right_of": ("右边", "右侧"),
    "above": ("上方",),
    "below": ("下方",),
}
_TRAVELS = {"towards": ("朝{}移动", "向{}靠近", "离{}越来越近"), "away": ("渐渐远离{}", "离{}越来越远")}
_COMPARED: Mapping[Size, str] = {"small": "小", "large": "大"}
_SEEN = ("画面中有", "视频里有", "我们看到")


def say(message: Message) -> str:
    """Say a message in Chinese."""
    return f"{_clause(message)}。"


def _clause(message: Message) -> str:
    thing, wording = _one(message.thing), message.wording
    match message:
        case Moves():
            verb = pick(_MOTIONS[message.motion], wording)
            if message.place is None:
                return f"{thing}{verb}"
            place = _PLACES[message.place]
            return f"{place}有{thing}{verb}" if is_fronted(wording) else f"{thing}在{place}{verb}"
        case MovesBeside():
            return f"{thing}在{_one(message.other)}旁边{pick(_MOTIONS[message.motion], wording)}"
        case Located():
            where = f"{_one(message.other)}{pick(_RELATIONS[message.relation], wording)}"
            return f"{where}有{thing}" if is_fronted(wording) else f"{thing}在{where}"
        case Travels():
            return thing + pick(_TRAVELS[message.direction], wording).format(_one(message.other))
        case Compared():
            return f"{_bare(message.thing)}比{_bare(message.other)}{_COMPARED[message.size]}"
        case Seen():
            other = f"和{_one(message.other)}" if message.other else ""
            return f"{pick(_SEEN, wording)}{thing}{other}{_BACKDROPS[message.backdrop]}"


def _one(thing: Mention) -> str:
    return f"一{_NOUNS[thing.shape][0]}{_bare(thing)}"


def _bare(thing: Mention) -> str:
    return f"{_COLOURS[thing.colour]}{_SIZES[thing.size]}{_NOUNS[thing.shape][1]}"
