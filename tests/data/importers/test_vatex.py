"""VATEX in the publisher's layout, five made-up clips."""

import json

import pytest

from polyreel.data.importers.vatex import import_vatex
from polyreel.errors import DataError


def clip(name, *fields):
    words = {"enCap": "sentence", "chCap": "句子"}
    return {"videoID": name, **{field: [f"{words[field]} {number} of {name}" for number in range(10)]
                                for field in fields or words}}  # fmt: skip


TRAINING = [clip("ab_cd-Ef_000010_000020"), clip("gh_000000_000010"), clip("ij_000003_000013")]
FILES = {
    "vatex_training_v1.0.json": json.dumps(TRAINING),
    "vatex_validation_v1.0.json": json.dumps([clip("kl_000001_000011")], ensure_ascii=False),
    "vatex_public_test_english_v1.1.json": json.dumps([clip("mn_000005_000015", "enCap")]),
    "vatex_private_test_without_annotations.json": json.dumps([{"videoID": "op_000005_000015"}]),
}


def imported(write, tmp_path, files):
    return import_vatex(write(files), tmp_path / "vatex")


def test_splits_times_and_languages(write, tmp_path):
    dataset = imported(write, tmp_path, FILES)
    clips = {one.clip_id: one for one in dataset.iter_clips()}
    assert {name: one.split for name, one in clips.items()} == {
        "ab_cd-Ef_000010_000020": "train",
        "gh_000000_000010": "train",
        "ij_000003_000013": "train",
        "kl_000001_000011": "val",
        "mn_000005_000015": "test",
    }
    first = clips["ab_cd-Ef_000010_000020"]
    assert (first.video, first.source, first.start_seconds, first.end_seconds) == ("ab_cd-Ef", "ab_cd-Ef", 10, 20)
    assert dataset.langs == ("en", "zh")
    assert dataset.captions.num_rows == 4 * 20 + 10


def test_the_last_five_captions_are_translations_and_the_first_five_are_not(write, tmp_path):
    dataset = imported(write, tmp_path, FILES)
    name = "gh_000000_000010"
    ids = {(one.lang, one.text): one.caption_id for one in dataset.iter_captions() if one.clip_id == name}
    for number in range(10):
        english, chinese = ids["en", f"sentence {number} of {name}"], ids["zh", f"句子 {number} of {name}"]
        assert (english == chinese) == (number >= 5)
    assert len(dataset.parallel(["en", "zh"])) == 4 * 5
    assert {one.origin for one in dataset.iter_captions()} == {"human"}


def test_languages_in_files_of_their_own_meet_in_one_clip(write, tmp_path):
    files = {
        "vatex_public_test_english_v1.1.json": json.dumps([clip("mn_000005_000015", "enCap")]),
        "vatex_public_test_chinese_v1.1.json": json.dumps([clip("mn_000005_000015", "chCap")]),
    }
    dataset = imported(write, tmp_path, files)
    assert dataset.clips.num_rows == 1
    assert len(dataset.parallel(["en", "zh"])) == 5


def test_a_video_in_two_splits_is_a_recorded_warning(write, tmp_path):
    both = {"vatex_training_v1.0.json": json.dumps([clip("gh_000000_000010")]),
            "vatex_validation_v1.0.json": json.dumps([clip("gh_000020_000030")])}  # fmt: skip
    (warning,) = imported(write, tmp_path, both).recorded_warnings
    assert "'gh' ('train' and 'val'); kept" in warning


NAME = "vatex_training_v1.0.json"
FAULTS = {
    "missing field": ({NAME: [{"enCap": []}]}, rf"{NAME}\[0\] has no field 'videoID'; it has 'enCap'"),
    "video id": (
        {NAME: [clip("abc_10")]},
        rf"{NAME}\[0\] has videoID 'abc_10'; expected ID_START_END, such as 'Ab3dEf_000010_000020'",
    ),
    "no captions": (
        {NAME: [{"videoID": "ab_000010_000020"}]},
        rf"{NAME}\[0\] has no captions; expected 'enCap', 'chCap' or both; the private test is published without",
    ),
    "nine captions": (
        {NAME: [clip("ab_000010_000020") | {"chCap": ["x"] * 9}]},
        rf"{NAME}\[0\] has 9 captions in 'chCap'; expected 10, because their order alone says which are translations",
    ),
    "no text": (
        {NAME: [clip("ab_000010_000020") | {"enCap": ["x"] * 9 + [None]}]},
        rf"{NAME}\[0\] has enCap\[9\] None; expected text",
    ),
    "empty caption": (
        {NAME: [clip("ab_000010_000020") | {"enCap": [""] * 10}]},
        rf"{NAME}\[0\], enCap\[0\] has an empty caption; .* \(and 9 more like it\)",
    ),
    "clip twice": (
        {NAME: [clip("ab_000010_000020")] * 2},
        rf"{NAME}\[1\], enCap\[0\] repeats the caption id 'ab_000010_000020#en0' in 'en' of {NAME}\[0\], enCap\[0\]",
    ),
    "two splits": (
        {NAME: [clip("ab_000010_000020")], "vatex_validation_v1.0.json": [clip("ab_000010_000020")]},
        r"validation_v1.0.json\[0\] has 'ab_000010_000020' in the split 'val', but it is in 'train' already",
    ),
    "an object": ({NAME: {"videoID": "ab"}}, rf"{NAME} holds a dict; expected a list of JSON objects"),
    "no object": ({NAME: ["ab"]}, rf"{NAME}\[0\] holds a str; expected a JSON object"),
    "nothing": ({"notes.json": []}, r"holds no file of VATEX; expected vatex_training\*.json, vatex_validation\*.json"),
}


@pytest.mark.parametrize(("files", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_name_their_place(write, tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        imported(write, tmp_path, {name: json.dumps(content) for name, content in files.items()})


def test_a_file_whose_name_says_no_split_is_refused(write, tmp_path):
    folder = write({"vatex.json": json.dumps(TRAINING)})
    with pytest.raises(
        DataError, match=r"vatex.json does not say its split; expected a name with training, validation"
    ):
        import_vatex(folder / "vatex.json", tmp_path / "vatex")
