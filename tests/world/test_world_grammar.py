"""Sentences by hand: each list is what a careful speaker would write for the same ten messages."""

from dataclasses import replace
from itertools import product

import pytest

from polyreel.world.grammar import GRAMMARS, WORLD_LANGS
from polyreel.world.messages import (
    NUM_WORDINGS,
    Compared,
    Located,
    Mention,
    Message,
    Moves,
    MovesBeside,
    Seen,
    Travels,
)
from polyreel.world.scenes import BACKGROUNDS, COLOURS, MOTIONS, RELATIONS, SHAPES, SIZES

MESSAGES: tuple[Message, ...] = (
    Moves(thing=Mention(shape="star", colour="red", size="small"), motion="left"),
    Moves(thing=Mention(shape="heart", colour="blue"), motion="grow", place="desert", wording=3),
    MovesBeside(
        thing=Mention(shape="circle", colour="orange"),
        motion="bounce",
        other=Mention(shape="flower", colour="white", size="large"),
    ),
    Located(
        thing=Mention(shape="fish", colour="yellow"),
        relation="left_of",
        other=Mention(shape="house", colour="green", size="small"),
    ),
    Located(
        thing=Mention(shape="cross", colour="black"),
        relation="above",
        other=Mention(shape="star", colour="blue"),
        wording=1,
    ),
    Travels(
        thing=Mention(shape="triangle", colour="pink"),
        direction="towards",
        other=Mention(shape="heart", colour="yellow"),
    ),
    Travels(
        thing=Mention(shape="moon", colour="white"),
        direction="away",
        other=Mention(shape="square", colour="purple", size="large"),
    ),
    Compared(thing=Mention(shape="flower", colour="green"), size="small", other=Mention(shape="circle", colour="red")),
    Seen(
        thing=Mention(shape="fish", colour="red", size="large"),
        other=Mention(shape="moon", colour="black"),
        backdrop="meadow",
    ),
    Seen(thing=Mention(shape="heart", colour="pink"), wording=2),
)

