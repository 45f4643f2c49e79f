import pytest

from polyreel.web.guess import LanguageGuess


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("ein Vogel fliegt über das Meer", "de"),
        ("two people in the snow", "en"),
        ("雪地里的两个人", "zh"),
        ("blue", None),
    ],
)
def test_a_query_is_told_apart_among_the_models_languages(text, lang):
    assert LanguageGuess(["en", "de", "zh", "fr"]).of(text) == lang


def test_only_the_models_languages_are_guessed():
    assert LanguageGuess(["en", "es"]).of("ein Vogel fliegt über das Meer") in ("en", "es")
    assert LanguageGuess(["sw"]).of("ein Vogel") == "sw"


def test_languages_that_cannot_be_told_apart_give_no_guess():
    assert LanguageGuess(["ti"]).of("a bird") is None
    assert LanguageGuess([]).of("a bird") is None
