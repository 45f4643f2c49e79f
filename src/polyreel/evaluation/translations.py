"""Text to text across languages: does a sentence find its translation among all sentences of another language?

The text tower alone is measured. What it gets right here and not with clips is lost between the towers.

Shapes: `Q` sentences of one language, `C` of the other, `D` dims.
"""

from collections.abc import Mapping
from itertools import permutations

from polyreel.data.dataset import Dataset
from polyreel.evaluation.answers import Key
from polyreel.evaluation.metrics import Ranks, stack_seeds
from polyreel.evaluation.ranking import rank_embeddings
from polyreel.similarity import Embeddings

ARROW = ">"


def pair_of(lang: str) -> tuple[str, str] | None:
    """Return the languages of a pair like `it>en`, that of the query first; None for a single language."""
    asked, arrow, wanted = lang.partition(ARROW)
    return (asked, wanted) if arrow else None


def text_to_text(data: Dataset, texts_by_lang: Mapping[str, Embeddings]) -> dict[Key, Ranks]:
    """Rank all sentences of each language for every sentence of each other that has a translation among them.

    Args:
        data: a split.
        texts_by_lang: embeddings of every caption by language, in table order.
    """
    ids = {lang: data.in_langs([lang]).captions["caption_id"].to_pylist() for lang in texts_by_lang}
    clip_of = dict(zip(data.captions["caption_id"].to_pylist(), data.captions["clip_id"].to_pylist(), strict=True))
    source_of = dict(zip(data.clip_ids, data.clips["source"].to_pylist(), strict=True))
    found: dict[Key, Ranks] = {}
    for asked, wanted in permutations(texts_by_lang, 2):
        place = {caption_id: column for column, caption_id in enumerate(ids[wanted])}
        rows = [row for row, caption_id in enumerate(ids[asked]) if caption_id in place]
        if rows:
            ranks = rank_embeddings(
                texts_by_lang[asked][rows],
                texts_by_lang[wanted],
                [place[ids[asked][row]] for row in rows],
                query_ids=[ids[asked][row] for row in rows],
                clip_ids=ids[wanted],
                sources=[source_of[clip_of[caption_id]] for caption_id in ids[wanted]],
            )
            found[f"{asked}{ARROW}{wanted}", "t2t"] = stack_seeds([ranks["t2v"]])
    return found