EXPECTED = {
    "en": (
        "A small red star moves to the left.",
        "In the desert, a blue heart gets bigger.",
        "An orange circle bounces up and down next to a large white flower.",
        "A yellow fish is to the left of a small green house.",
        "There is a black cross above a blue star.",
        "A pink triangle moves towards a yellow heart.",
        "A white moon moves away from a large purple square.",
        "The green flower is smaller than the red circle.",
        "We see a large red fish and a black moon, with a meadow in the background.",
        "The video shows a pink heart.",
    ),
    "de": (
        "Ein kleiner roter Stern bewegt sich nach links.",
        "In der Wüste wird ein blaues Herz größer.",
        "Ein orangefarbener Kreis hüpft neben einer großen weißen Blume auf und ab.",
        "Ein gelber Fisch ist links von einem kleinen grünen Haus.",
        "Über einem blauen Stern befindet sich ein schwarzes Kreuz.",
        "Ein rosa Dreieck bewegt sich auf ein gelbes Herz zu.",
        "Ein weißer Mond bewegt sich von einem großen violetten Quadrat weg.",
        "Die grüne Blume ist kleiner als der rote Kreis.",
        "Man sieht einen großen roten Fisch und einen schwarzen Mond vor einer Wiese.",
        "Das Video zeigt ein rosa Herz.",
    ),
    "fr": (
        "Une petite étoile rouge se déplace vers la gauche.",
        "Dans le désert, un cœur bleu devient plus grand.",
        "Un cercle orange rebondit à côté d'une grande fleur blanche.",
        "Un poisson jaune est à gauche d'une petite maison verte.",
        "Il y a une croix noire au-dessus d'une étoile bleue.",
        "Un triangle rose se dirige vers un cœur jaune.",
        "Une lune blanche s'éloigne d'un grand carré violet.",
        "La fleur verte est plus petite que le cercle rouge.",
        "On voit un grand poisson rouge et une lune noire, avec une prairie à l'arrière-plan.",
        "La vidéo montre un cœur rose.",
    ),
    "cs": (
        "Malá červená hvězda se pohybuje doleva.",
        "V poušti se zvětšuje modré srdce.",
        "Oranžový kruh poskakuje vedle velké bílé květiny nahoru a dolů.",
        "Žlutá ryba je nalevo od malého zeleného domu.",
        "Nad modrou hvězdou je černý kříž.",
        "Růžový trojúhelník se pohybuje směrem ke žlutému srdci.",
        "Bílý měsíc se vzdaluje od velkého fialového čtverce.",
        "Zelená květina je menší než červený kruh.",
        "Vidíme velkou červenou rybu a černý měsíc, v pozadí je louka.",
        "Video ukazuje růžové srdce.",
    ),
    "zh": (
        "一颗红色的小星星向左移动。",
        "沙漠里有一颗蓝色的爱心慢慢变大。",
        "一个橙色的圆形在一朵白色的大花旁边一上一下地跳动。",
        "一条黄色的鱼在一座绿色的小房子左边。",
        "一颗蓝色的星星上方有一个黑色的十字。",
        "一个粉色的三角形朝一颗黄色的爱心移动。",
        "一个白色的月亮渐渐远离一个紫色的大正方形。",
        "绿色的花比红色的圆形小。",
        "画面中有一条红色的大鱼和一个黑色的月亮，背景是草地。",
        "视频里有一颗粉色的爱心。",
    ),
    "ru": (
        "Маленькая красная звезда движется влево.",
        "В пустыне увеличивается синее сердце.",
        "Оранжевый круг прыгает вверх и вниз рядом с большим белым цветком.",
        "Жёлтая рыба находится слева от маленького зелёного дома.",
        "Над синей звездой находится чёрный крест.",
        "Розовый треугольник движется к жёлтому сердцу.",
        "Белая луна удаляется от большого фиолетового квадрата.",
        "Зелёный цветок меньше красного круга.",
        "Мы видим большую красную рыбу и чёрную луну на фоне луга.",
        "На видео показано розовое сердце.",
    ),
    "vi": (
        "Một ngôi sao nhỏ màu đỏ di chuyển sang trái.",
        "Trên sa mạc, một trái tim màu xanh dương đang lớn dần lên.",
        "Bên cạnh một bông hoa lớn màu trắng có một hình tròn màu cam nảy lên nảy xuống.",
        "Một con cá màu vàng ở bên trái một ngôi nhà nhỏ màu xanh lá cây.",
        "Có một hình chữ thập màu đen ở phía trên một ngôi sao màu xanh dương.",
        "Một hình tam giác màu hồng đang di chuyển về phía một trái tim màu vàng.",
        "Một mặt trăng màu trắng đang di chuyển ra xa khỏi một hình vuông lớn màu tím.",
        "Bông hoa màu xanh lá cây nhỏ hơn hình tròn màu đỏ.",
        "Có một con cá lớn màu đỏ và một mặt trăng màu đen, phía sau là đồng cỏ.",
        "Video cho thấy một trái tim màu hồng.",
    ),
    "sw": (
        "Nyota ndogo nyekundu inasogea kushoto.",
        "Jangwani, moyo wa bluu unazidi kuwa mkubwa.",
        "Duara la rangi ya machungwa linarukaruka juu na chini karibu na ua kubwa jeupe.",
        "Samaki wa njano yuko kushoto kwa nyumba ndogo ya kijani.",
        "Kuna msalaba mweusi juu ya nyota ya bluu.",
        "Pembetatu ya rangi ya waridi inaelekea kwenye moyo wa njano.",
        "Mwezi mweupe unasogea mbali na mraba mkubwa wa rangi ya zambarau.",
        "Ua la kijani ni dogo kuliko duara jekundu.",
        "Kuna samaki mkubwa mwekundu na mwezi mweusi, huku nyuma kukiwa na uwanja wa nyasi.",
        "Kwenye video kuna moyo wa rangi ya waridi.",
    ),
    "es": (
        "Una estrella roja pequeña se mueve hacia la izquierda.",
        "En el desierto, un corazón azul se hace más grande.",
        "Un círculo naranja rebota arriba y abajo junto a una flor blanca grande.",
        "Un pez amarillo está a la izquierda de una casa verde pequeña.",
        "Hay una cruz negra encima de una estrella azul.",
        "Un triángulo rosa se mueve hacia un corazón amarillo.",
        "Una luna blanca se aleja de un cuadrado morado grande.",
        "La flor verde es más pequeña que el círculo rojo.",
        "Se ven un pez rojo grande y una luna negra, con un prado al fondo.",
        "El vídeo muestra un corazón rosa.",
    ),
}

