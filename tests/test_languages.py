"""Codes, names, and what somebody probably meant."""

import pytest

from polyreel.errors import DataError
from polyreel.languages import _MEANT, LANGUAGES, check_lang, suggest_lang


def test_names_are_in_their_own_script():
    assert LANGUAGES["cs"] == ("cs", "Czech", "čeština")
    assert LANGUAGES["zh"].own_name == "中文"


def test_every_language_of_the_drawn_world_is_known():
    assert {"en", "de", "fr", "cs", "zh", "ru", "vi", "sw", "es"} <= set(LANGUAGES)


def test_what_was_meant_is_always_a_language_and_never_another_code():
    assert set(_MEANT.values()) <= set(LANGUAGES)
    assert not set(_MEANT) & set(LANGUAGES)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cz", "cs"), ("jp", "ja"), ("cn", "zh"),
        ("spa", "es"), ("swe", "sv"), ("ces", "cs"), ("por_Latn", "pt"), ("zho_Hans", "zh"),
        ("pt-BR", "pt"), ("en_US", "en"), (" EN ", "en"),
        ("german", "de"), ("Deutsh", "de"), ("中文", "zh"), ("Tiếng Việt", "vi"), ("farsi", "fa"),
        ("qq", None), ("klingon", None),
    ],
)  # fmt: skip
def test_suggestions(typed, meant):
    assert suggest_lang(typed) == meant


def test_a_known_code_is_returned():
    assert check_lang("sw", "anything") == "sw"


def test_an_unknown_code_is_refused_with_the_nearest():
    with pytest.raises(
        DataError, match=r"caption 'v#3' has language 'cz'; expected an ISO 639-1 code; did you mean 'cs'"
    ):
        check_lang("cz", "caption 'v#3'")


def test_an_unknown_code_without_a_neighbour_points_to_the_list():
    with pytest.raises(DataError, match=r"see polyreel.languages.LANGUAGES"):
        check_lang("qq", "here")
