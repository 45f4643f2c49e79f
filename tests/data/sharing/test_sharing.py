"""A dataset given away and taken back: hub folder, tar shards, spreadsheet."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.importers.tables import import_tables
from polyreel.data.sharing.hub import import_hub, write_hub_folder
from polyreel.data.sharing.shards import write_shards
from polyreel.data.sharing.spreadsheet import write_csv
from polyreel.data.translations import Translation, read_translations, with_translations, write_translations
from polyreel.errors import DataError

TEXTS = {"v.1#0": 'a "big" dog, barking', "v.1#1": "a cat", "b/2#0": "=2 men"}


@pytest.fixture
def dataset(tmp_path):
    clips = [
        Clip(clip_id="v.1", video="v1.mp4", start_seconds=1.5, end_seconds=4.0, split="train", source="x"),
        Clip(clip_id="b/2", video="b.mp4", split="all", source="y"),
    ]
    captions = [Caption(caption_id=key, clip_id=key[:3], lang="en", text=text) for key, text in TEXTS.items()]
    rows = [
        Translation(
            caption_id=key, lang="de", translation_id=key, text=f"de: {text}", source_lang="en", source_text=text,
            model="stand-in", revision="7", settings='{"beams": 1}',
        )
        for key, text in TEXTS.items()
    ]  # fmt: skip
    write_translations(tmp_path / "small", rows)
    made = Dataset.build("small", clips, captions)
    made = with_translations(made, read_translations(tmp_path / "small")).save(tmp_path / "small")
    with FeatureWriter(made.features_folder("one"), FeatureSettings.imported("one", 2)) as writer:
        writer.add("v.1", np.arange(6.0).reshape(3, 2))
        writer.add("b/2", np.ones((1, 2)))
    return made


def test_the_hub_folder_is_tables_and_a_card(dataset, tmp_path):
    folder = write_hub_folder(dataset, tmp_path / "hub", license_name="cc-by-4.0")
    table = pq.read_table(folder / "captions" / "train.parquet")
    assert table["text"].to_pylist()[0] == TEXTS["v.1#0"]
    assert table["video"].to_pylist() == ["v1.mp4"] * 4
    assert sorted(path.name for path in (folder / "clips").iterdir()) == ["all_1.parquet", "train.parquet"]
    card = (folder / "README.md").read_text("utf-8")
    assert card.startswith("---\n") and 'license: "cc-by-4.0"' in card and 'language: ["en", "de"]' in card
    assert "| German (`de`) | machine-translated | 3 | 2 | 1 / 1.5 / 2 |" in card
    assert '| stand-in | 7 | `{"beams": 1}` | en → de | 3 |' in card
    with pytest.raises(DataError, match="hub exists; name another folder"):
        write_hub_folder(dataset, folder)


@pytest.mark.slow
def test_the_hub_folder_comes_back_through_datasets(dataset, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the extra 'hub'")
    folder = write_hub_folder(dataset, tmp_path / "hub")
    captions = datasets.load_dataset(str(folder), "captions", split="train", cache_dir=str(tmp_path / "cache"))
    assert captions[0]["text"] == TEXTS["v.1#0"]
    back = import_hub(str(folder), tmp_path / "back")
    assert sorted(map(str, back.iter_captions())) == sorted(map(str, dataset.iter_captions()))
    assert list(back.iter_clips()) == list(dataset.iter_clips())
    assert read_translations(tmp_path / "back").equals(read_translations(dataset.folder))
    with pytest.raises(DataError, match="back already is a dataset"):
        import_hub(str(folder), tmp_path / "back")
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other" / "train.parquet")
    with pytest.raises(DataError, match="other has default, and no 'clips' and 'captions'"):
        import_hub(str(tmp_path / "other"), tmp_path / "new")


def test_shards_hold_features_and_captions_and_come_back(dataset, tmp_path):
    shards = write_shards(dataset, "one", tmp_path / "files" / "shards", shard_bytes=1)
    assert [shard.name for shard in shards] == ["00000.tar", "00001.tar"]
    again = write_shards(dataset, "one", tmp_path / "again", shard_bytes=1)
    assert [shard.read_bytes() for shard in shards] == [shard.read_bytes() for shard in again]
    (tmp_path / "files" / "clips.csv").write_text("clip_id,split\nv.1,train\nb/2,test\n")
    (tmp_path / "files" / "import.toml").write_text('[clips]\nfile = "clips.csv"\n[features.one]\nfile = "shards"\n')
    store = import_tables(tmp_path / "files", tmp_path / "back").features("one")
    assert store["v.1"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert store["b/2"].tolist() == [[1, 1]]


def test_a_broken_shard_is_named(dataset, tmp_path):
    write_shards(dataset, "one", tmp_path / "files" / "shards")
    (tmp_path / "files" / "shards" / "00001.tar").write_bytes(b"no tar")
    (tmp_path / "files" / "clips.csv").write_text("clip_id,split\nv.1,train\nb/2,test\n")
    (tmp_path / "files" / "import.toml").write_text('[clips]\nfile = "clips.csv"\n[features.one]\nfile = "shards"\n')
    with pytest.raises(DataError, match=r"shards/00001.tar is no array .*"):
        import_tables(tmp_path / "files", tmp_path / "back")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves its files open
def test_webdataset_reads_the_shards(dataset, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="needs the library webdataset")
    (shard,) = write_shards(dataset, "one", tmp_path / "shards")
    with webdataset.WebDataset(str(shard), shardshuffle=False).decode() as samples:
        first, second = list(samples)
    assert first["npy"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert first["json"]["captions"][1]["text"] == TEXTS["v.1#1"]
    assert second["json"]["clip_id"] == "b/2"


def test_a_spreadsheet_has_a_column_a_language(dataset, tmp_path):
    file = write_csv(dataset, tmp_path / "captions.csv")
    lines = file.read_text("utf-8-sig").splitlines()
    assert lines[0] == "caption_id,clip_id,split,en,de"
    assert lines[1] == 'v.1#0,v.1,train,"a ""big"" dog, barking","de: a ""big"" dog, barking"'
    with pytest.raises(DataError, match=r"captions.csv exists; name another file"):
        write_csv(dataset, file)
