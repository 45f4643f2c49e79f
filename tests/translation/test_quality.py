"""Marks, score and reasons of translated captions."""

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.translation.encoder import likeness, open_sentence_encoder
from polyreel.translation.language_id import language_probabilities
from polyreel.translation.quality import assess
from polyreel.translation.quality_settings import CHECKS, QualitySettings

THINGS = ["Hund", "Baum", "Ball", "Stuhl", "Tisch", "Vogel", "Fisch", "Apfel"]
ENGLISH = ["dog", "tree", "ball", "chair", "table", "bird", "fish", "apple"]
COLOURS = [("red", "roter"), ("green", "grüner"), ("blue", "blauer"), ("old", "alter"), ("big", "großer")]


@pytest.fixture
def pairs():
    """Forty good pairs."""
    english = [f"a {colour} {thing} in the garden" for thing in ENGLISH for colour, _ in COLOURS]
    texts = [f"ein {colour} {thing} in dem Garten" for thing in THINGS for _, colour in COLOURS]
    return english, texts


def judge(english, texts, lang="de", **settings):
    return assess(english, texts, [lang] * len(texts), QualitySettings(least_pairs=20, **settings))


def test_good_pairs_have_no_reason(pairs):
    quality = judge(*pairs)
    assert (quality.score_N > 0.7).all()
    assert quality.reasons == [()] * len(pairs[0])
    assert set(quality.marks) == set(CHECKS) - {"likeness", "round_trip"}


@pytest.mark.parametrize(
    ("check", "text", "reason"),
    [
        ("language", "il y a un grand chien rouge dans le jardin", "reads like French"),
        ("length", "Hund", "shorter than usual: 0."),
        ("length", "ein roter Hund in dem Garten " * 3, "longer than usual: 3"),
        ("repetition", "ein roter roter roter roter Hund", "says 'roter' 4 times in a row"),
        ("copied", "a red dog in the Garten", "83% of its words are the English ones"),
        ("untranslated", "ein red dog in the garden", "left in English: 'red dog in the garden'"),
        ("numbers", "drei rote Hunde in dem Garten", "3 is added"),
        ("negation", "kein roter Hund in dem Garten", "negation is added"),
    ],
)
def test_a_fault_is_seen_by_the_check_meant_for_it(pairs, check, text, reason):
    english, texts = pairs
    quality = judge(english, [text, *texts[1:]], langs=("en", "de", "fr"))
    assert quality.marks[check][0] <= 0.5
    assert any(word.startswith(reason) for word in quality.reasons[0])
    assert quality.score_N[0] <= 0.5
    assert (quality.score_N[1:] > 0.7).all()


def test_the_score_is_the_product_of_the_marks(pairs):
    english, texts = pairs
    quality = judge(english, ["drei rote Hunde, kein Hund Hund Hund", *texts[1:]])
    np.testing.assert_allclose(quality.score_N, np.prod([*quality.marks.values()], axis=0))


def test_reasons_come_the_worst_first(pairs):
    english, texts = pairs
    reasons = judge(english, ["kein roter roter roter roter roter Hund", *texts[1:]], without=("length",)).reasons[0]
    assert reasons[0] == "says 'roter' 5 times in a row"
    assert "negation is added" in reasons


def test_a_check_that_cannot_judge_says_nothing(pairs):
    english, texts = pairs
    quality = assess(english[:5], texts[:5], ["de"] * 5)
    assert np.isnan(quality.marks["length"]).all()
    assert (quality.score_N > 0.7).all()
    assert np.isnan(assess(["two men"], ["2 manna"], ["so"]).marks["negation"]).all()


def test_checks_can_be_left_out(pairs):
    quality = judge(*pairs, without=("length", "language"))
    assert not {"length", "language"} & set(quality.marks)


def test_no_captions_are_no_trouble():
    quality = assess([], [], [])
    assert quality.score_N.shape == (0,)
    assert quality.reasons == []


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 English sentences, 1 texts and 1 languages"):
        assess(["a", "b"], ["a"], ["de"])


