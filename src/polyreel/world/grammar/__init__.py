"""The grammars of the drawn world: one file a language, each with its words as tables and one function, `say`.

A grammar gets a message, which knows no language, and returns a sentence of the kind a careful native speaker would
write: articles, gender, case, noun class, measure word and word order are right. Adding a language is adding a file
and a row here.
"""

from collections.abc import Callable, Mapping

from polyreel.world.grammar import cs, de, en, es, fr, ru, sw, vi, zh
from polyreel.world.messages import Message

GRAMMARS: Mapping[str, Callable[[Message], str]] = {
    "en": en.say,
    "de": de.say,
    "fr": fr.say,
    "cs": cs.say,
    "zh": zh.say,
    "ru": ru.say,
    "vi": vi.say,
    "sw": sw.say,
    "es": es.say,
}
WORLD_LANGS: tuple[str, ...] = tuple(GRAMMARS)
