"""Numbers in a caption: digits in any language, words in those listed here.

Words that mostly mean a number are sure. Words that may stand for one (*both*, *Paar*, *couple*; French *neuf*, which
is also *new*; every word for 1, since articles look like it) only excuse: they can make up for a number that the other
side has, and never count as a number of their own. So do words that begin with a number, such as *zweistöckig*.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

# By language: number and its words; behind the bar, what may stand for it.
_WORDS = {
    "en": "1|one; 2 two|both couple pair twin twins duo double; 3 three|trio triple; 4 four|quartet; 5 five; 6 six; "
    "7 seven; 8 eight; 9 nine; 10 ten; 11 eleven; 12 twelve|dozen; 13 thirteen; 14 fourteen; 15 fifteen; 16 sixteen; "
    "17 seventeen; 18 eighteen; 19 nineteen; 20 twenty; 30 thirty; 40 forty; 50 fifty; 60 sixty; 70 seventy; "
    "80 eighty; 90 ninety; 100 hundred|hundreds; 1000 thousand|thousands",
    "de": "1|eins ein eine einen einem einer eines; 2 zwei zweier zweien zwo|beide beiden beider beides paar pärchen "
    "zweit doppel; 3 drei dreier dreien|dritt trio; 4 vier vieren|viert; 5 fünf fünfen; 6 sechs; 7 sieben; 8 acht; "
    "9 neun; 10 zehn; 11 elf; 12 zwölf|dutzend; 13 dreizehn; 14 vierzehn; 15 fünfzehn; 16 sechzehn; 17 siebzehn; "
    "18 achtzehn; 19 neunzehn; 20 zwanzig; 30 dreißig dreissig; 40 vierzig; 50 fünfzig; 60 sechzig; 70 siebzig; "
    "80 achtzig; 90 neunzig; 100 hundert einhundert|hunderte; 1000 tausend eintausend|tausende",
    "fr": "1|un une; 2 deux|couple paire duo double; 3 trois|trio triple; 4 quatre|quatuor; 5 cinq; 6 six; 7 sept; "
    "8 huit; 9|neuf; 10 dix|dizaine; 11 onze; 12 douze|douzaine; 13 treize; 14 quatorze; 15 quinze; 16 seize; "
    "17 dix-sept; 18 dix-huit; 19 dix-neuf; 20 vingt; 30 trente; 40 quarante; 50 cinquante; 60 soixante; "
    "70 soixante-dix septante; 80 quatre-vingt quatre-vingts huitante; 90 quatre-vingt-dix nonante; "
    "100 cent cents|centaine centaines; 1000 mille|millier milliers",
    "cs": "1|jeden jedna jedno jednoho jedné jednu jedním; 2 dva dvě dvou dvěma|oba obě obou oběma dvojice dvojici "
    "dvojicí pár páru párem páry dvoje dvojí dvojčata; 3 tři tří třem třemi třech|trojice trojici trojicí troje; "
    "4 čtyři čtyř čtyřem čtyřmi čtyřech|čtveřice čtveřici čtveřicí čtvero; 5 pět pěti|pětice pětici; 6 šest šesti; "
    "7 sedm sedmi; 8 osm osmi; 9 devět devíti; 10 deset deseti; 11 jedenáct jedenácti; 12 dvanáct dvanácti|tucet; "
    "13 třináct třinácti; 14 čtrnáct čtrnácti; 15 patnáct patnácti; 16 šestnáct šestnácti; 17 sedmnáct sedmnácti; "
    "18 osmnáct osmnácti; 19 devatenáct devatenácti; 20 dvacet dvaceti; 30 třicet třiceti; 40 čtyřicet čtyřiceti; "
    "50 padesát padesáti; 60 šedesát šedesáti; 70 sedmdesát sedmdesáti; 80 osmdesát osmdesáti; "
    "90 devadesát devadesáti; 100 sto|stovky; 1000 tisíc tisíce|tisíců",
    "it": "1|uno una un; 2 due|coppia coppie paio entrambi entrambe duo doppio doppia; 3 tre|trio; 4 quattro; "
    "5 cinque; 6|sei; 7 sette; 8 otto; 9 nove; 10 dieci|decina; 11 undici; 12 dodici|dozzina; 13 tredici; "
    "14 quattordici; 15 quindici; 16 sedici; 17 diciassette; 18 diciotto; 19 diciannove; 20 venti; 30 trenta; "
    "40 quaranta; 50 cinquanta; 60 sessanta; 70 settanta; 80 ottanta; 90 novanta; 100 cento|centinaia; "
    "1000 mille mila|migliaia",
    "es": "1|uno una un; 2 dos|par pareja parejas ambos ambas dúo doble; 3 tres|trío; 4 cuatro; 5 cinco; 6 seis; "
    "7 siete; 8 ocho; 9 nueve; 10 diez|decena; 11 once; 12 doce|docena; 13 trece; 14 catorce; 15 quince; "
    "16 dieciséis; 17 diecisiete; 18 dieciocho; 19 diecinueve; 20 veinte; 21 veintiuno veintiún veintiuna; "
    "22 veintidós; 23 veintitrés; 24 veinticuatro; 25 veinticinco; 26 veintiséis; 27 veintisiete; 28 veintiocho; "
    "29 veintinueve; 30 treinta; 40 cuarenta; 50 cincuenta; 60 sesenta; 70 setenta; 80 ochenta; 90 noventa; "
    "100 cien ciento cientos; 1000 mil|miles",
    "ru": "1|один одна одно одного одной одну; 2 два две двух двум двумя|оба обе обоих обоим пара пары пару парой "
    "двое двоих двойной; 3 три трёх трех трём трем тремя|трое троих тройка; 4 четыре четырёх четырех четырём "
    "четырем четырьмя|четверо четверых; 5 пять пяти пятью|пятеро; 6 шесть шести; 7 семь семи; 8 восемь восьми; "
    "9 девять девяти; 10 десять десяти; 11 одиннадцать; 12 двенадцать двенадцати|дюжина; 13 тринадцать; "
    "14 четырнадцать; 15 пятнадцать; 16 шестнадцать; 17 семнадцать; 18 восемнадцать; 19 девятнадцать; "
    "20 двадцать двадцати; 30 тридцать; 40 сорок; 50 пятьдесят; 60 шестьдесят; 70 семьдесят; 80 восемьдесят; "
    "90 девяносто; 100 сто|сотни; 1000 тысяча тысячи",
    "vi": "1|một; 2 hai|đôi cặp; 3 ba; 4 bốn; 5|năm lăm; 6 sáu; 7 bảy; 8 tám; 9|chín; 10 mười mươi; 100 trăm; "
    "1000 nghìn ngàn",
    "sw": "1|moja mmoja; 2 mbili wawili viwili mawili miwili|jozi wote; 3 tatu watatu vitatu matatu mitatu; "
    "4 nne wanne vinne manne minne; 5 tano watano vitano matano mitano; 6 sita; 7 saba; 8 nane wanane vinane manane; "
    "9 tisa; 10 kumi; 20 ishirini; 30 thelathini; 40 arobaini; 50 hamsini; 60 sitini; 70 sabini; 80 themanini; "
    "90 tisini; 100 mia; 1000 elfu",
    "zh": "1|一; 2 二 两 兩|双 雙 对 對 俩; 3 三|仨; 4 四; 5 五; 6 六; 7 七; 8 八; 9 九; 10 十|打; 100 百; 1000 千",
}  # fmt: skip
_JOINTS = {"en": "and", "fr": "et", "es": "y", "it": "e", "cs": "a", "sw": "na"}
_BEGINS_WORDS = {"de", "cs", "ru", "it"}
_NOT_NUMBERS = {"zh": re.compile("三明治|十字|三角|四周|四处|五彩|百货|千万别|一些|七彩")}
_DIGITS = re.compile(r"\d+(?:[.,\u00a0\u202f ]\d{3}(?!\d))*(?:[.,]\d+)?")
NUMBER_LANGS = tuple(_WORDS)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numbers of a text.

    Attributes:
        sure: how often each stands there.
        possible: those that a word may stand for.
    """

    sure: Mapping[float, int]
    possible: frozenset[float]


