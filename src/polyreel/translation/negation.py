"""Negation in a caption, by a small list of words a language.

Words that negate are sure. Words that may (French *personne*, English *shirtless*, *barefoot*) only excuse: they make
up for a negation the other side has. Czech negates verbs by a prefix, which many innocent words begin with, too; those
met in captions are listed. Irony, antonyms (*not open*, *closed*) and negation by other means are not seen.
"""

import re
from typing import Literal, NamedTuple

Negation = Literal["yes", "maybe", "no"]


class _Lexicon(NamedTuple):
    """Patterns of whole words, without case: what negates, and what may."""

    sure: str
    maybe: str = "(?!)"


_CZECH_PREFIX = (
    r"ne(?!bo\b|b[eí]|bi|ch[aá]|da?le|děl|ht|he[dt]|hod|j(?!s(?:ou|em|me|te|i\b)|de|dou|ed|ez|í)|mluv|mocn|on|ón|opr|r[vf]|s[celoqu]|tt|"
    r"ur|ut|věst|vinn|w|ž\b|š)\w{2,}"
)
_CZECH_ADJECTIVE = r"(?<!ý|é|ě)(?<!ém|ým)(?<!ého|ému|ých|ými)"
_LEXICON = {
    "en": _Lexicon(
        r"not|no|never|without|nobody|nothing|none|nowhere|neither|nor|cannot|\w+n['’]t|dont|doesnt|isnt|arent|wont",
        r"\w+less|un\w+|in\w+ble|non-?\w*|bare\w*|topless|naked|nude|empty|alone|hardly|barely|instead|rather|lack\w*|"
        r"missing|fail\w*|refus\w*|avoid\w*|stop\w*|off|away|out|few|little|only|except|closed|shut|dis\w+|miss\w*|"
        r"stranded|still|motionless|but|before|until|too|other",
    ),
    "de": _Lexicon(
        r"nicht|nichts|kein\w*|ohne|nie|niemals|niemand\w*|nirgend\w*|weder|nein",
        r"\w+los|\w+lose[nmrs]?|\w*frei|\w*freie[nmrs]?|nackt\w*|barfuß|barfüßig\w*|leere?[nmrs]?",
    ),
    "fr": _Lexicon(
        r"ne|n|sans|jamais|aucune?s?|rien|ni|nulle?s?|non",
        r"pas|personne|guère|torse|nus?|nues?|nu-\w+|pieds-nus|vides?|seule?s?|sauf",
    ),
    "cs": _Lexicon(
        r"ne|bez|beze|nikdo|nikoho|nikomu|nic|ničeho|ničemu|nikdy|nikde|nikam|ani|žádn\w+|"
        rf"{_CZECH_PREFIX}{_CZECH_ADJECTIVE}",
        rf"{_CZECH_PREFIX}|nah[ýáéoi]\w*|bos[ýáéoík]\w*|prázdn\w*|sám|sama|bez\w+|kromě|zavřen\w*",
    ),
    "it": _Lexicon(
        r"non|no|senza|nessun\w*|mai|niente|nulla|né|nemmeno|neanche|neppure",
        r"nud[oaie]|scalz[oaie]|vuot[oaie]|sol[oaie]|tranne|priv[oaie]|manca\w*",
    ),
    "es": _Lexicon(
        r"no|sin|nunca|jamás|ningun\w*|ningún|nadie|nada|ni|tampoco",
        r"desnud[oa]s?|descalz[oa]s?|vací[oa]s?|sol[oa]s?|salvo|excepto|falta\w*|carec\w+",
    ),
    "ru": _Lexicon(
        r"не|нет|без|безо|никогда|никто|никого|ничто|ничего|ни|нигде|никуда|никак\w+|нельзя|нету",
        r"без\w+|бес\w+|бос\w+|гол(?:ый|ая|ые|ым|ой)|пуст\w+|кроме|"
        r"не(?!б|вест|дел|го\b|е|ё|ж|й|кот|м|рв|с[екул]|фт)\w{2,}",
    ),
    "vi": _Lexicon(r"không|chẳng|chưa|đừng|chả", r"trống|trần|thiếu|vô"),
    "sw": _Lexicon(
        r"si|sio|siyo|bila|hapana|hakuna|hana|hawana|haina|hayana|hamna|kamwe|wala",
        r"(?:ha|hu|si)\w{3,}|tupu|uchi",
    ),
}
# In Chinese the characters negate wherever they stand.
_CHINESE = _Lexicon("不|没|沒|无|無|未|别|勿|非", "空|只|独|獨|除")
NEGATION_LANGS = (*_LEXICON, "zh")


def negation_in(text: str, lang: str) -> Negation | None:
    """Tell whether a text negates something; None in a language without a list."""
    text = text.casefold().replace("n't", "n’t")
    if lang == "zh":
        return _found(text, _CHINESE.sure, _CHINESE.maybe)
    if lang not in _LEXICON:
        return None
    sure, maybe = (rf"(?<![\w])(?:{pattern})(?![\w])" for pattern in _LEXICON[lang])
    return _found(text, sure, maybe)


def kept(english: Negation, translated: Negation) -> tuple[float, str]:
    """Compare a sentence with its translation.

    Returns:
        1 where both negate or neither, 0.5 where only the translation does, 0 where only the English does.
    """
    if english == "yes" and translated == "no":
        return 0.0, "negation is dropped"
    if english == "no" and translated == "yes":
        return 0.5, "negation is added"
    return 1.0, ""


def _found(text: str, sure: str, maybe: str) -> Negation:
    if re.search(sure, text):
        return "yes"
    return "maybe" if re.search(maybe, text) else "no"
