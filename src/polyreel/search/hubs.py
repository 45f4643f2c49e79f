"""What query banks say about the clips of an index: asked once, until the index changes."""

from typing import TYPE_CHECKING

from polyreel.similarity import Embeddings, Hubs, find_hubs

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder


class KnownHubs:
    """Hubs among the clips of one index, by the bank that was asked."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Embeddings, Hubs]] = {}

    def by(self, bank: str, encoder: "SearchEncoder", embeddings_ND: Embeddings) -> Hubs:
        """Return what a bank says about clips.

        Args:
            bank: one of the languages of the model's query bank, or "all".
            encoder: whose bank.
            embeddings_ND: of all clips; while it is the same matrix, the bank is not asked again.

        Raises:
            DataError: there is no bank, or none in this language.
            FingerprintError: the bank was made by another model.
        """
        known = self._known.get(bank)
        if known is None or known[0] is not embeddings_ND:
            opened = encoder.query_bank
            rows_BD = opened.rows(None if bank == "all" else bank)
            known = self._known[bank] = embeddings_ND, find_hubs(rows_BD, embeddings_ND, opened.temperature)
        return known[1]
