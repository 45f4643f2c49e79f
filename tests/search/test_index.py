import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from clip_rows import some_clips, some_embeddings
from hypothesis import given, settings
from hypothesis import strategies as st

from polyreel.errors import DataError, FingerprintError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.rows import make_rows
from polyreel.search.table import ClipTable
from polyreel.similarity import QueryBank, find_hubs, less_hubs, similarities


@pytest.fixture
def index(tmp_path: Path, encoder: SearchEncoder) -> Index:
    return Index.create(tmp_path / "index", encoder, tmp_path / "library")


def test_an_empty_index_has_no_answers(index: Index) -> None:
    assert len(index) == 0
    assert index.file_stamps() == {}
    assert index.search("red") == []


def test_the_nearest_clips_equal_the_slow_loop(index: Index, encoder: SearchEncoder) -> None:
    clips, embeddings = some_clips("a", "b", "c", clips_each=20), some_embeddings(60)
    index.add(clips, embeddings, encoder.fingerprint)
    query = some_embeddings(1, seed=7)[0]
    scores = {
        clip.clip_id: float(sum(x * y for x, y in zip(row, query, strict=True)))
        for clip, row in zip(clips, embeddings, strict=True)
    }
    hits = index.search(query, 7)
    assert [hit.clip_id for hit in hits] == sorted(scores, key=lambda name: -scores[name])[:7]
    assert [hit.score for hit in hits] == pytest.approx([scores[hit.clip_id] for hit in hits], abs=1e-5)


def test_a_hit_says_where_to_look(index: Index, encoder: SearchEncoder, tmp_path: Path) -> None:
    embeddings = some_embeddings(2)
    index.add(some_clips("more/a.mp4", clips_each=2), embeddings, encoder.fingerprint)
    hit = index.search(embeddings[1], 1)[0]
    assert hit.video == tmp_path / "library" / "more" / "a.mp4"
    assert (hit.start_seconds, hit.end_seconds) == (4.0, 8.0)
    assert hit.score == pytest.approx(1.0)


def test_adding_a_video_again_replaces_all_its_clips(index: Index, encoder: SearchEncoder) -> None:
    index.add(some_clips("it's a", "b", clips_each=3), some_embeddings(6), encoder.fingerprint)
    index.add(some_clips("it's a", clips_each=2, stamp="two"), some_embeddings(2, seed=1), encoder.fingerprint)
    assert len(index) == 5
    assert index.file_stamps() == {"it's a": "two", "b": "one"}
    assert index.search(some_embeddings(1, seed=1)[0], 1)[0].score == pytest.approx(1.0)


def test_a_batch_is_one_commit(index: Index, encoder: SearchEncoder) -> None:
    table = ClipTable(index.folder, index.header.dim)
    before = table._table.version
    index.add(some_clips("a", "b", clips_each=3), some_embeddings(6), encoder.fingerprint)
    index.add(some_clips("a"), some_embeddings(1), encoder.fingerprint)
    index.remove(["a", "b"])
    assert table._table.version == before + 3


def test_removed_videos_are_gone(index: Index, encoder: SearchEncoder) -> None:
    index.add(some_clips("it's a", "b"), some_embeddings(2), encoder.fingerprint)
    index.remove(["it's a", "never there"])
    index.remove([])
    assert list(index.file_stamps()) == ["b"]


def test_open_readers_see_what_others_write(index: Index, encoder: SearchEncoder) -> None:
    embeddings = some_embeddings(2)
    index.add(some_clips("a"), embeddings[:1], encoder.fingerprint)
    reader = Index.open(index.folder)
    assert [hit.clip_id for hit in reader.search(embeddings[1])] == ["a#0"]
    index.add(some_clips("b"), embeddings[1:], encoder.fingerprint)
    assert [hit.clip_id for hit in reader.search(embeddings[1])] == ["b#0", "a#0"]
    index.compact()
    index.remove(["b"])
    assert [hit.clip_id for hit in reader.search(embeddings[1])] == ["a#0"]


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_adding_changes_nothing(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    table = ClipTable.create(tmp_path_factory.mktemp("table"), 8)
    clips, embeddings = some_clips(*"abcdef"), some_embeddings(6, dim=8)
    for i in order:
        table.put(make_rows([clips[i]], embeddings[[i]], 8))
    found = table.nearest(embeddings[2], 6, None)
    assert [row["clip_id"] for row in found] == [
        clips[place].clip_id for place in np.argsort(-(embeddings @ embeddings[2]))
    ]
    assert table.rows([clip.clip_id for clip in clips], ["vector"])[4]["vector"] == embeddings[4].tolist()


def test_an_index_says_what_it_was_made_with(index: Index, encoder: SearchEncoder) -> None:
    assert json.loads((index.folder / "index.json").read_text()) == {
        "schema_version": 2,
        "encoder_fingerprint": encoder.fingerprint,
        "dim": 48,
        "extractor": "pixels",
        "model_folder": None,
        "part": "",
        "library_folder": "../library",
        "store": None,
    }


def test_embeddings_of_another_encoder_are_refused(index: Index, other_encoder: SearchEncoder) -> None:
    with pytest.raises(FingerprintError, match=r"holds embeddings of encoder .*, not of .*make another index"):
        index.add(some_clips("a"), some_embeddings(1), other_encoder.fingerprint)
    with pytest.raises(FingerprintError, match="holds embeddings of encoder"):
        Index.open(index.folder, other_encoder)


@pytest.mark.parametrize("embeddings", [some_embeddings(2), some_embeddings(1, dim=4), np.full((1, 48), np.nan)])
def test_embeddings_of_a_wrong_shape_are_refused(index: Index, encoder: SearchEncoder, embeddings: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"1 clips have embeddings of shape .*; expected finite numbers \[1, 48\]"):
        index.add(some_clips("a"), embeddings, encoder.fingerprint)


def test_an_empty_query_is_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="the query is empty; say what the video shows"):
        index.search("  ")


