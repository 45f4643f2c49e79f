"""An HTTP endpoint: asked in batches, retried, asked one by one where its answer is no list."""

import json

import pytest
from chat_server import serving

from polyreel.errors import DataError
from polyreel.translation.opening import open_translator
from polyreel.translation.translator import Sentence, TranslationSettings

pytest.importorskip("openai", reason="needs the extra 'endpoint'")

SENTENCES = [Sentence(caption_id=text, text=text) for text in ("a dog", "two cats", "a red car")]
SHOUTED = ("A DOG", "TWO CATS", "A RED CAR")


@pytest.fixture
def server():
    with serving() as server:
        yield server


def translator(server, **endpoint):
    settings = TranslationSettings(endpoint={"base_url": server.base_url, **endpoint})
    return open_translator("endpoint:small-1", settings, api_key="secret")


def test_a_batch_is_one_request(server):
    ours = translator(server)
    said = ours(SENTENCES, "en", "sw")
    assert said.texts == SHOUTED
    assert (said.tokens_read, said.tokens_written) == (30, 3)
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions" and request["model"] == "small-1"
    assert "from English to Swahili" in request["messages"][0]["content"]
    assert request["temperature"] == 0.0
    assert server.keys == ["Bearer secret"]
    assert "secret" not in json.dumps(ours.settings)


def test_failures_are_retried(server):
    server.failures = [429, 500, 503]
    assert translator(server)(SENTENCES, "en", "de").texts == SHOUTED
    assert len(server.requests) == 4


def test_an_endpoint_that_refuses_is_named(server):
    server.failures = [401]
    with pytest.raises(DataError, match=r"127.0.0.1:\d+/v1/ refuses: .*busy"):
        translator(server)(SENTENCES, "en", "de")
    assert len(server.requests) == 1


def test_an_endpoint_that_is_not_there_is_named(server):
    settings = TranslationSettings(endpoint={"base_url": "http://127.0.0.1:9/v1", "max_retries": 0})
    with pytest.raises(DataError, match=r"127.0.0.1:9/v1/ does not answer .*is base_url right"):
        open_translator("endpoint:x", settings)(SENTENCES, "en", "de")


def test_words_around_the_list_are_read_over(server):
    server.answer = lambda texts: f"Sure!\n```json\n{json.dumps([text.upper() for text in texts])}\n```"
    assert translator(server)(SENTENCES, "en", "de").texts == SHOUTED


@pytest.mark.parametrize("wrong", ["no", '["one"]', "[1, 2, 3]", '["", "", ""]', "[broken"])
def test_sentences_are_asked_one_by_one_where_the_list_is_wrong(server, wrong):
    server.answer = lambda texts: wrong if len(texts) > 1 else json.dumps([texts[0].upper()])
    said = translator(server)(SENTENCES, "en", "de")
    assert said.texts == SHOUTED
    assert said.tokens_read == 60


def test_a_sentence_without_an_answer_comes_out_empty(server):
    server.answer = lambda texts: "I cannot." if "a dog" in texts else json.dumps([text.upper() for text in texts])
    assert translator(server)(SENTENCES, "en", "de").texts == ("", "TWO CATS", "A RED CAR")
    assert translator(server)(SENTENCES[:1], "en", "de").texts == ("",)
