"""What is asked: words, several of them with weights, what must not be seen, or an embedding.

Texts are added up as embeddings, each times its weight; what is to be left out has a negative one. The sum, scaled to
length 1, is one query like any other, so a combination costs no more to search than a word.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyreel.errors import PolyreelError
from polyreel.similarity import Embeddings, unit

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder

LEFT_OUT = -0.5
_PHRASE = re.compile(r'(?<!\S)(-?)"([^"]+)"(?:\^(\d+(?:\.\d+)?))?(?!\S)')
_EXCLUDED = re.compile(r"(?<!\S)-([^\W\d]\S*)(?!\S)")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of several things that are asked together.

    Attributes:
        text: words in any language the model reads.
        weight: how much it counts; below 0: it must not be seen.
    """

    text: str
    weight: float = 1.0


Query = str | Sequence[Part] | Embeddings


def parse_query(text: str) -> tuple[Part, ...]:
    """Read a query as a person types it.

    `beach -people` leaves people out, `beach -"two people"` a phrase; `"beach"^2 "sunset"` asks for both, and counts
    one twice. All other text is one part. A hyphen within a word, or before a number, is a hyphen.

    Raises:
        ValueError: nothing is asked for.
    """
    parts = _read(text)
    if not any(part.weight > 0 for part in parts):
        raise ValueError(
            "the query only says what to leave out; say what the video shows"
            if parts
            else "the query is empty; say what the video shows"
        )
    return parts


def _read(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []

    def take_phrase(found: re.Match[str]) -> str:
        minus, words, weight = found.groups()
        parts.append(Part(text=words.strip(), weight=(LEFT_OUT if minus else 1.0) * float(weight or 1.0)))
        return " "

    def take_excluded(found: re.Match[str]) -> str:
        parts.append(Part(text=found.group(1), weight=LEFT_OUT))
        return " "

    rest = " ".join(_EXCLUDED.sub(take_excluded, _PHRASE.sub(take_phrase, text)).split())
    return tuple(part for part in [Part(text=rest), *parts] if part.text)


def embed_query(query: "str | Sequence[Part]", encoder: "SearchEncoder", like: Embeddings | None = None) -> Embeddings:
    """Return a query's unit-length embedding `[D]`.

    Args:
        query: words, or several parts.
        encoder: reads them.
        like: what the answers should look like as well, as `embed_file` returns it; it counts as one part does.

    Raises:
        ValueError: nothing is asked for, or a weight is not finite.
    """
    if like is not None and isinstance(query, str):
        if not query.strip():
            return like
        parts = _read(query)
    else:
        parts = parse_query(query) if isinstance(query, str) else tuple(query)
    if not all(np.isfinite(part.weight) and part.text.strip() for part in parts):
        raise ValueError("a part of the query has no text or no finite weight; expected words and a number")
    if like is None and not any(part.weight > 0 for part in parts):
        raise ValueError("the query is empty; say what the video shows")
    rows_ND = encoder.encode_text([part.text for part in parts])
    weights_N = np.array([part.weight for part in parts], np.float32)
    sum_D = weights_N @ rows_ND + (0.0 if like is None else like)
    embedding_D: Embeddings = rows_ND[0] if like is None and len(parts) == 1 else unit(sum_D[None])[0]
    return embedding_D


def embed_file(path: Path | str, encoder: "SearchEncoder", *, most_seconds: float | None = None) -> Embeddings:
    """Return the unit-length embedding `[D]` of a picture, or of a whole video, to ask for what looks like it.

    Args:
        path: the file.
        encoder: looks at it.
        most_seconds: how long a video may be; None: as long as it likes.

    Raises:
        VideoError: the file cannot be decoded.
        ValueError: the video is longer.
    """
    from polyreel.video.decode import probe

    seconds = probe(Path(path)).duration_seconds
    if most_seconds is not None and seconds > most_seconds:
        raise ValueError(
            f"the video lasts {seconds:.0f} seconds; expected up to {most_seconds:g}; ask with the part that you mean"
        )
    embedding_D: Embeddings = encoder.encode_video(Path(path), [(0.0, seconds)])[0]
    return embedding_D


def checked(embedding_D: Embeddings, dim: int) -> Embeddings:
    """Return an embedding if it has an index's width.

    Raises:
        ValueError: it has another.
    """
    if embedding_D.shape != (dim,):
        raise ValueError(f"the embedding has shape {list(embedding_D.shape)}; this index's have [{dim}]")
    return embedding_D


def captions_like(open_encoder: Callable[[], "SearchEncoder"]) -> Embeddings | None:
    """Return embeddings of such texts as will be asked, `[N, D]`: the captions of the model's query bank, if any."""
    try:
        return open_encoder().query_bank.rows()
    except PolyreelError:
        return None


def check_page(k: int, offset: int) -> None:
    """Raise ValueError unless k is 1 or more, and offset 0 or more."""
    if k < 1 or offset < 0:
        raise ValueError(f"k is {k} and offset {offset}; expected 1 or more, and 0 or more")
