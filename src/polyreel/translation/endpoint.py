"""Any HTTP endpoint that speaks the OpenAI protocol: a paid service, or a server of one's own.

A request carries a batch as a JSON list and wants one back. Where the answer is anything else, the sentences are asked
one by one, and one that still gets no answer is left out and named. The client retries failing requests by itself, with
growing pauses, and waits as long as the server says.
"""

import json
from collections.abc import Sequence

import openai

from polyreel.errors import DataError
from polyreel.languages import LANGUAGES
from polyreel.storage import Json, fingerprint
from polyreel.translation.translator import Sentence, Translated, TranslationSettings


class EndpointTranslator:
    """A language model behind an HTTP endpoint.

    Args:
        model: its name there.
        settings: where it is, and what it is told.
        api_key: for endpoints that want one; never kept, shown or written.
    """

    shares_texts = True

    def __init__(self, model: str, settings: TranslationSettings, api_key: str | None = None) -> None:
        chosen = settings.endpoint
        self.name = model
        self.revision = ""
        self.settings: dict[str, Json] = {
            "base_url": chosen.base_url,
            "temperature": chosen.temperature,
            "max_tokens": settings.max_tokens,
            "instructions": fingerprint(chosen.instructions),
        }
        self._instructions = chosen.instructions
        self._temperature = chosen.temperature
        self._max_tokens = settings.max_tokens
        self._client = openai.OpenAI(
            api_key=api_key or "none",  # servers of one's own want none, and the client wants something
            base_url=chosen.base_url,
            max_retries=chosen.max_retries,
            timeout=chosen.timeout_seconds,
        )

    def check(self, source_lang: str, target_lang: str) -> None:
        """Accept every pair; only the answers can tell what a language model knows."""

    def __call__(self, sentences: Sequence[Sentence], source_lang: str, target_lang: str) -> Translated:
        """Translate sentences by one request, or by one for each where that fails.

        Raises:
            DataError: the endpoint cannot be reached, or refuses.
        """
        told = self._instructions.replace("{source}", LANGUAGES[source_lang].english_name)
        told = told.replace("{target}", LANGUAGES[target_lang].english_name)
        texts = [sentence.text for sentence in sentences]
        whole = self._ask(told, texts)
        if len(whole.texts) == len(texts):
            return whole
        apart = [self._ask(told, [text]) for text in texts] if len(texts) > 1 else []
        return Translated(
            texts=tuple(answer.texts[0] if len(answer.texts) == 1 else "" for answer in apart) or ("",),
            tokens_read=sum(answer.tokens_read for answer in (whole, *apart)),
            tokens_written=sum(answer.tokens_written for answer in (whole, *apart)),
        )

    def _ask(self, told: str, texts: Sequence[str]) -> Translated:
        """Ask once; no texts where the answer is no list of as many sentences."""
        try:
            answer = self._client.chat.completions.create(
                model=self.name,
                messages=[
                    {"role": "system", "content": told},
                    {"role": "user", "content": json.dumps(texts, ensure_ascii=False)},
                ],
                temperature=self._temperature,
                max_tokens=self._max_tokens * len(texts),
            )
        except openai.APIConnectionError as error:
            raise DataError(f"{self._client.base_url} does not answer ({error}); is base_url right?") from None
        except openai.APIStatusError as error:
            raise DataError(f"{self._client.base_url} refuses: {error.message}") from None
        used = answer.usage
        return Translated(
            texts=_listed(answer.choices[0].message.content or "", len(texts)),
            tokens_read=0 if used is None else used.prompt_tokens,
            tokens_written=0 if used is None else used.completion_tokens,
        )


def _listed(answer: str, count: int) -> tuple[str, ...]:
    """Read the JSON list in an answer, which may be wrapped in words or a fence; none if it is not as wanted."""
    start, end = answer.find("["), answer.rfind("]")
    try:
        values = json.loads(answer[start : end + 1])
    except ValueError:
        return ()
    is_right = len(values) == count and all(isinstance(value, str) and value.strip() for value in values)
    return tuple(value.strip() for value in values) if is_right else ()
