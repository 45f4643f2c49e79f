"""Tiny models of every architecture: languages told, sentences translated, converted models that say the same."""

from pathlib import Path

import pytest
from tiny_models import SAVERS, save_marian, write_json

from polyreel.errors import DataError
from polyreel.translation.opening import open_translator
from polyreel.translation.seq2seq import marked
from polyreel.translation.translator import Sentence, TranslationSettings

SENTENCES = [
    Sentence(caption_id="a", text="a dog runs on the beach"),
    Sentence(caption_id="b", text="two people cook"),
    Sentence(caption_id="c", text="ein Hund"),
]
GREEDY = TranslationSettings(beams=1, max_tokens=12, ctranslate2={"compute_type": "float32"})
MANY_TARGETS = ["nllb", "m2m", "mbart", "madlad", "opus"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    saved = {name: save(place / name) for name, save in SAVERS.items()}
    return saved | {"opus": save_marian(place / "opus", (">>deu<<", ">>fra<<", ">>swh<<"))}


@pytest.fixture(scope="module")
def converted(folders, tmp_path_factory) -> dict[str, Path]:
    pytest.importorskip("ctranslate2", reason="needs the extra 'mt'")
    from polyreel.translation.converted import convert_model

    place = tmp_path_factory.mktemp("converted")
    return {name: convert_model(str(folders[name]), place / name, "float32") for name in folders if name != "m2m"}


def texts(translator, lang="de", sentences=SENTENCES):
    return translator(sentences, "en", lang).texts


@pytest.mark.parametrize("name", [*SAVERS, "opus"])
def test_every_architecture_translates(folders, name):
    translator = open_translator(str(folders[name]), GREEDY)
    translator.check("en", "de")
    said = translator(SENTENCES, "en", "de")
    assert len(said.texts) == 3
    assert said.tokens_read > 0 and said.tokens_written > 0
    assert "_" not in "".join(said.texts) and "<" not in "".join(said.texts)  # no marks in the texts
    assert said == translator(SENTENCES, "en", "de")
    assert translator.settings == {"beams": 1, "max_tokens": 12}
    assert len(translator.revision) == 24


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("nllb", "ein Hund", "swh_Latn"), ("m2m", "ein Hund", "__sw__"), ("mbart", "ein Hund", "sw_KE"),
        ("madlad", "<2sw> ein Hund", None), ("opus", ">>swh<< ein Hund", None),
    ],
)  # fmt: skip
def test_the_target_language_is_told(folders, name, text, first):
    translator = open_translator(str(folders[name]), GREEDY)
    assert marked(translator._tokenizer, translator.marks, name, SENTENCES[2:], "de", "sw") == ([text], first)


@pytest.mark.parametrize(("name", "mark"), [("nllb", "deu_Latn"), ("m2m", "__de__"), ("mbart", "de_DE")])
def test_the_source_language_is_told(folders, name, mark):
    translator = open_translator(str(folders[name]), GREEDY)
    translator(SENTENCES, "de", "fr")
    tokenizer = translator._tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer("x")["input_ids"])[0] == mark


@pytest.mark.parametrize("name", MANY_TARGETS)
def test_an_unknown_language_is_refused(folders, name):
    with pytest.raises(DataError, match=f"model '{name}' does not know the language 'la'; it knows .*de"):
        open_translator(str(folders[name]), GREEDY).check("en", "la")


def test_a_batch_says_what_its_sentences_say_alone(folders):
    translator = open_translator(str(folders["nllb"]), GREEDY)
    assert texts(translator) == tuple(texts(translator, sentences=[sentence])[0] for sentence in SENTENCES)


def test_beams_are_a_setting(folders):
    wide = open_translator(str(folders["madlad"]), GREEDY.model_copy(update={"beams": 4}))
    assert wide.settings["beams"] == 4
    assert len(texts(wide)) == 3


