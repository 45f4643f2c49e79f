"""Every problem of a folder that anyone made, not only the first."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.checkup import check
from polyreel.data.clips import CAPTION_SCHEMA, Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.translations import Translation, append_translations
from polyreel.storage import read_json, write_json


@pytest.fixture
def folder(tmp_path):
    clips = [Clip(clip_id=name, video=f"{name}.mp4", split="train", source=name) for name in "abc"]
    captions = [Caption(caption_id=f"{name}#0", clip_id=name, lang="en", text=f"clip {name}") for name in "abc"]
    made = Dataset.build("small", clips, captions).save(tmp_path)
    with FeatureWriter(made.features_folder("one"), FeatureSettings.imported("one", 2)) as writer:
        for name in "abc":
            writer.add(name, np.ones((2, 2)))
    return tmp_path


def found(folder):
    return [str(problem) for problem in check(folder)]


def rewrite(folder, **changes):
    table = pq.read_table(folder / "captions.parquet").to_pydict()
    nullable = pa.schema([field.with_nullable(True) for field in CAPTION_SCHEMA])
    pq.write_table(pa.table(table | changes, schema=nullable), folder / "captions.parquet")


def test_a_sound_dataset_has_no_problem(folder):
    assert found(folder) == []


def test_every_row_that_is_wrong_is_named(folder):
    rewrite(folder, lang=["cz", "en", "en"], text=["x", " ", "y"], clip_id=["a", "b", "zz"], weight=[1, 0, 1])
    assert found(folder) == [
        "captions.parquet, row 0 (caption 'a#0') has language 'cz'; expected an ISO 639-1 code; did you mean 'cs'?",
        "captions.parquet, row 2 names the clip 'zz', which is not among the clips; expected one of the 3 clips, such "
        "as 'a'; add the clip, or leave the caption out",
        "captions.parquet, row 1 has an empty caption; leave the caption out where there is none in a language",
        "captions.parquet, row 1 has the weight 0.0; it must be above 0",
        *found(folder)[4:],
    ]
    assert found(folder)[4].startswith("dataset.json has fingerprint ") and len(found(folder)) == 5


def test_a_row_without_a_value_does_not_hide_the_others(folder):
    rewrite(folder, text=[None, "x", ""])
    assert found(folder)[:2] == [
        "captions.parquet, row 0 has no text; every row needs one",
        "captions.parquet, row 2 has an empty caption; leave the caption out where there is none in a language",
    ]


def test_broken_files_are_named_and_the_rest_is_checked(folder):
    (folder / "clips.parquet").write_bytes(b"x")
    write_json(folder / "dataset.json", {"schema_version": 1, "nam": "x"})
    assert [problem.place for problem in check(folder)] == ["dataset.json", "clips.parquet"]
    (folder / "captions.parquet").unlink()
    assert "captions.parquet cannot be read" in found(folder)[2]


def test_features_are_checked_to_the_last_byte(folder):
    shard = folder / "features" / "one" / "shard-00000.npy"
    rows = np.load(shard)
    rows[0, 0], rows[2, 0] = 5.0, np.nan
    np.save(shard, rows)
    assert found(folder) == [
        "features/one has other features of 'a' than were written; extract it again",
        "features/one is broken: clip 'b' has NaN or infinity in its features (first in frame 0); extract it again",
    ]
    Dataset.open(folder).where_clips(np.array([True, True, False])).save(folder)
    assert "features/one has features of 'c', which is not among the 2 clips" in found(folder)


def test_sources_in_two_splits_and_missing_videos(folder):
    clips = [Clip(clip_id=name, video=f"{name}.mp4", split=name, source="x") for name in "ab"]
    (folder / "videos").mkdir()
    Dataset.build("odd", clips, [], videos_folder=folder / "videos", has_publisher_splits=True).save(folder / "odd")
    problems = found(folder / "odd")
    assert [problem.split(";")[0] for problem in problems] == [
        "clips.parquet names the video 'a.mp4' of clip 'a'", "clips.parquet names the video 'b.mp4' of clip 'b'",
    ]  # fmt: skip
    header = read_json(folder / "odd" / "dataset.json")
    write_json(folder / "odd" / "dataset.json", {**header, "recorded_warnings": [], "videos_folder": None})
    assert found(folder / "odd")[0].startswith("clips.parquet has clips of source 'x' in a and b; a source belongs")


def test_translations_are_checked(folder):
    row = Translation(
        caption_id="a#0", lang="xx", translation_id="1", text="y", source_lang="en", source_text="x",
        model="m", score=7.0,
    )  # fmt: skip
    append_translations(folder, [row, row])
    append_translations(folder, [Translation(**{**vars(row), "caption_id": "zz", "lang": "de", "score": None})])
    problems = found(folder)
    assert "translations, row 1 repeats the key of an earlier row" in problems
    assert "translations, row 0 has the score 7.0; it is a number from 0 to 1" in problems
    assert "translations, row 2 translates 'zz', which is no caption here" in problems
    assert any(line.startswith("translations, row 0 has language 'xx'; expected an ISO") for line in problems)
