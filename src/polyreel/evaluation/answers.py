"""What was answered: the best few candidates of every query with their scores, and what the queries say.

Both are kept beside the ranks, so that what was found instead of the right clip, whether translations of a sentence
find the same, and what short or badly translated queries cost are questions to a file and need no model.

Shapes: `S` seeds, `Q` queries, `K` answers kept, `C` candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.dataset import Dataset
from polyreel.evaluation.metrics import Direction, Ids

NUM_ANSWERS = 10
UNSPACED_LANGS = frozenset({"zh", "ja", "th", "lo", "km", "my"})
_FROM_CLIPS = ("category",)
_FROM_CAPTIONS = ("score",)

Key: TypeAlias = tuple[str, Direction]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The best candidates of each query, best first, in the order of the ranks they belong to.

    Attributes:
        candidate_ids: what positions count in: clip ids for texts (t2v), caption ids for clips (v2t), `[C]`.
        positions_SQK: positions of the best candidates.
        scores_SQK: their scores.
        right_scores_SQ: the score of the right candidate that counts.
    """

    candidate_ids: Ids
    positions_SQK: npt.NDArray[np.int32]
    scores_SQK: npt.NDArray[np.float32]
    right_scores_SQ: npt.NDArray[np.float32]

    @classmethod
    def of_one_seed(
        cls,
        candidate_ids: Ids,
        positions_QK: npt.NDArray[np.integer],
        scores_QK: npt.NDArray[np.floating],
        right_scores_Q: npt.NDArray[np.floating],
    ) -> Self:
        """Hold the answers of a single model."""
        return cls(
            candidate_ids=candidate_ids,
            positions_SQK=positions_QK[None].astype(np.int32),
            scores_SQK=scores_QK[None].astype(np.float32),
            right_scores_SQ=right_scores_Q[None].astype(np.float32),
        )

    def of_queries(self, rows: npt.NDArray[np.integer]) -> "Answers":
        """Return the answers to some of the queries, in this order."""
        return replace(
            self,
            positions_SQK=self.positions_SQK[:, rows],
            scores_SQK=self.scores_SQK[:, rows],
            right_scores_SQ=self.right_scores_SQ[:, rows],
        )

    def ids_QK(self, seed_row: int = 0) -> Ids:
        """Return the names of the best candidates by one seed."""
        return np.asarray(self.candidate_ids[self.positions_SQK[seed_row]], np.str_)

    def occurrences(self, seed_row: int = 0) -> npt.NDArray[np.int64]:
        """Return how many queries have each candidate among their answers by one seed, `[C]`."""
        return np.bincount(self.positions_SQK[seed_row].ravel(), minlength=len(self.candidate_ids))


def skewness(values_N: npt.NDArray[np.number]) -> float:
    """Return the third standardised moment: 0 for symmetric values, large where few are far above the rest.

    Of the number of queries that have a clip among their first k, it is the usual measure of hubness (Radovanović et
    al., 2010): a hub is near to everything. 0 for values that are all the same.
    """
    centred_N = np.asarray(values_N, np.float64) - np.mean(values_N)
    spread = float(np.mean(centred_N**2))
    return float(np.mean(centred_N**3)) / spread**1.5 if spread > 0 else 0.0


def stack_answers(of_seeds: Sequence[Answers]) -> Answers:
    """Put the answers of several seeds to the same queries into one value; each may know other candidates."""
    known = list(dict.fromkeys(name for one in of_seeds for name in one.candidate_ids.tolist()))
    place = {name: position for position, name in enumerate(known)}
    places = [np.array([place[name] for name in one.candidate_ids.tolist()], np.int32) for one in of_seeds]
    return replace(
        of_seeds[0],
        candidate_ids=np.array(known, np.str_),
        positions_SQK=np.concatenate([own[one.positions_SQK] for own, one in zip(places, of_seeds, strict=True)]),
        scores_SQK=np.concatenate([one.scores_SQK for one in of_seeds]),
        right_scores_SQ=np.concatenate([one.right_scores_SQ for one in of_seeds]),
    )