def test_a_folder_is_not_written_over(index: Index, encoder: SearchEncoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="index exists already; open the index there, or name another folder"):
        Index.create(index.folder, encoder, tmp_path)


def test_an_index_may_be_made_in_an_empty_folder(tmp_path: Path, encoder: SearchEncoder) -> None:
    (tmp_path / "empty").mkdir()
    assert len(Index.create(tmp_path / "empty", encoder, tmp_path)) == 0


def test_an_edited_header_and_a_lost_table_are_said(index: Index) -> None:
    header = index.folder / "index.json"
    header.write_text(header.read_text().replace('"dim": 48', '"dim": "wide"'))
    with pytest.raises(DataError, match=r"index\.json: 'dim' is 'wide': input should be a valid integer"):
        Index.open(index.folder)
    header.write_text(header.read_text().replace('"wide"', "48"))
    shutil.rmtree(index.folder / "clips.lance")
    with pytest.raises(DataError, match=r"has lost its table clips\.lance; delete the index and make it anew"):
        len(Index.open(index.folder))


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no index: it has no index.json; make one with `polyreel index`"):
        Index.open(tmp_path)


def test_a_later_format_is_refused(index: Index) -> None:
    header = index.folder / "index.json"
    header.write_text(header.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(DataError, match="has schema version 3; this polyreel reads 2"):
        Index.open(index.folder)


def test_a_model_in_memory_must_be_handed_in(index: Index) -> None:
    with pytest.raises(DataError, match="was made with a model that is in no folder; hand its encoder to"):
        Index.open(index.folder).search("red")


def with_bank(encoder: SearchEncoder, folder: Path, temperature: float = 0.1) -> SearchEncoder:
    """The same encoder, in a folder with a query bank of two languages."""
    by_lang = {"en": some_embeddings(30, seed=3), "it": some_embeddings(9, seed=4)}
    folder.mkdir()
    QueryBank(model=encoder.model.fingerprint, by_lang=by_lang, temperature=temperature).save(folder)
    return SearchEncoder(model=encoder.model, extractor=encoder.extractor, model_folder=folder)


def test_a_query_bank_orders_hits_and_scores_stay_cosines(tmp_path: Path, encoder: SearchEncoder) -> None:
    banked = with_bank(encoder, tmp_path / "model")
    index = Index.create(tmp_path / "index", banked, tmp_path / "library")
    embeddings = some_embeddings(20)
    index.add(some_clips("a", clips_each=20), embeddings, encoder.fingerprint)
    names = sorted(clip.clip_id for clip in some_clips("a", clips_each=20))
    by_name = dict(zip([clip.clip_id for clip in some_clips("a", clips_each=20)], embeddings, strict=True))
    query = some_embeddings(1, seed=7)
    rows = np.stack([by_name[name] for name in names])
    sims = similarities(query, rows)
    for bank, lang in (("en", "en"), ("it", "it"), ("all", None)):
        expected = less_hubs(sims, find_hubs(banked.query_bank.rows(lang), rows, 0.1))[0]
        hits = index.search(query[0], 20, bank=bank)
        assert [hit.clip_id for hit in hits] == [names[place] for place in np.argsort(-expected, kind="stable")]
        cosines = [float(query[0] @ by_name[hit.clip_id]) for hit in hits]
        assert [hit.score for hit in hits] == pytest.approx(cosines, abs=1e-6)
    assert [hit.clip_id for hit in index.search(query[0], 20, bank="en")] != [
        hit.clip_id for hit in index.search(query[0], 20)
    ]


def test_what_a_bank_says_of_clips_follows_the_index(tmp_path: Path, encoder: SearchEncoder) -> None:
    banked = with_bank(encoder, tmp_path / "model")
    index = Index.create(tmp_path / "index", banked, tmp_path / "library")
    assert index.search("red", bank="all") == []
    index.add(some_clips("a", clips_each=4), some_embeddings(4), encoder.fingerprint)
    assert len(index.search("red", 9, bank="all")) == 4
    index.add(some_clips("b", clips_each=3), some_embeddings(3, seed=1), encoder.fingerprint)
    assert len(index.search("red", 9, bank="all")) == 7


def test_an_index_without_a_bank_says_so(tmp_path: Path, index: Index, encoder: SearchEncoder) -> None:
    index.add(some_clips("a"), some_embeddings(1), encoder.fingerprint)
    with pytest.raises(DataError, match="the model is in no folder, so there is no query bank beside it"):
        index.search("red", bank="en")
    banked = Index.open(index.folder, with_bank(encoder, tmp_path / "model"))
    with pytest.raises(DataError, match="the query bank has no captions in 'de'; it has en, it"):
        banked.search("red", bank="de")
