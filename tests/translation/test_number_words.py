"""Numbers in digits and words, and whether a translation keeps them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyreel.translation.number_words import NUMBER_LANGS, kept, numbers_in


@pytest.mark.parametrize(
    ("lang", "text", "sure"),
    [
        ("en", "two men and twenty-two dogs", {2: 1, 22: 1}),
        ("en", "1,000 people run 2.5 miles", {1000: 1, 2.5: 1}),
        ("en", "two hundred and five", {205: 1}),
        ("en", "two, three or four", {2: 1, 3: 1, 4: 1}),
        ("de", "zweiundzwanzig Hunde, zwei Männer, 1.000 Leute", {22: 1, 2: 1, 1000: 1}),
        ("fr", "quatre-vingt-dix-sept et deux cent vingt et un", {97: 1, 221: 1}),
        ("fr", "soixante-douze", {72: 1}),
        ("cs", "se dvěma psy a třemi dětmi", {2: 1, 3: 1}),
        ("it", "ventidue e trentotto", {22: 1, 38: 1}),
        ("es", "treinta y dos", {32: 1}),
        ("ru", "двадцать два", {22: 1}),
        ("zh", "三十二个人和两只狗，一个三明治", {32: 1, 2: 1}),
        ("vi", "hai mươi lăm", {25: 1}),
        ("sw", "watu kumi na wawili", {12: 1}),
        ("xx", "3 zwei", {3: 1}),
    ],
)
def test_numbers_are_read(lang, text, sure):
    assert dict(numbers_in(text, lang).sure) == sure


@pytest.mark.parametrize(
    ("english", "lang", "text", "value", "reason"),
    [
        ("two men", "de", "zwei Männer", 1.0, ""),
        ("two men", "de", "drei Männer", 0.0, "2 became 3"),
        ("two men", "de", "Männer", 0.5, "2 is lost"),
        ("men", "cs", "tři muži", 0.5, "3 is added"),
        ("two men", "cs", "oba muži", 1.0, ""),
        ("both men", "it", "due uomini", 1.0, ""),
        ("a couple of men", "fr", "deux hommes", 1.0, ""),
        ("a two-story house", "de", "ein zweistöckiges Haus", 1.0, ""),
        ("two men and two women", "de", "zwei Männer und Frauen", 1.0, ""),
        ("one man", "de", "ein Mann", 1.0, ""),
        ("a man in a new coat", "fr", "un homme dans un manteau neuf", 1.0, ""),
        ("9 dogs", "fr", "neuf chiens", 1.0, ""),
        ("4 people", "es", "5 personas", 0.0, "4 became 5"),
    ],
)
def test_kept_lost_added_changed(english, lang, text, value, reason):
    assert kept(numbers_in(english, "en"), numbers_in(text, lang)) == (value, reason)


@pytest.mark.parametrize("lang", NUMBER_LANGS)
def test_every_list_has_the_common_numbers(lang):
    from polyreel.translation.number_words import _lexicon

    _, sure, possible = _lexicon(lang)
    assert set(range(1, 11)) | {100, 1000} <= {*sure.values(), *possible.values()}
    assert {word: number for word, number in sure.items() if possible.get(word, number) != number} == {}


@given(
    text=st.text(max_size=30) | st.from_regex(r"\A[0-9., \u00a0\u202f-]{0,12}\Z"),
    lang=st.sampled_from([*NUMBER_LANGS, "xx"]),
)
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_odd(text, lang):
    found = numbers_in(text, lang)
    assert kept(found, found)[0] == 1.0
    assert all(count > 0 for count in found.sure.values())
