"""A mapped dataset is the same dataset, and none of it is in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.clips import CAPTION_SCHEMA
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.mapped import Texts, gather
from polyreel.errors import DataError
from polyreel.storage import fingerprint, fingerprint_streamed

NUM_CLIPS, NUM_CAPTIONS = 60, 40_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset of some megabytes, with a column of the publisher's, and features."""
    folder = tmp_path_factory.mktemp("mapped") / "data"
    ids = [f"clip{number}" for number in range(NUM_CLIPS)]
    clips = pa.table(
        {
            "clip_id": ids,
            "video": ids,
            "start_seconds": pa.nulls(NUM_CLIPS, pa.float64()),
            "end_seconds": [None, *np.arange(1.0, NUM_CLIPS)],
            "split": ["val" if number % 6 == 0 else "train" for number in range(NUM_CLIPS)],
            "source": ids,
            "category": [None, *range(1, NUM_CLIPS)],
        }
    )
    numbers = np.random.default_rng(0).permutation(NUM_CAPTIONS)
    captions = pa.table(
        {
            "caption_id": [f"s{number // 2}" for number in numbers],
            "clip_id": [ids[number // 2 % NUM_CLIPS] for number in numbers],
            "lang": [("en", "it")[number % 2] for number in numbers],
            "text": [f"una città no. {number} of many with more words behind it" for number in numbers],
            "origin": ["human"] * NUM_CAPTIONS,
            "weight": numbers.astype(np.float32) + 1,
        }
    )
    dataset = Dataset.build("mapped", clips, captions).save(folder)
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=3)
    with FeatureWriter(dataset.features_folder("noise"), settings, shard_bytes=200) as writer:
        for number in np.random.default_rng(1).permutation(NUM_CLIPS - 1):
            writer.add(ids[number], np.full((1 + number % 3, 3), number, np.float32))
    return folder


PARTS = {
    "whole": lambda data: data,
    "split": lambda data: data.split("train"),
    "few clips": lambda data: data.split("val"),
    "one language": lambda data: data.in_langs(["it"]),
    "both": lambda data: data.split("val").in_langs(["it", "en"]).first_captions({"en": 3}),
    "nothing": lambda data: data.split("val").in_langs(["de"]),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_parts_and_fingerprints_are_those_of_the_dataset_in_memory(folder, part):
    plain, mapped = part(Dataset.open(folder)), part(Dataset.open(folder, is_mapped=True))
    assert mapped.is_mapped and not plain.is_mapped
    assert mapped.clips.equals(plain.clips) and mapped.captions.equals(plain.captions)
    assert mapped.fingerprint == plain.fingerprint


def test_the_fingerprint_is_what_it_was_before_it_was_streamed(folder):
    data, parts = Dataset.open(folder), []
    for table, names in ((data.clips, data.clips.column_names[:6]), (data.captions, CAPTION_SCHEMA.names)):
        for name in names:
            values = table[name].to_pylist()
            if isinstance(values[-1], str):
                parts += [np.array([len(one.encode()) for one in values], np.int32).tobytes(), "".join(values).encode()]
            else:
                numbers = [float("nan") if one is None else one for one in values]
                parts.append(np.array(numbers, table[name].type.to_pandas_dtype()).tobytes())
    assert data.fingerprint == fingerprint(*parts)


def test_nothing_of_it_is_in_memory(folder):
    Dataset.open(folder, is_mapped=True).split("train").in_langs(["en"])
    before = pa.total_allocated_bytes()
    data = Dataset.open(folder, is_mapped=True)
    parts = [data.split("train"), data.split("train").in_langs(["en"])]
    assert pa.total_allocated_bytes() - before < 100_000 < data.captions.nbytes / 20
    assert len(Texts(parts[1].captions["text"])) > NUM_CAPTIONS / 3


def test_what_was_written_is_found_again_and_other_data_is_not(folder, tmp_path):
    Dataset.open(folder, is_mapped=True).split("val")
    files = {path: path.stat().st_mtime_ns for path in (folder / "prepared" / "tables").iterdir()}
    Dataset.open(folder, is_mapped=True).split("val")
    assert files == {path: path.stat().st_mtime_ns for path in (folder / "prepared" / "tables").iterdir()}
    data = Dataset.open(folder)
    changed = data.where_captions(np.arange(NUM_CAPTIONS) > 0)
    assert Dataset.open(changed.save(tmp_path / "other").folder, is_mapped=True).captions.num_rows == NUM_CAPTIONS - 1


def test_where_nothing_can_be_written_tables_are_in_memory(folder, tmp_path):
    data = Dataset.open(folder).save(tmp_path / "data")
    (tmp_path / "data" / "prepared").write_text("a file")
    mapped = Dataset.open(tmp_path / "data", is_mapped=True)
    assert not mapped.is_mapped and mapped.captions.equals(data.captions)


def test_a_file_that_is_gone_or_broken_and_a_row_that_lacks_a_value_are_named(folder, tmp_path):
    data = Dataset.open(folder).save(tmp_path / "data")
    file = tmp_path / "data" / "captions.parquet"
    texts = pa.chunked_array([data.captions["text"].slice(0, 30_000), pa.nulls(10_000, pa.string())])
    pq.write_table(data.captions.set_column(3, "text", texts), file)
    with pytest.raises(DataError, match="row 30000 has no text"):
        Dataset.open(tmp_path / "data", is_mapped=True)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="is no sound Parquet file"):
        Dataset.open(tmp_path / "data", is_mapped=True)
    file.unlink()
    with pytest.raises(DataError, match="does not exist"):
        Dataset.open(tmp_path / "data", is_mapped=True)


def test_features_of_a_mapped_dataset_are_found_on_the_disk(folder):
    plain, mapped = (Dataset.open(folder, is_mapped=is_mapped).features("noise") for is_mapped in (False, True))
    ids = Dataset.open(folder).clip_ids
    assert mapped.fingerprint == plain.fingerprint
    pairs = sorted(zip(plain.clip_ids, plain.manifest["checksum"].to_pylist(), strict=True))
    assert plain.fingerprint == fingerprint(plain.settings.facts(), [list(pair) for pair in pairs])
    for store in (plain, mapped):
        assert store.missing(ids) == [ids[-1]] and ids[-1] not in store and ids[0] in store
        assert [rows.tolist() for rows in store.of_clips([ids[5], ids[1], ids[5]])] == [
            [[5] * 3] * 3,
            [[1] * 3] * 2,
            [[5] * 3] * 3,
        ]
        with pytest.raises(DataError, match=f"clip '{ids[-1]}' has no features in"):
            store.of_clips([ids[0], ids[-1]])


def test_texts_are_a_sequence():
    texts = Texts(pa.chunked_array([["a", "b"], [], ["c"]]))
    assert list(texts) == ["a", "b", "c"] == texts and texts == Texts(["a", "b", "c"]) and texts != ["a"]
    assert texts[1:] == ["b", "c"] and texts[-1] == "c" and len(texts) == 3 and texts[np.int64(2)] == "c"
    assert texts.fingerprint == Texts(["a", "b", "c"]).fingerprint != Texts(["ab", "c"]).fingerprint
    assert not Texts([]) and list(Texts([])) == []


def test_rows_are_gathered_in_the_order_asked_for():
    column = pa.chunked_array([pa.array(["x", "a", "b"]).slice(1), pa.array([], pa.string()), pa.array(["c"])])
    assert gather(column, np.array([2, 0, 1, 2])).to_pylist() == ["c", "a", "b", "c"]
    assert gather(column, np.array([], np.int64)).to_pylist() == []


def test_a_digest_of_pieces_is_that_of_the_whole():
    parts = [b"some", b"", b"more bytes"]
    assert fingerprint_streamed((len(part), [part[:2], part[2:]]) for part in parts) == fingerprint(*parts)