FURTHER = (
    ("en", Moves(thing=Mention(shape="fish", colour="orange", size="large"), motion="spin"),
     "A large orange fish spins on the spot."),
    ("de", Located(thing=Mention(shape="moon", colour="pink"), relation="below",
                   other=Mention(shape="heart", colour="red", size="large")),
     "Ein rosa Mond ist unter einem großen roten Herzen."),
    ("de", Seen(thing=Mention(shape="flower", colour="orange"), other=Mention(shape="star", colour="white"), wording=4),
     "Zu sehen sind eine orangefarbene Blume und ein weißer Stern."),
    ("de", Seen(thing=Mention(shape="star", colour="white"), wording=4), "Zu sehen ist ein weißer Stern."),
    ("de", Travels(thing=Mention(shape="house", colour="black"), direction="towards",
                   other=Mention(shape="flower", colour="yellow"), wording=2),
     "Ein schwarzes Haus nähert sich einer gelben Blume."),
    ("fr", Compared(thing=Mention(shape="star", colour="white"), size="large",
                    other=Mention(shape="star", colour="black")),
     "L'étoile blanche est plus grande que l'étoile noire."),
    ("fr", Moves(thing=Mention(shape="moon", colour="purple"), motion="spin"),
     "Une lune violette tourne sur elle-même."),
    ("fr", Moves(thing=Mention(shape="house", colour="black"), motion="shrink", place="snow", wording=2),
     "Une maison noire devient plus petite dans la neige."),
    ("fr", Moves(thing=Mention(shape="heart", colour="pink"), motion="orbit", place="desert", wording=2),
     "Un cœur rose se déplace en cercle dans le désert."),
    ("cs", Located(thing=Mention(shape="square", colour="blue"), relation="below",
                   other=Mention(shape="circle", colour="white", size="small")),
     "Modrý čtverec je pod malým bílým kruhem."),
    ("cs", Travels(thing=Mention(shape="house", colour="red"), direction="towards",
                   other=Mention(shape="fish", colour="black"), wording=2),
     "Červený dům se blíží k černé rybě."),
    ("cs", Moves(thing=Mention(shape="star", colour="yellow", size="large"), motion="left", place="meadow"),
     "Velká žlutá hvězda se pohybuje nad loukou doleva."),
    ("cs", Moves(thing=Mention(shape="star", colour="yellow", size="large"), motion="left", place="meadow", wording=1),
     "Nad loukou se pohybuje doleva velká žlutá hvězda."),
    ("cs", MovesBeside(thing=Mention(shape="heart", colour="red"), motion="spin",
                       other=Mention(shape="fish", colour="white"), wording=2),
     "Červené srdce se točí vedle bílé ryby kolem své osy."),
    ("ru", Located(thing=Mention(shape="heart", colour="blue", size="large"), relation="below",
                   other=Mention(shape="square", colour="blue", size="large")),
     "Большое синее сердце находится под большим синим квадратом."),
    ("ru", Compared(thing=Mention(shape="star", colour="blue"), size="large",
                    other=Mention(shape="heart", colour="blue"), wording=2),
     "Синяя звезда больше, чем синее сердце."),
    ("ru", Moves(thing=Mention(shape="circle", colour="green"), motion="bounce", place="sea", wording=2),
     "Зелёный круг подпрыгивает над морем."),
    ("ru", Seen(thing=Mention(shape="flower", colour="blue", size="small"),
                other=Mention(shape="fish", colour="blue", size="small"), backdrop="sea", wording=2),
     "На видео показаны маленький синий цветок и маленькая синяя рыба на фоне моря."),
    ("sw", Moves(thing=Mention(shape="fish", colour="red", size="small"), motion="still", wording=2),
     "Samaki mdogo mwekundu hasogei."),
    ("sw", Moves(thing=Mention(shape="house", colour="yellow"), motion="spin", place="snow"),
     "Nyumba ya njano inazunguka mahali pamoja kwenye theluji."),
    ("sw", Moves(thing=Mention(shape="square", colour="black"), motion="orbit"),
     "Mraba mweusi unasogea katika mduara."),
    ("sw", Travels(thing=Mention(shape="fish", colour="black"), direction="towards",
                   other=Mention(shape="flower", colour="purple"), wording=2),
     "Samaki mweusi anakaribia ua la rangi ya zambarau."),
    ("sw", Moves(thing=Mention(shape="flower", colour="black"), motion="shrink", wording=2),
     "Ua jeusi linazidi kuwa dogo."),
    ("sw", Compared(thing=Mention(shape="cross", colour="white"), size="large",
                    other=Mention(shape="house", colour="white")),
     "Msalaba mweupe ni mkubwa kuliko nyumba nyeupe."),
    ("es", Moves(thing=Mention(shape="flower", colour="purple", size="small"), motion="still"),
     "Una flor morada pequeña está quieta."),
    ("es", Moves(thing=Mention(shape="star", colour="black"), motion="spin", place="meadow"),
     "Una estrella negra gira sobre sí misma por encima de un prado."),
    ("es", Moves(thing=Mention(shape="moon", colour="white"), motion="down", place="sea", wording=3),
     "Por encima del mar, una luna blanca baja."),
    ("zh", Moves(thing=Mention(shape="house", colour="white", size="small"), motion="up", place="sea"),
     "一座白色的小房子在海面上向上移动。"),
    ("vi", Moves(thing=Mention(shape="fish", colour="blue"), motion="up", place="snow"),
     "Trên nền tuyết có một con cá màu xanh dương di chuyển lên trên."),
    ("vi", MovesBeside(thing=Mention(shape="moon", colour="pink"), motion="right",
                       other=Mention(shape="square", colour="red"), wording=5),
     "Bên cạnh một hình vuông màu đỏ, một mặt trăng màu hồng đang di chuyển sang bên phải."),
)  # fmt: skip


