"""Languages: ISO 639-1 codes, names in English and in their own script, and what somebody probably meant.

Codes that users type for a language but that mean a country (`cz`, `jp`, `cn`) are the commonest mistake, so they are
listed with what was meant; so are the three-letter codes of other tools. Names follow the Unicode CLDR.
"""

from difflib import get_close_matches
from typing import Literal, NamedTuple

from polyreel.errors import DataError


class Language(NamedTuple):
    """One language: its code, its English name, its own name."""

    code: str
    english_name: str
    own_name: str


_NAMES = """
af Afrikaans|Afrikaans; am Amharic|አማርኛ; ar Arabic|العربية; as Assamese|অসমীয়া; az Azerbaijani|azərbaycan;
be Belarusian|беларуская; bg Bulgarian|български; bn Bangla|বাংলা; bo Tibetan|བོད་སྐད་; br Breton|brezhoneg;
bs Bosnian|bosanski; ca Catalan|català; cs Czech|čeština; cy Welsh|Cymraeg; da Danish|dansk; de German|Deutsch;
el Greek|Ελληνικά; en English|English; eo Esperanto|Esperanto; es Spanish|español; et Estonian|eesti;
eu Basque|euskara; fa Persian|فارسی; ff Fula|Pulaar; fi Finnish|suomi; fo Faroese|føroyskt; fr French|français;
fy Frisian|Frysk; ga Irish|Gaeilge; gd Scottish Gaelic|Gàidhlig; gl Galician|galego; gn Guarani|avañe’ẽ;
gu Gujarati|ગુજરાતી; ha Hausa|Hausa; he Hebrew|עברית; hi Hindi|हिन्दी; hr Croatian|hrvatski;
ht Haitian|kreyòl ayisyen; hu Hungarian|magyar; hy Armenian|հայերեն; id Indonesian|Indonesia; ig Igbo|Igbo;
is Icelandic|íslenska; it Italian|italiano; ja Japanese|日本語; jv Javanese|Jawa; ka Georgian|ქართული;
kk Kazakh|қазақ тілі; km Khmer|ខ្មែរ; kn Kannada|ಕನ್ನಡ; ko Korean|한국어; ku Kurdish|kurdî; ky Kyrgyz|кыргызча;
la Latin|Latina; lb Luxembourgish|Lëtzebuergesch; lg Ganda|Luganda; ln Lingala|lingála; lo Lao|ລາວ;
lt Lithuanian|lietuvių; lv Latvian|latviešu; mg Malagasy|Malagasy; mi Māori|Māori; mk Macedonian|македонски;
ml Malayalam|മലയാളം; mn Mongolian|монгол; mr Marathi|मराठी; ms Malay|Melayu; mt Maltese|Malti;
my Burmese|မြန်မာ; nb Norwegian Bokmål|norsk bokmål; ne Nepali|नेपाली; nl Dutch|Nederlands;
nn Norwegian Nynorsk|norsk nynorsk; no Norwegian|norsk; ny Chichewa|Nyanja; oc Occitan|occitan; om Oromo|Oromoo;
or Odia|ଓଡ଼ିଆ; pa Punjabi|ਪੰਜਾਬੀ; pl Polish|polski; ps Pashto|پښتو; pt Portuguese|português;
qu Quechua|Runasimi; ro Romanian|română; ru Russian|русский; rw Kinyarwanda|Ikinyarwanda;
sa Sanskrit|संस्कृत भाषा; sd Sindhi|سنڌي; se Northern Sami|davvisámegiella; si Sinhala|සිංහල;
sk Slovak|slovenčina; sl Slovenian|slovenščina; sm Samoan|Gagana Samoa; sn Shona|chiShona; so Somali|Soomaali;
sq Albanian|shqip; sr Serbian|српски; ss Swati|siSwati; st Southern Sotho|Sesotho; su Sundanese|Basa Sunda;
sv Swedish|svenska; sw Swahili|Kiswahili; ta Tamil|தமிழ்; te Telugu|తెలుగు; tg Tajik|тоҷикӣ; th Thai|ไทย;
ti Tigrinya|ትግርኛ; tk Turkmen|türkmen dili; tl Tagalog|Tagalog; tn Tswana|Setswana; tr Turkish|Türkçe;
tt Tatar|татар; ug Uyghur|ئۇيغۇرچە; uk Ukrainian|українська; ur Urdu|اردو; uz Uzbek|o‘zbek;
vi Vietnamese|Tiếng Việt; wo Wolof|Wolof; xh Xhosa|IsiXhosa; yi Yiddish|ייִדיש; yo Yoruba|Èdè Yorùbá;
zh Chinese|中文; zu Zulu|isiZulu
"""

LANGUAGES: dict[str, Language] = {
    code: Language(code, *names.split("|"))
    for code, names in (entry.strip().split(" ", 1) for entry in _NAMES.replace("\n", " ").split(";"))
}