def queries_of(data: Dataset, langs: Iterable[str]) -> pa.Table:
    """Lay out what is asked: a row a caption, with what is known about it that a figure may be split by.

    `num_words` counts characters in languages written without spaces. `score`, what the translator thought of its own
    work, and `category` of the clip are there where the dataset has them.
    """
    captions = data.in_langs(list(langs)).captions
    texts, codes = captions["text"].to_pylist(), captions["lang"].to_pylist()
    words = [len(text if lang in UNSPACED_LANGS else text.split()) for text, lang in zip(texts, codes, strict=True)]
    columns = {
        "lang": captions["lang"],
        "query_id": captions["caption_id"],
        "clip_id": captions["clip_id"],
        "text": captions["text"],
        "origin": captions["origin"],
        "weight": captions["weight"],
        "num_words": pa.array(words, pa.int32()),
        **{name: captions[name] for name in _FROM_CAPTIONS if name in captions.column_names},
    }
    for name in _FROM_CLIPS:
        if name in data.clips.column_names:
            row = pc.index_in(captions["clip_id"], value_set=data.clips["clip_id"].combine_chunks())
            columns[name] = data.clips[name].take(row)
    return pa.table(columns)


def answers_to_table(answers: Mapping[Key, Answers], query_ids: Mapping[Key, Ids], seeds: Sequence[int]) -> pa.Table:
    """Lay out answers: a row a query, language, direction and seed."""
    return pa.concat_tables(
        _part(of_key, query_ids[key], row, seed, *key)
        for key, of_key in answers.items()
        for row, seed in enumerate(seeds)
    )


def answers_from_table(table: pa.Table, seeds: Sequence[int]) -> dict[Key, Answers]:
    """Read back what `answers_to_table` laid out; candidates that answer nothing are not known any more."""
    keys = table.select(["lang", "direction"]).group_by(["lang", "direction"], use_threads=False).aggregate([])
    found: dict[Key, Answers] = {}
    for key in keys.to_pylist():
        is_of_key = pc.and_(pc.equal(table["lang"], key["lang"]), pc.equal(table["direction"], key["direction"]))
        rows = table.filter(is_of_key)
        flat = rows["answers"].combine_chunks().flatten().dictionary_encode()
        shape = (len(seeds), rows.num_rows // len(seeds), -1)
        found[key["lang"], key["direction"]] = Answers(
            candidate_ids=np.array(flat.dictionary.to_pylist(), np.str_),
            positions_SQK=np.asarray(flat.indices, np.int32).reshape(shape),
            scores_SQK=rows["scores"].combine_chunks().flatten().to_numpy().reshape(shape),
            right_scores_SQ=rows["right_score"].to_numpy().reshape(shape[:2]),
        )
    return found


def _part(answers: Answers, query_ids: Ids, row: int, seed: int, lang: str, direction: str) -> pa.Table:
    size, num_kept = answers.positions_SQK.shape[1:]
    candidates = pa.array(answers.candidate_ids.tolist(), pa.string())
    flat = candidates.take(pa.array(answers.positions_SQK[row].ravel()))
    offsets = pa.array(np.arange(size + 1, dtype=np.int32) * num_kept)
    scores = pa.array(np.ascontiguousarray(answers.scores_SQK[row].ravel(), np.float32))
    return pa.table(
        {
            "seed": pa.array(np.full(size, seed), pa.int64()),
            "lang": pa.array([lang] * size, pa.string()),
            "direction": pa.array([direction] * size, pa.string()),
            "query_id": pa.array(query_ids.tolist(), pa.string()),
            "answers": pa.ListArray.from_arrays(offsets, flat),
            "scores": pa.ListArray.from_arrays(offsets, scores),
            "right_score": pa.array(answers.right_scores_SQ[row].astype(np.float32)),
        }
    )
