"""Ranks as a table, one row a query, language, direction and seed, so that any tool can ask its own questions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polyreel.evaluation.metrics import Direction, Ranks

_COUNTS = {
    "better": "num_better",
    "tied_wrong": "num_tied_wrong",
    "tied_right": "num_tied_right",
    "right": "num_right",
    "candidates": "num_candidates",
}
_SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("lang", pa.string()),
        ("direction", pa.string()),
        ("query_id", pa.string()),
        ("clip_id", pa.string()),
        ("source", pa.string()),
        *((name, pa.int32()) for name in _COUNTS),
    ]
)


def ranks_to_table(ranks: Mapping[tuple[str, Direction], Ranks], seeds: Sequence[int]) -> pa.Table:
    """Lay out the ranks `[S, Q]` of every language and direction as rows, in the order of the mapping."""
    parts = [
        _part(of_queries, row, seed, lang, direction)
        for (lang, direction), of_queries in ranks.items()
        for row, seed in enumerate(seeds)
    ]
    return pa.concat_tables(parts)


def ranks_from_table(table: pa.Table, seeds: Sequence[int]) -> dict[tuple[str, Direction], Ranks]:
    """Read back what `ranks_to_table` laid out."""
    keys = table.select(["lang", "direction"]).group_by(["lang", "direction"], use_threads=False).aggregate([])
    return {(key["lang"], key["direction"]): _ranks(_where(table, **key), seeds) for key in keys.to_pylist()}


def _part(ranks: Ranks, row: int, seed: int, lang: str, direction: str) -> pa.Table:
    size = len(ranks)
    columns = {
        "seed": np.full(size, seed),
        "lang": [lang] * size,
        "direction": [direction] * size,
        "query_id": ranks.query_ids.tolist(),
        "clip_id": ranks.clip_ids.tolist(),
        "source": ranks.sources.tolist(),
        "better": ranks.num_better[row],
        "tied_wrong": ranks.num_tied_wrong[row],
        "tied_right": ranks.num_tied_right[row],
        "right": ranks.num_right,
        "candidates": np.full(size, ranks.num_candidates),
    }
    return pa.table(columns).cast(_SCHEMA)


def _where(table: pa.Table, *, lang: str, direction: str) -> pa.Table:
    return table.filter(pc.and_(pc.equal(table["lang"], lang), pc.equal(table["direction"], direction)))


def _ranks(table: pa.Table, seeds: Sequence[int]) -> Ranks:
    first = table.filter(pc.equal(table["seed"], seeds[0]))
    counts_SQ = {name: table[name].to_numpy().reshape(len(seeds), -1) for name in _COUNTS}
    return Ranks(
        query_ids=np.array(first["query_id"].to_pylist(), np.str_),
        clip_ids=np.array(first["clip_id"].to_pylist(), np.str_),
        sources=np.array(first["source"].to_pylist(), np.str_),
        num_better=counts_SQ["better"],
        num_tied_wrong=counts_SQ["tied_wrong"],
        num_tied_right=counts_SQ["tied_right"],
        num_right=counts_SQ["right"][0],
        num_candidates=int(counts_SQ["candidates"][0, 0]),
    )