def test_a_round_trip_is_held_against_the_english(pairs):
    pytest.importorskip("sacrebleu", reason="needs sacrebleu, of the extra mt")
    english, texts = pairs
    back = {text: sentence for text, sentence in zip(texts, english, strict=True)} | {texts[0]: "nothing of the kind"}
    asked, is_mute = [], False

    def back_translate(some, lang):
        asked.append(lang)
        return [None, *(back[text] for text in some[1:])] if is_mute else [back[text] for text in some]

    quality = assess(english, texts, ["de"] * len(texts), back_translate=back_translate)
    assert asked == ["de"]
    assert quality.measured["round_trip"][1] == pytest.approx(100)
    assert quality.marks["round_trip"][0] < 0.5
    assert quality.reasons[0][0].startswith("comes back as 'nothing of the kind' (chrF ")
    is_mute = True
    assert np.isnan(assess(english, texts, ["de"] * len(texts), back_translate=back_translate).marks["round_trip"][0])


def likeness_by_hand(english, texts):
    count = len(english)
    pairs = [float(english[i] @ texts[i]) for i in range(count)]
    strangers = [float(english[i] @ texts[(i - count // 2) % count]) for i in range(count)]
    usual, strange = np.median(pairs), np.median(strangers)
    return [(cosine - strange) / (usual - strange) for cosine in pairs]


def test_likeness_is_on_the_scale_of_the_set():
    draw = np.random.default_rng(0)
    english = draw.normal(size=(31, 8))
    texts = english + 0.3 * draw.normal(size=(31, 8))
    texts[3] = draw.normal(size=8)
    unit = [(part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float32) for part in (english, texts)]
    found = likeness(*unit, least_separation=0.1)
    np.testing.assert_allclose(found, likeness_by_hand(*unit), rtol=1e-5)
    assert found[3] == found.min()
    assert np.median(found) == pytest.approx(1)


def test_an_encoder_that_cannot_tell_pairs_from_strangers_is_not_asked():
    same = np.ones((10, 4), np.float32) / 2
    assert np.isnan(likeness(same, same, least_separation=0.1)).all()


def test_an_encoder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"the sentence encoder '.*nothing' cannot be opened"):
        open_sentence_encoder(str(tmp_path / "nothing"))


def test_a_real_encoder_finds_the_stranger(shared, pairs):
    english, texts = pairs
    embed = open_sentence_encoder(str(shared / "models" / "static_multilingual"))
    vectors = embed(["a dog", "ein Hund", "a dog"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-3)
    assert (vectors[0] == vectors[2]).all()
    texts = ["das Flugzeug ist gelandet", *texts[1:]]
    quality = assess(english, texts, ["de"] * len(texts), QualitySettings(least_pairs=20), embed=embed)
    assert any(reason.startswith("means something else: likeness") for reason in quality.reasons[0])


def test_languages_are_told_apart_among_the_candidates():
    texts = ["ein Mann mit einem Hund", "un homme avec un chien", "?"]
    probabilities, likeliest = language_probabilities(texts, ["de", "de", "xx"], ("en", "fr"))
    assert probabilities[0] > 0.9 > 0.1 > probabilities[1]
    assert likeliest[:2] == ["de", "fr"]
    assert np.isnan(probabilities[2])


def test_settings_are_read_from_toml(tmp_path):
    file = tmp_path / "quality.toml"
    file.write_text('copied = [0.9, 0.5]\nwithout = ["length"]\n')
    settings = QualitySettings.read(file)
    assert settings.ramp("copied") == (0.9, 0.5)
    np.testing.assert_allclose(
        settings.mark("copied", np.array([1.0, 0.9, 0.7, 0.5, 0.1, np.nan])), [0, 0, 0.5, 1, 1, np.nan]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("copid = [1.0, 0.5]", "unknown key 'copid'; did you mean 'copied'"),
        ("length = [2.0, 2.0]", r"length: the ramp is \[2.0, 2.0\]; expected two different numbers"),
        ('without = ["sense"]', "'without.0' is 'sense'"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    file = tmp_path / "quality.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        QualitySettings.read(file)
