"""Substitute captions, by hand: who lends to whom, and that nothing else changes."""

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.substitutes import with_substitutes

HAVE = {"all": ["en", "hi", "mr"], "no-english": ["mr", "hi"], "english": ["en"], "none": [], "other": ["ta"]}


def dataset():
    clips = [Clip(clip_id=name, video=name, split="train", source=name) for name in HAVE]
    captions = [
        Caption(caption_id=f"{name}#{sentence}", clip_id=name, lang=lang, text=f"{name} {lang} {sentence}")
        for name, langs in HAVE.items()
        for lang in langs
        for sentence in range(2)
    ]
    return Dataset.build("few", clips, captions)


def texts(data, clip_id, lang):
    return [one.text for one in data.iter_captions() if (one.clip_id, one.lang) == (clip_id, lang)]


def test_english_is_lent_by_the_first_other_language_and_the_rest_by_the_last():
    filled = with_substitutes(dataset(), ["en", "hi", "mr"])
    assert texts(filled, "no-english", "en") == ["no-english mr 0", "no-english mr 1"]
    assert texts(filled, "english", "hi") == texts(filled, "english", "mr") == ["english en 0", "english en 1"]


def test_what_is_there_stays_and_languages_not_named_lend_nothing():
    before, filled = dataset(), with_substitutes(dataset(), ["en", "hi", "mr"])
    assert list(filled.iter_captions())[: before.captions.num_rows] == list(before.iter_captions())
    assert texts(filled, "all", "hi") == ["all hi 0", "all hi 1"]
    assert texts(filled, "other", "en") == texts(filled, "none", "en") == []
    assert filled.fingerprint != before.fingerprint


def test_substitutes_keep_their_caption_ids():
    filled = with_substitutes(dataset(), ["en", "hi", "mr"])
    assert "no-english#1" in filled.split("train").parallel(["en", "hi", "mr"])