def numbers_in(text: str, lang: str) -> Numbers:
    """Find the numbers of a text; in a language without a list, those in digits."""
    text = text.casefold()
    sure: Counter[float] = Counter(_value(digits) for digits in _DIGITS.findall(text))
    if lang not in _WORDS:
        return Numbers(sure=sure, possible=frozenset())
    if lang in _NOT_NUMBERS:
        text = _NOT_NUMBERS[lang].sub("·", text)
    pattern, sure_words, possible_words = _lexicon(lang)
    possible: set[float] = set()
    run: list[int] = []
    end, joint = 0, re.compile(rf"[\s-]*(?:{_JOINTS.get(lang, '-')}\s)?[\s-]*")
    for found in pattern.finditer(text):
        word = found["word"]
        if run and not joint.fullmatch(text, end, found.start("word")):
            sure.update(_combine(run))
            run = []
        if found["rest"]:
            possible.add(possible_words.get(word, sure_words.get(word, 0)))
        elif word in sure_words or (run and run[-1] % 10 == 0 and possible_words[word] < 10):
            run.append(sure_words.get(word) or possible_words[word])
            end = found.end("word")
        else:
            possible.add(possible_words[word])
    sure.update(_combine(run))
    return Numbers(sure=sure, possible=frozenset(possible - {0}))