_MEANT = {
    "al": "sq", "ba": "bs", "by": "be", "cn": "zh", "cz": "cs", "dk": "da", "ee": "et", "farsi": "fa", "fil": "tl",
    "gb": "en", "ge": "ka", "gr": "el", "in": "hi", "ir": "fa", "iw": "he", "jp": "ja", "kr": "ko", "mandarin": "zh",
    "mo": "ro", "rs": "sr", "sp": "es", "ua": "uk", "us": "en", "vn": "vi",
}  # fmt: skip

# ISO 639-3 and 639-2 codes, which other tools use; guessing them by their spelling would give the wrong language.
_THREE_LETTERS = """
af afr; am amh; ar ara arb; as asm; az aze azj; be bel; bg bul; bn ben; bo bod tib; br bre; bs bos; ca cat;
cs ces cze; cy cym wel; da dan; de deu ger; el ell gre; en eng; eo epo; es spa; et est ekk; eu eus baq;
fa fas per pes; ff ful fuv; fi fin; fo fao; fr fra fre; fy fry; ga gle; gd gla; gl glg; gn grn; gu guj; ha hau;
he heb; hi hin; hr hrv; ht hat; hu hun; hy hye arm; id ind; ig ibo; is isl ice; it ita; ja jpn; jv jav;
ka kat geo; kk kaz; km khm; kn kan; ko kor; ku kur kmr; ky kir; la lat; lb ltz; lg lug; ln lin; lo lao; lt lit;
lv lav lvs; mg mlg plt; mi mri mao; mk mkd mac; ml mal; mn mon khk; mr mar; ms msa may zsm; mt mlt; my mya bur;
nb nob; ne nep npi; nl nld dut; nn nno; no nor; ny nya; oc oci; om orm gaz; or ori ory; pa pan; pl pol; ps pus pbt;
pt por; qu que quy; ro ron rum; ru rus; rw kin; sa san; sd snd; se sme; si sin; sk slk slo; sl slv; sm smo; sn sna;
so som; sq sqi alb als; sr srp; ss ssw; st sot; su sun; sv swe; sw swa swh; ta tam; te tel; tg tgk; th tha;
ti tir; tk tuk; tl tgl; tn tsn; tr tur; tt tat; ug uig; uk ukr; ur urd; uz uzb uzn; vi vie; wo wol; xh xho;
yi yid ydd; yo yor; zh zho chi cmn; zu zul
"""
_BY_THREE_LETTERS = {
    longer: code
    for code, *longer_codes in (entry.split() for entry in _THREE_LETTERS.split(";"))
    for longer in longer_codes
}
_MEANT |= _BY_THREE_LETTERS

_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


def text_direction(code: str) -> Literal["ltr", "rtl"]:
    """Return which way a language is usually written, as HTML's `dir` says it."""
    return "rtl" if code in _RIGHT_TO_LEFT else "ltr"


def tagged_lang(tag: str) -> str | None:
    """Return the language a tag of a file or a track names: two or three letters, perhaps with a region; else None."""
    code = tag.strip().lower().replace("_", "-").split("-")[0]
    return code if code in LANGUAGES else _BY_THREE_LETTERS.get(code)


def longer_codes(code: str) -> tuple[str, ...]:
    """Return the three-letter codes that mean the same language, ISO 639-3 first; none for an unknown code."""
    return tuple(longer for longer, meant in _BY_THREE_LETTERS.items() if meant == code)


def check_lang(code: str, where: str) -> str:
    """Return the code if it names a language.

    Args:
        code: ISO 639-1 code.
        where: what has this language, for the message.

    Raises:
        DataError: it does not; the message suggests the nearest code.
    """
    if code in LANGUAGES:
        return code
    raise DataError(f"{where} {unknown_lang(code)}")


def unknown_lang(code: str) -> str:
    """Say of something whose language is unknown what is wrong, and what was probably meant."""
    meant = suggest_lang(code)
    hint = f"did you mean {meant!r}?" if meant else "see polyreel.languages.LANGUAGES for those known"
    return f"has language {code!r}; expected an ISO 639-1 code; {hint}"


def suggest_lang(code: str) -> str | None:
    """Return the code somebody probably meant: by country, by longer code, by name, by spelling; else None.

    A script or region behind the code (`pt-BR`, `zho_Hans`) is left out of account.
    """
    tidy = code.strip().lower().replace("_", "-")
    for candidate in (tidy, tidy.split("-")[0]):
        if candidate in LANGUAGES:
            return candidate
        if candidate in _MEANT:
            return _MEANT[candidate]
    names = {name.lower(): language.code for language in LANGUAGES.values() for name in language[1:]}
    if tidy in names:
        return names[tidy]
    near = get_close_matches(tidy, names, n=1, cutoff=0.75) if len(tidy) > 3 else []
    return names[near[0]] if near else next(iter(get_close_matches(tidy, LANGUAGES, n=1, cutoff=0.6)), None)