@pytest.mark.parametrize("name", ["marian", "nllb", "mbart", "madlad", "opus"])
def test_a_converted_model_says_the_same(folders, converted, name):
    given = open_translator(str(folders[name]), GREEDY)
    ours = open_translator(f"ctranslate2:{converted[name]}", GREEDY)
    ours.check("en", "de")
    for lang in ("de", "fr"):
        assert texts(ours, lang) == texts(given, lang)
    assert ours.settings["compute_type"] == "float32"


def test_a_converted_folder_is_known_without_a_word(converted):
    assert "compute_type" in open_translator(str(converted["marian"]), GREEDY).settings


def test_weights_of_eight_bits(folders, tmp_path):
    pytest.importorskip("ctranslate2", reason="needs the extra 'mt'")
    from polyreel.translation.converted import convert_model

    folder = convert_model(str(folders["marian"]), tmp_path / "int8")
    assert len(texts(open_translator(str(folder), TranslationSettings(max_tokens=12)))) == 3
    with pytest.raises(DataError, match=r"model 'int8' fails \(No position.*is max_tokens too many for it"):
        texts(open_translator(str(folder), TranslationSettings(max_tokens=500)))
    with pytest.raises(DataError, match="int8 exists; name another folder"):
        convert_model(str(folders["marian"]), folder)


def test_a_converted_opus_model_needs_no_transformers_tokenizer(converted, folders):
    spare = [converted["marian"] / name for name in ("tokenizer_config.json", "vocab.json", "special_tokens_map.json")]
    expected = texts(open_translator(str(converted["marian"]), GREEDY))
    contents = {file: file.read_bytes() for file in spare if file.is_file()}
    for file in contents:
        file.unlink()
    try:
        bare = open_translator(str(converted["marian"]), GREEDY)
        bare.check("en", "de")
        assert texts(bare) == expected
        (converted["marian"] / "source.spm").rename(converted["marian"] / "kept")
        with pytest.raises(DataError, match=r"marian has no tokenizer: neither tokenizer_config.json nor source.spm"):
            open_translator(str(converted["marian"]), GREEDY)
        named = GREEDY.model_copy(
            update={"ctranslate2": GREEDY.ctranslate2.model_copy(update={"tokenizer": str(folders["marian"])})}
        )
        assert texts(open_translator(str(converted["marian"]), named)) == expected
    finally:
        if (converted["marian"] / "kept").exists():
            (converted["marian"] / "kept").rename(converted["marian"] / "source.spm")
        for file, content in contents.items():
            file.write_bytes(content)


def test_m2m_100_is_not_converted(folders, tmp_path):
    pytest.importorskip("ctranslate2", reason="needs the extra 'mt'")
    from polyreel.translation.converted import convert_model

    with pytest.raises(
        DataError, match=r"is of M2M-100, whose languages CTranslate2 .* cannot read under transformers 5"
    ):
        convert_model(str(folders["m2m"]), tmp_path / "m2m")


def test_a_model_of_one_pair_keeps_to_it(tmp_path):
    translator = open_translator(str(save_marian(tmp_path / "opus-mt-en-de")))
    translator.check("en", "de")
    with pytest.raises(DataError, match=r"translates 'en' to 'de'; asked is 'en' to 'fr'; .* 'opus-mt-en-\{lang\}'"):
        translator.check("en", "fr")


def test_what_is_no_translation_model_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nothing' is no translation model that can be read"):
        open_translator(str(tmp_path / "nothing"))
    plain = SAVERS["madlad"](tmp_path / "plain")
    write_json(plain / "tokenizer_config.json", {"tokenizer_class": "MarianTokenizer"})
    with pytest.raises(DataError, match=r"plain' is no translation model that can be read"):
        open_translator(str(plain))


def test_what_is_no_converted_model_is_refused(tmp_path):
    pytest.importorskip("ctranslate2", reason="needs the extra 'mt'")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(DataError, match=r"is no translation model that CTranslate2 .* opens"):
        open_translator(f"ctranslate2:{tmp_path}")
