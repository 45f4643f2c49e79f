"""Every fault of clips and captions has a message of its own."""

from dataclasses import replace

import pytest

from polyreel.data.checks import check_captions, check_clips, codes, straddling_sources
from polyreel.data.clips import CAPTION_SCHEMA, CLIP_SCHEMA, ORIGINS, Caption, Clip, as_table
from polyreel.errors import DataError

A = Clip(clip_id="a", video="a.mp4", split="train", source="a")
B = Clip(clip_id="b", video="b.mp4", split="test", source="b", start_seconds=1.0, end_seconds=2.0)
EN = Caption(caption_id="a#0", clip_id="a", lang="en", text="a dog")
DE = replace(EN, lang="de", text="ein Hund")


def clips(*rows):
    return check_clips(as_table(rows, CLIP_SCHEMA), False, lambda row: f"clips.csv, line {row + 2}")


def captions(*rows):
    clip_table = as_table([A, B], CLIP_SCHEMA)
    check_captions(as_table(rows, CAPTION_SCHEMA), clip_table, ORIGINS, lambda row: f"captions.csv, line {row + 2}")


def test_sound_tables_pass():
    assert clips(A, B) == ()
    captions(EN, DE, replace(EN, caption_id="b#0", clip_id="b"))
    captions()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no clips"),
        ([A, replace(B, clip_id=" ")], "clips.csv, line 3 has no clip_id"),
        ([A, replace(B, video="")], "clips.csv, line 3 has no video"),
        ([A, replace(B, split="")], "clips.csv, line 3 has no split; say 'train'"),
        ([A, replace(B, source="")], "clips.csv, line 3 has no source"),
        ([A, B, A], r"clips.csv, line 4 repeats the clip id 'a' of clips.csv, line 2; it must be unique$"),
        ([A, A, A], r"line 3 repeats .* \(and 1 more like it\)"),
        ([replace(A, start_seconds=-1.0)], "line 2 runs from -1.0 to None; times are seconds"),
        ([replace(B, end_seconds=1.0)], "line 2 runs from 1.0 to 1.0"),
        ([replace(B, start_seconds=float("nan"))], "line 2 runs from nan to 2.0"),
        ([A, replace(B, source="a")], "1 source video.s. have clips in more than one split, the first is 'a' "
         ".'train' and 'test'.; a source belongs to one split"),
    ],
)  # fmt: skip
def test_faults_of_clips(rows, message):
    with pytest.raises(DataError, match=message):
        clips(*rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([EN, replace(EN, clip_id="c")], "captions.csv, line 3 names the clip 'c', which is not among the clips; "
         "expected one of the 2 clips, such as 'a'"),
        ([replace(EN, text=" \t")], "captions.csv, line 2 has an empty caption; leave the caption out"),
        ([EN, replace(EN, lang="cz")], r"line 3 \(caption 'a#0'\) has language 'cz'; .*did you mean 'cs'"),
        ([EN, DE, EN], "line 4 repeats the caption id 'a#0' in 'en' of captions.csv, line 2; it must be unique"),
        ([EN, replace(DE, clip_id="b")], "line 3 uses the caption id 'a#0' for the clip 'b', but captions.csv, "
         "line 2 uses it for 'a'; only a sentence and its translations share an id"),
        ([replace(EN, caption_id="")], "line 2 has no caption id"),
        ([replace(EN, origin="robot")], "line 2 has the origin 'robot'; allowed are human, machine-translated"),
        ([replace(EN, weight=0.0)], "line 2 has the weight 0.0; it must be above 0"),
        ([replace(EN, weight=float("nan"))], "line 2 has the weight nan"),
    ],
)  # fmt: skip
def test_faults_of_captions(rows, message):
    with pytest.raises(DataError, match=message):
        captions(*rows)


def test_a_publishers_straddling_source_is_a_warning():
    table = as_table([A, B, replace(B, clip_id="c", source="a"), replace(B, clip_id="d", source="a")], CLIP_SCHEMA)
    (warning,) = check_clips(table, True)
    assert warning == (
        "1 source video(s) have clips in more than one split, the first is 'a' ('train' and 'test'); "
        "kept, because the split is the publisher's"
    )
    assert straddling_sources(table) == {"a": ("train", "test")}


def test_codes_number_values_by_first_appearance():
    column = as_table([A, B, replace(A, source="z")], CLIP_SCHEMA)["clip_id"]
    assert codes(column).tolist() == [0, 1, 0]
    assert codes(column.combine_chunks().slice(1)).tolist() == [0, 1]