@pytest.mark.parametrize("lang", WORLD_LANGS)
def test_the_same_messages_are_said_as_a_careful_speaker_would(lang):
    assert tuple(GRAMMARS[lang](message) for message in MESSAGES) == EXPECTED[lang]


@pytest.mark.parametrize(("lang", "message", "expected"), FURTHER)
def test_agreement_in_the_harder_places(lang, message, expected):
    assert GRAMMARS[lang](message) == expected


def every_kind_of_message():
    plain = Mention(shape="circle", colour="red")
    for shape, colour in product(SHAPES, COLOURS):
        thing = Mention(shape=shape, colour=colour)
        yield Seen(thing=thing)
        for size in SIZES:
            sized = replace(thing, size=size)
            yield Seen(thing=sized, other=plain)
            yield Seen(thing=plain, other=sized)
            yield Compared(thing=thing, size=size, other=plain)
        for direction in ("towards", "away"):
            yield Travels(thing=plain, direction=direction, other=thing)
        for relation in RELATIONS:
            yield Located(thing=plain, relation=relation, other=thing)
        for motion in MOTIONS:
            yield Moves(thing=thing, motion=motion)
            yield MovesBeside(thing=plain, motion=motion, other=thing)
    for background in BACKGROUNDS:
        yield Seen(thing=plain, backdrop=background)
        yield from (Moves(thing=plain, motion=motion, place=background) for motion in MOTIONS)


@pytest.mark.parametrize("lang", WORLD_LANGS)
def test_every_message_is_one_tidy_sentence_of_its_own(lang):
    messages = list(every_kind_of_message())
    for wording in range(NUM_WORDINGS):
        texts = [GRAMMARS[lang](replace(message, wording=wording)) for message in messages]
        assert len(set(texts)) == len(texts), "two meanings, one sentence"
        for text in texts:
            assert text.count(".") + text.count("。") == 1
            assert text[-1] in ".。"
            assert not set("{}_") & set(text)
            assert "  " not in text
            assert " ," not in text
            assert text[0] == text[0].upper()


@pytest.mark.parametrize("lang", WORLD_LANGS)
def test_the_same_can_be_said_in_several_ways(lang):
    message = Moves(thing=Mention(shape="star", colour="red"), motion="left", place="desert")
    assert len({GRAMMARS[lang](replace(message, wording=wording)) for wording in range(NUM_WORDINGS)}) >= 4
