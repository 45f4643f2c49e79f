"""Whole imports: real files in, a dataset out, or nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.dataset import Dataset
from polyreel.data.importers.tables import import_tables
from polyreel.errors import DataError

CLIPS = "clip_id,video,split,source,topic\na,a.mp4,train,A,cats\nb,b.mp4,test,B,dogs\n"
LONG = "clip_id,lang,text\na,en,a cat\na,de,eine Katze\nb,en,a dog\n"
LAYOUT = '[clips]\nfile = "clips.csv"\n[captions]\nfile = "captions.csv"\n'
WIDE = '[clips]\nsplit = "test"\n[captions]\nfile = "w.tsv"\nlangs = { en = "english", cs = "czech" }\n'


def run(write, tmp_path, files, **settings):
    return import_tables(write(files), tmp_path / "out", **settings)


def rows(dataset, *names):
    return list(zip(*(dataset.captions[name].to_pylist() for name in names), strict=True))


def test_long_tables(write, tmp_path):
    layout = LAYOUT.replace('"clips.csv"', '"clips.csv"\nkeep = ["topic"]')
    dataset = run(write, tmp_path, {"import.toml": layout, "clips.csv": CLIPS, "captions.csv": LONG})
    assert dataset.name == "out"
    assert dataset.clips["topic"].to_pylist() == ["cats", "dogs"]
    assert rows(dataset, "caption_id", "lang", "text") == [
        ("a#0", "en", "a cat"), ("a#1", "de", "eine Katze"), ("b#0", "en", "a dog"),
    ]  # fmt: skip
    assert dataset.parallel(["en", "de"]) == [], "captions without ids are not taken for translations"


def test_wide_tables_leave_out_what_is_empty(write, tmp_path):
    table = "clip_id\tenglish\tczech\nb\ta dog\t\na\ta cat\tkočka\na\t \ttři\n"
    dataset = run(write, tmp_path, {"import.toml": WIDE, "w.tsv": table})
    assert rows(dataset, "caption_id", "lang", "text") == [
        ("b#0", "en", "a dog"), ("a#0", "en", "a cat"), ("a#0", "cs", "kočka"), ("a#1", "cs", "tři"),
    ]  # fmt: skip
    assert dataset.parallel(["en", "cs"]) == ["a#0"]
    assert [(clip.clip_id, clip.video, clip.source, clip.split) for clip in dataset.iter_clips()] == [
        ("b", "b", "b", "test"), ("a", "a", "a", "test"),
    ]  # fmt: skip


def test_captions_follow_their_sentence_numbers(write, tmp_path):
    layout = WIDE + 'columns = { sentence = "n" }\norigins = { cs = "machine-translated" }\n'
    table = "clip_id\tn\tenglish\tczech\nb\t10\tx\ty\na\t2\tx\t\nb\t9\tx\ty\na\t1\t\ty\n"
    dataset = run(write, tmp_path, {"import.toml": layout, "w.tsv": table})
    assert rows(dataset, "caption_id", "lang", "origin") == [
        ("b#9", "en", "human"), ("b#9", "cs", "machine-translated"),
        ("b#10", "en", "human"), ("b#10", "cs", "machine-translated"),
        ("a#1", "cs", "machine-translated"), ("a#2", "en", "human"),
    ]  # fmt: skip


def test_several_files_each_with_its_own_split_and_language(write, tmp_path):
    layout = (
        '[[clips]]\nfile = "train.jsonl"\nsplit = "train"\n[[clips]]\nfile = "test.jsonl"\nsplit = "test"\n'
        '[[captions]]\nfile = "en.csv"\nlangs = { en = "text" }\n'
        '[[captions]]\nfile = "de.csv"\nlangs = { de = "text" }\n'
    )
    files = {
        "import.toml": layout,
        "train.jsonl": '{"clip_id": "a", "start_seconds": 1.5}\n',
        "test.jsonl": '{"clip_id": "b", "start_seconds": null, "split": "ignored"}\n',
        "en.csv": "clip_id,text,weight\na,a cat,0.5\n",
        "de.csv": "clip_id,text,origin\na,eine Katze,generated\nb,ein Hund,human\n",
    }
    dataset = run(write, tmp_path, files)
    assert [(clip.split, clip.start_seconds) for clip in dataset.iter_clips()] == [("train", 1.5), ("test", None)]
    assert rows(dataset, "caption_id", "lang", "origin", "weight") == [
        ("a#0", "en", "human", 0.5), ("a#1", "de", "generated", 1.0), ("b#0", "de", "human", 1.0),
    ]  # fmt: skip


def test_parquet_and_features_by_extractor(write, tmp_path):
    source = write({"import.toml": '[clips]\nfile = "c.parquet"\nkeep = ["score"]\n[features.pooled]\nfile = "f"\n'})
    pq.write_table(
        pa.table({"clip_id": ["a", "b"], "split": ["train", "train"], "score": [3, 4]}), source / "c.parquet"
    )
    (source / "f").mkdir()
    np.save(source / "f" / "b.npy", np.ones(5, np.float32))
    dataset = import_tables(source, tmp_path / "out")
    assert dataset.clips["score"].to_pylist() == [3, 4]
    assert dataset.features("pooled").missing(dataset.clip_ids) == ["a"]
    assert dataset.features("pooled")["b"].shape == (1, 5)


def test_videos_are_found_with_and_without_suffix(write, tmp_path):
    files = {
        "import.toml": 'videos = "v"\n[clips]\nfile = "c.csv"\nsplit = "test"\n',
        "v/x/a.mp4": "",
        "v/b.c.webm": "",
    }
    dataset = run(write, tmp_path, {**files, "c.csv": "clip_id,video\n1,x/a\n2,b.c.webm\n3,./b.c\n"})
    assert dataset.clips["video"].to_pylist() == ["x/a.mp4", "b.c.webm", "b.c.webm"]
    assert dataset.videos_folder is not None and (dataset.videos_folder / "x" / "a.mp4").is_file()


def test_a_publishers_split_is_let_pass_and_recorded(write, tmp_path):
    files = {"clips.csv": CLIPS.replace(",B,", ",A,"), "captions.csv": LONG}
    with pytest.raises(DataError, match=r"the first is 'A' .*or say that the split is the publisher's"):
        run(write, tmp_path, {"import.toml": LAYOUT, **files})
    dataset = run(write, tmp_path, {"import.toml": "publisher_splits = true\n" + LAYOUT, **files})
    (warning,) = Dataset.open(tmp_path / "out").recorded_warnings
    assert warning in dataset.recorded_warnings and "kept, because the split is the publisher's" in warning


FAULTS = [
    ({"captions.csv": LONG + "c,en,a cow\n"}, r"^captions\.csv, line 5 names the clip 'c', which is not among"),
    ({"clips.csv": CLIPS + "a,c.mp4,train,C,x\n"}, r"^clips\.csv, line 4 repeats the clip id 'a' of clips\.csv"),
    ({"captions.csv": LONG + "b,en,\n"}, r"^captions\.csv, line 5 has an empty caption"),
    ({"captions.csv": LONG + "b,cz,pes\n"}, r"^captions\.csv, line 5 .*has language 'cz'; .* did you mean 'cs'"),
    ({"captions.csv": LONG + "b,,pes\n"}, r"^captions\.csv, line 5 .*has language ''"),
    ({"captions.csv": LONG.encode() + b"b,en,\xff\n"}, r"^captions\.csv, line 5 is not UTF-8"),
    ({"captions.csv": LONG.replace("text", "txt")}, r"^captions\.csv has no column 'text'; .* did you mean 'txt'"),
    ({"captions.csv": LONG.replace("lang", "l")}, r"no column 'lang'; .* name these under \[captions\.langs\]"),
    ({"captions.csv": "clip_id,caption_id,lang,text\na,1,en,x\na,1,en,y\n"},
     r"line 3 repeats the caption id '1' in 'en' of captions\.csv, line 2"),
    ({"clips.csv": CLIPS.replace("split", "part")}, r"clips\.csv has no column 'split'; .* or say split = \"train\""),
    ({"clips.csv": CLIPS.replace("train", "")}, r"^clips\.csv, line 2 has no split"),
    ({"clips.csv": CLIPS.replace("topic", "end_seconds")}, r"^clips\.csv, line 2 has end_seconds 'cats'; expected a"),
    ({"import.toml": LAYOUT.replace("captions.csv", "caption.csv")}, r"^caption\.csv does not exist in"),
    ({"import.toml": LAYOUT + "columns = { sentence = 'text' }"}, r"line 2 has text 'a cat'; expected a number"),
    ({"import.toml": LAYOUT + "columns = { sentence = 'n' }", "captions.csv": "clip_id,lang,text,n\na,en,x,1.5\n"},
     r"^captions\.csv, line 2 has n '1\.5'; expected a whole number, 0 or more"),
    ({"import.toml": LAYOUT.replace('[clips]\nfile = "clips.csv"\n', "")}, "no clip table and no split; say split = "),
    ({"import.toml": "videos = 'v'\n" + LAYOUT, "v/a.mp4": ""},
     r"^clips\.csv, line 3 names the video 'b\.mp4', which is no file in v; expected one"),
    ({"import.toml": "videos = 'v'\n" + LAYOUT, "clips.csv": CLIPS.replace("a.mp4", "a"), "v/a.mp4": "", "v/a.mkv": ""},
     r"names the video 'a', which is several files in v: a\.mkv, a\.mp4; expected one"),
    ({"import.toml": "videos = 'nowhere'\n" + LAYOUT}, "^nowhere does not exist in"),
    ({"import.toml": LAYOUT + "[features.x]\nfile = 'f.npz'\n", "f.npz": "no"}, r"^f\.npz is no array of numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "message"), FAULTS, ids=[message[-40:] for _, message in FAULTS])
def test_bad_input_names_its_line_and_leaves_nothing(write, tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        run(write, tmp_path, {"import.toml": LAYOUT, "clips.csv": CLIPS, "captions.csv": LONG, **files})
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_features_that_fail_late_leave_nothing(write, tmp_path):
    source = write({"import.toml": LAYOUT + "[features.x]\nfile = 'f'\n", "clips.csv": CLIPS, "captions.csv": LONG})
    (source / "f").mkdir()
    for name, rows_of_clip in (("a", np.ones((2, 3))), ("b", np.full((2, 3), np.nan))):
        np.save(source / "f" / f"{name}.npy", rows_of_clip)
    with pytest.raises(DataError, match=r"^f/b\.npy: clip 'b' has NaN"):
        import_tables(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_dataset_is_replaced_only_if_told(write, tmp_path):
    files = {"import.toml": LAYOUT, "clips.csv": CLIPS, "captions.csv": LONG}
    first = run(write, tmp_path, files)
    with pytest.raises(DataError, match=r"out already is a dataset \(features: none\); .* say --replace to delete it"):
        run(write, tmp_path, files)
    second = run(write, tmp_path, {"captions.csv": LONG + "b,en,two dogs\n"}, replace=True)
    assert second.captions.num_rows == first.captions.num_rows + 1
    with pytest.raises(DataError, match="line 6"):
        run(write, tmp_path, {"captions.csv": LONG + "b,en,two dogs\nb,en,\n"}, replace=True)
    assert Dataset.open(tmp_path / "out").fingerprint == second.fingerprint


def test_other_folders_are_never_replaced(write, tmp_path):
    source = write({"import.toml": LAYOUT, "clips.csv": CLIPS, "captions.csv": LONG})
    with pytest.raises(DataError, match="source exists and is no dataset; name another folder"):
        import_tables(source, source, replace=True)
    (source / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="source holds the files to import"):
        import_tables(source, source, replace=True)


def test_an_empty_folder_may_be_filled(write, tmp_path):
    (tmp_path / "out").mkdir()
    assert run(write, tmp_path, {"import.toml": LAYOUT, "clips.csv": CLIPS, "captions.csv": LONG}).clip_ids == [
        "a",
        "b",
    ]


def test_progress_is_told(write, tmp_path):
    told = []
    files = {"import.toml": LAYOUT, "clips.csv": CLIPS, "captions.csv": LONG}
    run(write, tmp_path, files, progress=lambda done, total, doing: told.append(doing))
    assert told == ["reading captions", "reading clips", "checking"]


def test_real_data(shared, tmp_path):
    dataset = import_tables(shared / "data" / "msrvtt1k", tmp_path / "ds", layout="msrvtt1k")
    assert dataset.name == "msrvtt1k"
    assert {name: dataset.split(name).clips.num_rows for name in dataset.splits} == {
        "train": 500,
        "val": 100,
        "test": 150,
    }
    assert rows(dataset, "caption_id", "lang", "origin")[:3] == [
        ("video0#0", "en", "human"), ("video0#0", "it", "machine-translated"), ("video0#1", "en", "human"),
    ]  # fmt: skip
    assert dataset.captions.num_rows == 30_000 and len(dataset.parallel(["en", "it"])) == 15_000
    ids = (shared / "data" / "msrvtt1k" / "feature_ids.txt").read_text().split()
    array = np.load(shared / "data" / "msrvtt1k" / "features.npy", mmap_mode="r")
    np.testing.assert_array_equal(dataset.features("vgg16")[ids[700]], array[700])
    assert dataset.features("vgg16").missing(dataset.clip_ids) == []
    one = dataset.first_captions({"it": 1}).in_langs(["it"])
    assert set(one.captions["caption_id"].to_pylist()) == {f"{clip_id}#0" for clip_id in dataset.clip_ids}
