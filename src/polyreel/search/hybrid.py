"""What is seen and what is said, in one list of answers: two rankings fused by their ranks.

Similarities of embeddings and BM25 scores of words cannot be compared, places can. An answer at place r of a ranking
gets 1 / (60 + r) from it, and the sum over both orders the answers (reciprocal rank fusion: Cormack, Clarke and
Büttcher, 2009). So that a common word of the query does not bring in whatever is said with it, a moment counts as said
only if the words heard in it are at least three fifths of the query's letters.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from polyreel.data.speech import Speech
from polyreel.search.filter import Filter
from polyreel.search.hits import Hit, SpeechHit
from polyreel.search.moments import Moment
from polyreel.similarity import Embeddings

By = Literal["both", "seen", "said"]
"""Which ranking is asked: of what is seen, of what is said, or both fused."""
LEAST_COVERAGE = 0.6
_RANK_CONSTANT = 60
_GAP_SECONDS = 2.0  # lines so near to one another are one moment
_MOST_CLIPS = 100_000
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class Audible(Protocol):
    """What words are looked for in; `Index` has it."""

    @property
    def library_folder(self) -> Path:
        """Where the videos lie."""

    def search(self, query: Embeddings, k: int = 5, *, filter: Filter | None = None) -> list[Hit]:
        """Return the best clips, best first."""

    def find_speech(self, text: str, k: int = 5, *, filter: Filter | None = None) -> list[SpeechHit]:
        """Return the clips in which words are said, best first."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A moment, and why it is an answer.

    Attributes:
        moment: where.
        seen_place: its place among what is seen, from 1; None: it is not there.
        said_place: its place among what is said, from 1; None: it is not there.
        lines: what is said of the query in it.
    """

    moment: Moment
    seen_place: int | None = None
    said_place: int | None = None
    lines: tuple[Speech, ...] = ()

    @property
    def fused(self) -> float:
        """The sum over both rankings of 1 / (60 + place)."""
        return sum(1 / (_RANK_CONSTANT + place) for place in (self.seen_place, self.said_place) if place is not None)


def alone(hit: Hit) -> Moment:
    """Return a clip as a moment of its own."""
    return Moment(video=hit.video, start_seconds=hit.start_seconds, end_seconds=hit.end_seconds, peak=hit, num_clips=1)


def fuse(seen: Sequence[Moment], said: Sequence[Answer]) -> list[Answer]:
    """Fuse two rankings; moments of one video that share time are one answer, with the span of what is seen.

    Args:
        seen: best first.
        said: what `find_said` found.
    """
    left, answers = list(said), []
    for place, moment in enumerate(seen, 1):
        heard = next((one for one in left if _overlap(one.moment, moment)), None)
        if heard is None:
            answers.append(Answer(moment=moment, seen_place=place))
        else:
            left.remove(heard)
            answers.append(Answer(moment=moment, seen_place=place, said_place=heard.said_place, lines=heard.lines))
    both = [*answers, *left]
    return sorted(both, key=lambda one: (-one.fused, str(one.moment.video), one.moment.start_seconds))


def find_said(
    index: Audible, query: str, embedding_D: Embeddings, k: int = 5, *, filter: Filter | None = None
) -> list[Answer]:
    """Find the moments in which a query's words are said, best first.

    Args:
        index: what is asked.
        query: the words.
        embedding_D: the query's embedding, for the moments' scores.
        k: how many, 1 or more.
        filter: which clips may be found.
    """
    moments: list[tuple[Hit, list[Speech]]] = []
    for found in index.find_speech(query, 2 * k, filter=filter):
        lines = [line for line in found.lines if _coverage(query, line.text)]
        if _coverage(query, " ".join(line.text for line in lines)) < LEAST_COVERAGE:
            continue
        known = next((one for one in moments if _is_beside(one[0], one[1], found.hit, lines)), None)
        if known is None:
            moments.append((found.hit, lines))
        else:
            known[1].extend(line for line in lines if line not in known[1])
    wanted = Filter(videos=tuple(sorted({_name(index, hit) for hit, _ in moments})))
    scores = {hit.clip_id: hit for hit in index.search(embedding_D, _MOST_CLIPS, filter=wanted)} if moments else {}
    return [
        Answer(moment=_spoken(scores.get(hit.clip_id, hit), lines), said_place=place, lines=tuple(lines))
        for place, (hit, lines) in enumerate(moments[:k], 1)
    ]


def _spoken(peak: Hit, lines: Sequence[Speech]) -> Moment:
    start, end = min(line.start_seconds for line in lines), max(line.end_seconds for line in lines)
    return Moment(video=peak.video, start_seconds=start, end_seconds=end, peak=peak, num_clips=1)


def _is_beside(hit: Hit, lines: Sequence[Speech], other: Hit, others: Sequence[Speech]) -> bool:
    """Tell whether lines of two clips of one video follow each other."""
    return hit.video == other.video and any(
        one.start_seconds <= two.end_seconds + _GAP_SECONDS and two.start_seconds <= one.end_seconds + _GAP_SECONDS
        for one in lines
        for two in others
    )


def _overlap(one: Moment, other: Moment) -> bool:
    return one.video == other.video and one.start_seconds < other.end_seconds and other.start_seconds < one.end_seconds


def _name(index: Audible, hit: Hit) -> str:
    return hit.video.relative_to(index.library_folder).as_posix()


def _coverage(query: str, text: str) -> float:
    """Return which part of a query's letters is in words that are in a text too."""
    wanted, there = set(_words(query)), set(_words(text))
    return sum(map(len, wanted & there)) / max(sum(map(len, wanted)), 1)


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text without accents; where a script has no spaces, its characters two by two."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign))
    for word in re.findall(r"\w+", plain):
        place = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > place:
                yield word[place : run.start()]
            signs = run.group()
            yield from ([signs] if len(signs) == 1 else (signs[at : at + 2] for at in range(len(signs) - 1)))
            place = run.end()
        if place < len(word):
            yield word[place:]
