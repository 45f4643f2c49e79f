"""A dataset in memory and at rest."""

import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.errors import DataError


def clip(clip_id, split="train"):
    return Clip(clip_id=clip_id, video=f"{clip_id}.mp4", split=split, source=clip_id)


def caption(clip_id, number, lang, text="x"):
    return Caption(caption_id=f"{clip_id}#{number}", clip_id=clip_id, lang=lang, text=text)


CLIPS = [clip("a"), clip("b"), clip("c", "test")]
CAPTIONS = [
    caption("a", 0, "en"), caption("a", 0, "de"), caption("b", 0, "en"), caption("a", 1, "en"), caption("c", 0, "de"),
    caption("a", 1, "cs"), caption("b", 1, "de"), caption("c", 0, "en"), caption("a", 2, "de"),
]  # fmt: skip

SAVE_AND_STOP = """
import os, pathlib, signal, sys
from polyreel.data.dataset import Dataset
folder, file = sys.argv[1:]
rename = pathlib.Path.replace
stop = lambda: os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = lambda path, place: stop() if place.name == file else rename(path, place)
Dataset.open(folder).split("test").save(folder)
"""


@pytest.fixture
def dataset():
    return Dataset.build("small", CLIPS, CAPTIONS)


def ids(dataset):
    return list(zip(*(dataset.captions[name].to_pylist() for name in ("caption_id", "lang")), strict=True))


def test_languages_are_english_first_then_the_alphabet(dataset):
    assert dataset.langs == ("en", "cs", "de")
    assert dataset.splits == ("train", "test")
    assert dataset.clip_ids == ["a", "b", "c"]


def test_a_split_has_its_clips_and_their_captions(dataset):
    test = dataset.split("test")
    assert test.clip_ids == ["c"]
    assert ids(test) == [("c#0", "de"), ("c#0", "en")]


def test_an_unknown_split_is_refused(dataset):
    with pytest.raises(DataError, match="dataset 'small' has no split 'val'; it has train, test"):
        dataset.split("val")


def test_masks_of_both_kinds_choose_clips_and_captions(dataset):
    assert dataset.where_clips(np.array([False, True, False])).clip_ids == ["b"]
    german = dataset.where_captions(pc.equal(dataset.captions["lang"], "de"))
    assert ids(german) == ids(dataset.in_langs(["de"]))
    assert german.clip_ids == dataset.clip_ids


def test_first_captions_limits_only_the_languages_named(dataset):
    kept = dataset.first_captions({"en": 1, "de": 1, "vi": 7})
    assert ids(kept) == [
        ("a#0", "en"), ("a#0", "de"), ("b#0", "en"), ("c#0", "de"), ("a#1", "cs"), ("b#1", "de"), ("c#0", "en"),
    ]  # fmt: skip
    assert ids(dataset.first_captions({"en": 0}).in_langs(["en"])) == []


def test_first_captions_and_parallel_equal_the_slow_loop():
    draw = random.Random(1)
    every = [caption(c, n, lang) for c in "abc" for n in range(6) for lang in ("en", "de", "cs") if draw.random() < 0.6]
    draw.shuffle(every)
    dataset = Dataset.build("random", CLIPS, every)
    limits, seen, kept = {"en": 2, "cs": 1}, {}, []
    for one in every:
        position = seen[one.clip_id, one.lang] = seen.get((one.clip_id, one.lang), 0) + 1
        if position <= limits.get(one.lang, 99):
            kept.append((one.caption_id, one.lang))
    assert ids(dataset.first_captions(limits)) == kept
    for langs in (["en"], ["en", "de"], ["en", "de", "cs"], ["en", "vi"]):
        in_all = [one.caption_id for one in every if one.lang in langs]
        sought = dict.fromkeys(one for one in in_all if in_all.count(one) == len(langs))
        assert dataset.parallel(langs) == list(sought)


def test_no_captions_is_a_dataset_too(tmp_path):
    empty = Dataset.build("videos", CLIPS, []).save(tmp_path / "ds")
    assert (empty.langs, empty.parallel([]), empty.first_captions({"en": 1}).captions.num_rows) == ((), [], 0)


def test_save_and_open_give_the_same(tmp_path, dataset):
    videos = tmp_path / "videos"
    saved = replace(dataset, videos_folder=videos, recorded_warnings=("odd",)).save(tmp_path / "sets" / "ds")
    assert saved.clips.equals(dataset.clips) and saved.captions.equals(dataset.captions)
    assert saved.fingerprint == dataset.fingerprint
    assert (saved.name, saved.recorded_warnings) == ("small", ("odd",))
    assert saved.videos_folder is not None and saved.videos_folder.resolve() == videos.resolve()
    assert list(saved.iter_clips()) == CLIPS
    assert list(saved.iter_captions()) == CAPTIONS


def test_a_dataset_can_be_moved(tmp_path, dataset):
    (tmp_path / "one").mkdir()
    replace(dataset, videos_folder=tmp_path / "one" / "ds" / "videos").save(tmp_path / "one" / "ds")
    moved = Dataset.open((tmp_path / "one").rename(tmp_path / "two") / "ds")
    assert moved.videos_folder is not None
    assert moved.videos_folder.resolve() == (tmp_path / "two" / "ds" / "videos").resolve()


