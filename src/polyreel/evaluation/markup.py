"""Writing HTML by hand, safely: attributes are always escaped, and words become content only through `words`."""

from html import escape

from polyreel.languages import LANGUAGES, text_direction


def tag(name: str, /, *content: str, **attributes: str | float | None) -> str:
    """Return one element.

    Args:
        name: of the element.
        content: HTML; plain words go through `words` first.
        attributes: escaped here; None leaves one out; `class_` means class, other underscores become hyphens.
    """
    written = "".join(
        f' {"class" if key == "class_" else key.replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>" + ("" if name in ("img", "input", "meta") else f"{''.join(content)}</{name}>")


def words(text: str) -> str:
    """Return plain words as HTML content."""
    return escape(text, quote=False)


def in_lang(name: str, text: str, lang: str, class_: str | None = None) -> str:
    """Return an element that holds words of one language, and says which and how it is written."""
    return tag(name, words(text), lang=lang, dir=text_direction(lang), class_=class_)


def lang_label(lang: str) -> str:
    """Return a language's own name with its English name behind it."""
    language = LANGUAGES[lang]
    own = in_lang("b", language.own_name, lang)
    same = language.own_name == language.english_name
    return own if same else own + " " + tag("span", words(language.english_name), class_="soft")


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
