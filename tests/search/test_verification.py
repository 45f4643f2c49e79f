from pathlib import Path

from clip_rows import some_clips, some_embeddings

from polyreel.search.derived import Sizes
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.table import ClipTable
from polyreel.search.verification import Verification, verify
from polyreel.similarity import QueryBank


def test_recall_is_that_of_the_searches_that_are_served(tmp_path: Path, encoder: SearchEncoder) -> None:
    (tmp_path / "model").mkdir()
    bank = QueryBank(model=encoder.model.fingerprint, by_lang={"en": some_embeddings(30, seed=3)}, temperature=0.1)
    bank.save(tmp_path / "model")
    banked = SearchEncoder(model=encoder.model, extractor=encoder.extractor, model_folder=tmp_path / "model")
    index = Index.create(tmp_path / "index", banked, tmp_path)
    assert verify(index) == Verification(recall=1.0, num_queries=30, num_clips=0, asked="captions")
    index.add(some_clips(*"abcde", clips_each=100), some_embeddings(500), encoder.fingerprint)
    assert verify(index) == Verification(recall=1.0, num_queries=30, num_clips=500, asked="captions")
    store = index.store = ClipTable(index.folder, 48, sizes=Sizes(exact_rows=300, filtered_rows=20))
    assert index.catch_up()
    assert verify(index).recall >= 0.98
    layer = store._view().layers[0][0]
    layer.num_scanned = 1
    assert verify(index).recall < 0.9


def test_clips_are_asked_for_where_the_model_has_no_bank(tmp_path: Path, encoder: SearchEncoder) -> None:
    index = Index.create(tmp_path / "index", encoder, tmp_path)
    assert verify(index) == Verification(recall=1.0, num_queries=0, num_clips=0, asked="clips")
    index.add(some_clips("a", "b", clips_each=3), some_embeddings(6), encoder.fingerprint)
    assert verify(index) == Verification(recall=1.0, num_queries=2, num_clips=6, asked="clips")
