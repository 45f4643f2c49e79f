"""What query banks say about the clips of an index (`similarity.py`): the best candidates, corrected for hubs.

Only candidates are corrected, so it costs the same in a large index. Which clips are nearest to some text of a bank is
asked once, until the index changes.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from polyreel.search.filter import Filter
from polyreel.search.store import ClipStore, Row
from polyreel.similarity import Embeddings, find_hubs

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder

_CANDIDATES_A_HIT, _FEWEST_CANDIDATES = 4, 200


class KnownHubs:
    """Hubs among the clips of one store, by the bank that was asked."""

    def __init__(self, store: ClipStore) -> None:
        self._store = store
        self._near: dict[str, tuple[Hashable, frozenset[str]]] = {}

    def corrected(
        self, encoder: "SearchEncoder", bank: str, embedding_D: Embeddings, k: int, wanted: Filter | None
    ) -> list[Row]:
        """Return the best rows, ordered by what is left when hubs are corrected; `_score` stays the cosine.

        Args:
            encoder: whose bank.
            bank: one of the languages of the model's query bank, or "all".
            embedding_D: what is asked.
            k: how many.
            wanted: which may be found.

        Raises:
            DataError: there is no bank, or none in this language.
            FingerprintError: the bank was made by another model.
        """
        opened = encoder.query_bank
        bank_BD = opened.rows(None if bank == "all" else bank)
        rows = self._store.nearest(embedding_D, max(_CANDIDATES_A_HIT * k, _FEWEST_CANDIDATES), wanted)
        best = rows[:1] if wanted is None else self._store.nearest(embedding_D, 1, None)
        if not rows or str(best[0]["clip_id"]) not in self._nearest_to(bank, bank_BD):
            return rows[:k]
        ids = [str(row["clip_id"]) for row in rows]
        vectors_ND = np.array([row["vector"] for row in self._store.rows(ids, ["vector"])], np.float32)
        offsets_N = find_hubs(bank_BD, vectors_ND, opened.temperature).offsets_C
        left_N = np.array([float(str(row["_score"])) for row in rows], np.float32) - offsets_N
        return [rows[place] for place in np.argsort(-left_N, kind="stable")[:k]]

    def _nearest_to(self, bank: str, bank_BD: Embeddings) -> frozenset[str]:
        """Which clips are nearest to some text of a bank."""
        state = self._store.state()
        known = self._near.get(bank)
        if known is None or known[0] != state:
            known = self._near[bank] = state, frozenset(self._store.nearest_ids(bank_BD))
        return known[1]