def kept(english: Numbers, translated: Numbers) -> tuple[float, str]:
    """Compare the numbers of a sentence and its translation.

    Returns:
        1 where all are kept, 0.5 where one is lost or added, 0 where one became another, with a reason in words.
    """
    lost = {number: count for number, count in english.sure.items() if number not in translated.possible}
    missing = [number for number, count in lost.items() if count > translated.sure.get(number, 0)]
    added = [
        number
        for number, count in translated.sure.items()
        if count > english.sure.get(number, 0) and number not in english.possible
    ]
    if missing and added:
        return 0.0, f"{_said(missing[0])} became {_said(added[0])}"
    if gone := [number for number in missing if number not in translated.sure]:
        return 0.5, f"{_said(gone[0])} is lost"
    if new := [number for number in added if number not in english.sure]:
        return 0.5, f"{_said(new[0])} is added"
    return 1.0, ""


@cache
def _lexicon(lang: str) -> tuple[re.Pattern[str], dict[str, int], dict[str, int]]:
    """Return a pattern of a language's number words, longest first, and what they mean, surely or possibly."""
    sure: dict[str, int] = {}
    possible: dict[str, int] = {}
    for entry in _WORDS[lang].split(";"):
        sure_part, _, possible_part = entry.partition("|")
        number, *words = sure_part.split()
        sure |= dict.fromkeys(words, int(number))
        possible |= dict.fromkeys(possible_part.split(), int(number))
    sure |= _compounds(lang, sure, possible)
    words = sorted({*sure, *possible}, key=len, reverse=True)
    alternatives = "|".join(map(re.escape, words))
    if lang == "zh":
        return re.compile(rf"(?P<word>{alternatives})(?P<rest>)"), sure, possible
    rest = r"(?P<rest>[^\W\d_]*)" if lang in _BEGINS_WORDS else r"(?P<rest>)\b"
    return re.compile(rf"(?<![^\W_])(?P<word>{alternatives}){rest}"), sure, possible


def _compounds(lang: str, sure: Mapping[str, int], possible: Mapping[str, int]) -> dict[str, int]:
    """Write out 21 to 99 where they are one word: German puts the unit first, Italian drops the ten's last vowel."""
    tens = {word: number for word, number in sure.items() if 20 <= number < 100}
    units = {word: number for word, number in {**sure, **possible}.items() if number < 10}
    if lang == "de":
        return {f"{unit}und{ten}": tens[ten] + units[unit] for ten in tens for unit in units}
    if lang == "it":
        return {
            f"{ten[:-1] if unit[0] in 'uo' else ten}{unit}": tens[ten] + units[unit] for ten in tens for unit in units
        }
    return {}


def _combine(run: list[int]) -> list[int]:
    """Make numbers of number words that stand together: twenty two is 22, two hundred is 200, two three are two."""
    found: list[int] = []
    for value in run:
        last = found[-1] if found else 0
        if last and value in (100, 1000) and last < value:
            found[-1] = last * value
        elif last and (_fits_behind(last, value) or (value == 10 and 1 < last < 10)):
            found[-1] = last * 10 if value == 10 and last < 10 else last + value
        else:
            found.append(value)
    return found


def _fits_behind(last: int, value: int) -> bool:
    is_after_ten = last % 10 == 0 and last >= 10 and value < 10
    is_after_hundred = last % 100 == 0 and value < 100
    return is_after_ten or is_after_hundred or (last % 100 in (60, 80) and value < 20)


def _value(digits: str) -> float:
    whole = re.sub(r"[.,\u00a0\u202f ](?=\d{3}(?!\d))", "", digits)
    return float(whole.replace(",", ".").replace("\u00a0", "").replace(" ", ""))


def _said(number: float) -> str:
    return f"{number:g}"