def test_nothing_is_renamed_before_all_is_written(tmp_path, dataset, monkeypatch):
    old = dataset.save(tmp_path / "ds")
    written = []

    def fail_at_the_second(table, file, **settings):
        written.append(file)
        if len(written) == 2:
            raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        dataset.split("test").save(tmp_path / "ds")
    assert Dataset.open(tmp_path / "ds").fingerprint == old.fingerprint
    assert len(list((tmp_path / "ds").iterdir())) == 3


@pytest.mark.parametrize("stopped_at", ["captions.parquet", "dataset.json"])
def test_a_dataset_half_written_by_a_killed_process_is_refused(tmp_path, dataset, stopped_at):
    old = dataset.save(tmp_path / "ds")
    stopped = subprocess.run([sys.executable, "-c", SAVE_AND_STOP, tmp_path / "ds", stopped_at], check=False)
    assert stopped.returncode == -signal.SIGKILL
    with pytest.raises(DataError, match=r"clips\.parquet and the dataset\.json beside it are of two datasets; .*again"):
        Dataset.open(tmp_path / "ds")
    dataset.save(tmp_path / "ds")
    assert Dataset.open(tmp_path / "ds").fingerprint == old.fingerprint


def test_tables_that_are_gone_or_cut_short_are_named(tmp_path, dataset):
    dataset.save(tmp_path)
    table = tmp_path / "captions.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"captions\.parquet is no sound Parquet file, perhaps cut short"):
        Dataset.open(tmp_path)
    table.unlink()
    with pytest.raises(DataError, match=r"captions\.parquet does not exist; make what it belongs to anew"):
        Dataset.open(tmp_path)


def test_an_edited_header_is_said(tmp_path, dataset):
    dataset.save(tmp_path)
    header = tmp_path / "dataset.json"
    header.write_text(header.read_text().replace('"name"', '"nam"'))
    with pytest.raises(DataError, match=r"dataset\.json: the key 'name' is missing; unknown key 'nam'; did you mean"):
        Dataset.open(tmp_path)


def test_the_fingerprint_sees_content_and_order_not_chunks(dataset):
    halves = [dataset.captions.slice(0, 4), dataset.captions.slice(4)]
    chunked = replace(dataset, captions=pa.concat_tables(halves))
    assert chunked.fingerprint == dataset.fingerprint
    changes = [
        replace(dataset, captions=pa.concat_tables(halves[::-1])),
        Dataset.build("small", CLIPS, [replace(CAPTIONS[0], text="xy"), *CAPTIONS[1:]]),
        Dataset.build("small", CLIPS, [replace(CAPTIONS[0], weight=0.5), *CAPTIONS[1:]]),
        Dataset.build("small", [replace(CLIPS[0], start_seconds=0.0), *CLIPS[1:]], CAPTIONS),
    ]
    assert len({dataset.fingerprint, *(change.fingerprint for change in changes)}) == 5


def test_the_fingerprint_sees_where_one_cell_ends():
    one = Dataset.build("x", CLIPS, [caption("a", 0, "en", "ab"), caption("a", 1, "en", "c\0")])
    two = Dataset.build("x", CLIPS, [caption("a", 0, "en", "a"), caption("a", 1, "en", "bc\0")])
    assert one.fingerprint != two.fingerprint


def test_parts_keep_the_warnings(dataset):
    assert replace(dataset, recorded_warnings=("odd",)).split("test").recorded_warnings == ("odd",)


def test_tables_that_other_tools_wrote_are_read(tmp_path, dataset):
    dataset.save(tmp_path)
    wide = [pa.field(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in dataset.captions.schema]
    pq.write_table(dataset.captions.cast(pa.schema(wide)), tmp_path / "captions.parquet")
    assert Dataset.open(tmp_path).fingerprint == dataset.fingerprint


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"is no dataset: it has no dataset.json; make one with `polyreel import"):
        Dataset.open(tmp_path)


def test_a_later_schema_is_refused(tmp_path, dataset):
    dataset.save(tmp_path)
    header = tmp_path / "dataset.json"
    header.write_text(header.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(DataError, match="has schema version 2; this polyreel reads 1"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize("extractor", ["pixels", "onnx:models/net.onnx", "my net"])
def test_features_are_found_by_the_extractors_name(tmp_path, dataset, extractor):
    saved = dataset.save(tmp_path / "ds")
    settings = FeatureSettings(extractor=extractor, extractor_fingerprint="0", dim=2)
    with FeatureWriter(saved.features_folder(extractor), settings) as out:
        out.add("a", np.ones((1, 2), np.float32))
    assert Dataset.open(tmp_path / "ds").extractors == (extractor,)
    assert Dataset.open(tmp_path / "ds").split("train").features(extractor).clip_ids == ["a"]


def test_missing_features_are_named(tmp_path, dataset):
    with pytest.raises(DataError, match="dataset 'small' has no features 'clip'; it has none; make them with"):
        dataset.save(tmp_path).features("clip")


def test_a_dataset_in_memory_has_no_place_for_features(dataset):
    with pytest.raises(ValueError, match="in memory only; save it to a folder first"):
        dataset.features_folder("clip")
