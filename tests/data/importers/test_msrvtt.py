"""MSR-VTT in the publisher's layout, five made-up clips."""

import json
from pathlib import Path

import pytest

from polyreel.data.importers.msrvtt import import_msrvtt
from polyreel.errors import DataError

TIMES = {"start time": 137.5, "end time": 149.0}


def video(number, source, split):
    return {"category": 9, "url": f"https://www.youtube.com/watch?v={source}", "video_id": f"video{number}",
            "id": number, "split": split, **TIMES}  # fmt: skip


def sentence(number, video_number, caption):
    return {"caption": caption, "video_id": f"video{video_number}", "sen_id": number}


VIDEOS = [video(0, "aaa", "train"), video(1, "bbb", "train"), video(2, "ccc", "validate")]
TEST_VIDEOS = [video(7, "aaa", "test"), video(8, "ddd", "test")]
SENTENCES = [
    sentence(0, 0, "a dog swims"),
    sentence(1, 1, "two men sing"),
    sentence(2, 0, "a wet dog"),
    sentence(3, 2, "someone cooks rice"),
]
TEST_SENTENCES = [sentence(4, 7, "a dog dries itself"), sentence(5, 7, "A  Dog shakes"), sentence(6, 8, "a red car")]
TRAIN_VAL = {"info": {"year": "2016"}, "videos": VIDEOS, "sentences": SENTENCES}
TEST = {"info": {"year": "2016"}, "videos": TEST_VIDEOS, "sentences": TEST_SENTENCES}
YEAR_2016 = {
    "train_val_videodatainfo.json": json.dumps(TRAIN_VAL),
    "test_videodatainfo.json": json.dumps(TEST),
}
TEST_LIST = "key,vid_key,video_id,sentence\nret0,msr8,video8,a red car\nret1,msr7,video7,a dog shakes\n"
LISTS = {"MSRVTT_train.9k.csv": "video_id\nvideo0\nvideo2\n", "MSRVTT_JSFUSION_test.csv": TEST_LIST}


@pytest.fixture
def imported(write, tmp_path):
    """Import MSR-VTT from files by name; lists and translations are named in keywords."""

    def run(files, *, train_list=None, test_list=None, translations=None, **others):
        folder = write(files)
        return import_msrvtt(
            folder,
            tmp_path / "msrvtt",
            train_list=None if train_list is None else folder / train_list,
            test_list=None if test_list is None else folder / test_list,
            translations={lang: folder / file for lang, file in (translations or {}).items()},
            **others,
        )

    return run


def rows(dataset, lang="en"):
    return {one.caption_id: one.text for one in dataset.iter_captions() if one.lang == lang}


def splits(dataset):
    return {clip.clip_id: clip.split for clip in dataset.iter_clips()}


def test_the_edition_of_2016_keeps_its_split_and_says_what_straddles(imported):
    dataset = imported(YEAR_2016)
    assert splits(dataset) == {
        "video7": "test",
        "video8": "test",
        "video0": "train",
        "video1": "train",
        "video2": "val",
    }
    clip = next(clip for clip in dataset.iter_clips() if clip.clip_id == "video0")
    assert (clip.video, clip.source, clip.start_seconds, clip.end_seconds) == ("aaa", "aaa", 137.5, 149.0)
    assert rows(dataset)["video0#1"] == "a wet dog"
    assert dataset.langs == ("en",)
    (warning,) = dataset.recorded_warnings
    assert "'aaa' ('test' and 'train'); kept, because the split is the publisher's" in warning


def test_the_edition_of_2017_and_one_file_under_another_name_are_read_alike(imported, write, tmp_path):
    whole = json.dumps({"videos": VIDEOS + TEST_VIDEOS, "sentences": SENTENCES + TEST_SENTENCES})
    from_folder = imported({"videodatainfo_2017.json": whole})
    folder = write({"mine.json": whole})
    from_file = import_msrvtt(folder / "mine.json", tmp_path / "other")
    assert rows(from_folder) == rows(from_file)
    assert len(rows(from_file)) == 7


def test_lists_choose_clips_and_the_caption_that_is_asked(imported):
    dataset = imported(YEAR_2016 | LISTS, train_list="MSRVTT_train.9k.csv", test_list="MSRVTT_JSFUSION_test.csv")
    assert splits(dataset) == {"video0": "train", "video2": "train", "video7": "test", "video8": "test"}
    assert rows(dataset) == {
        "video0#0": "a dog swims",
        "video0#1": "a wet dog",
        "video2#0": "someone cooks rice",
        "video7#1": "A  Dog shakes",
        "video8#0": "a red car",
    }


def test_a_caption_of_the_list_that_is_new_is_kept_and_told(imported):
    changed = YEAR_2016 | {"test.csv": TEST_LIST.replace("a red car", "a blue car")}
    dataset = imported(changed, test_list="test.csv")
    assert rows(dataset)["video8#asked"] == "a blue car"
    assert dataset.recorded_warnings == (
        "1 sentence(s) of test.csv are not among their videos' captions, the first is that of 'video8'; kept as the "
        "list has them, without translations",
    )


def test_a_test_list_without_sentences_keeps_all_captions(imported):
    dataset = imported(YEAR_2016 | {"test.csv": "video_id\nvideo7\n"}, test_list="test.csv")
    assert list(rows(dataset)) == ["video7#0", "video7#1"]


ITALIAN = {"videos": [], "sentences": [sentence(6, 8, "una macchina rossa"), sentence(4, 7, "un cane si asciuga"),
                                       sentence(1, 1, ""), sentence(2, 0, "un cane bagnato")]}  # fmt: skip


def test_translations_that_repeat_the_file_are_joined_by_number(imported):
    dataset = imported(YEAR_2016 | {"it.json": json.dumps(ITALIAN)}, translations={"it": "it.json"})
    italian = {"video0#1": "un cane bagnato", "video7#0": "un cane si asciuga", "video8#0": "una macchina rossa"}
    assert rows(dataset, "it") == italian
    assert set(dataset.parallel(["en", "it"])) == set(italian)
    assert {one.origin for one in dataset.iter_captions() if one.lang == "it"} == {"machine-translated"}


def test_translations_follow_the_lists(imported):
    files = YEAR_2016 | LISTS | {"it.json": json.dumps(ITALIAN)}
    dataset = imported(files, test_list="MSRVTT_JSFUSION_test.csv", translations={"it": "it.json"})
    assert rows(dataset, "it") == {"video8#0": "una macchina rossa"}


def test_translations_by_video_are_joined_by_order_and_say_so(imported):
    german = {"video0.mp4": ["ein Hund schwimmt", "ein nasser Hund"], "video8": ["ein rotes Auto"]}
    dataset = imported(YEAR_2016 | {"de.json": json.dumps(german)}, translations={"de": "de.json"})
    assert rows(dataset, "de") == {
        "video0#0": "ein Hund schwimmt",
        "video0#1": "ein nasser Hund",
        "video8#0": "ein rotes Auto",
    }
    told = "de.json does not number its sentences; the order says which English one each translates"
    assert told in dataset.recorded_warnings


def changed(**fields):
    return json.dumps(TRAIN_VAL | fields)


def without(record, name):
    return {key: value for key, value in record.items() if key != name}


FAULTY_FILES = {
    "no videos": (changed(videos=None), "train_val_videodatainfo.json, videos holds a NoneType; expected a list"),
    "missing field": (
        changed(videos=[without(VIDEOS[0], "start time")]),
        r"videos\[0\] has no field 'start time'; it has 'category', 'url'",
    ),
    "no sentences": (
        json.dumps(without(TRAIN_VAL, "sentences")),
        "train_val_videodatainfo.json has no field 'sentences'; it has 'info', 'videos'; is the file of another kind",
    ),
    "split": (
        changed(videos=[VIDEOS[0] | {"split": "dev"}]),
        r"videos\[0\] has the split 'dev'; expected train, validate, test",
    ),
    "time": (changed(videos=[VIDEOS[0] | {"end time": "9"}]), r"videos\[0\] has end time '9'; expected a number"),
    "span": (changed(videos=[VIDEOS[0] | {"end time": 3}]), r"videos\[0\] runs from 137\.5 to 3\.0; times are seconds"),
    "caption": (changed(sentences=[sentence(0, 0, 7)]), r"sentences\[0\] has caption 7; expected text"),
    "empty caption": (changed(sentences=[sentence(0, 0, " ")]), r"sentences\[0\] has an empty caption"),
    "stranger": (
        changed(sentences=[sentence(0, 5, "x")]),
        r"sentences\[0\] names the clip 'video5', which is not among the clips",
    ),
    "number twice": (
        changed(sentences=[SENTENCES[0], SENTENCES[0]]),
        r"sentences\[1\] repeats sen_id 0 of 'video0'; are two years' files mixed",
    ),
    "video twice": (
        changed(videos=[VIDEOS[0], VIDEOS[0]]),
        r"videos\[1\] repeats the clip id 'video0' of train_val_videodatainfo\.json, videos\[0\]",
    ),
    "cut short": ('{"videos": [', "train_val_videodatainfo.json is not JSON .*; it may have been cut short; download"),
    "a list": ("[]", "train_val_videodatainfo.json holds a list; expected a JSON object"),
}


@pytest.mark.parametrize(("text", "message"), FAULTY_FILES.values(), ids=FAULTY_FILES)
def test_faults_of_the_files_name_their_place(imported, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        imported({"train_val_videodatainfo.json": text})
    assert not (tmp_path / "msrvtt").exists()


FAULTY_LISTS = {
    "unknown": ("video_id\nvideo0\nvideo99\n", r"list.csv, line 3 names the video 'video99', which is not among the 5"),
    "twice": (
        "video_id\nvideo0\nvideo0\n",
        "list.csv, line 3 names the video 'video0', which list.csv, line 2 names already; a clip stands in one list",
    ),
    "empty": ("video_id\n", "list.csv lists no videos; expected a video_id a row"),
    "no ids": ("video\nvideo0\n", "list.csv has no column 'video_id'; it has video; did you mean 'video'"),
}


@pytest.mark.parametrize(("text", "message"), FAULTY_LISTS.values(), ids=FAULTY_LISTS)
def test_faults_of_a_list_name_its_line(imported, text, message):
    with pytest.raises(DataError, match=message):
        imported(YEAR_2016 | {"list.csv": text}, train_list="list.csv")


def test_a_clip_to_train_and_to_test_on_is_refused(imported):
    files = YEAR_2016 | {"train.csv": "video_id\nvideo0\n", "test.csv": "video_id\nvideo0\n"}
    with pytest.raises(DataError, match=r"test.csv, line 2 names the video 'video0', which train.csv, line 2 names"):
        imported(files, train_list="train.csv", test_list="test.csv")


FAULTY_TRANSLATIONS = {
    "unknown sentence": (
        {"sentences": [sentence(9, 0, "x")]},
        r"it.json, sentences\[0\] translates sen_id 9 of 'video0', which the English files lack",
    ),
    "unknown video": ({"video99.mp4": ["x"]}, r"it.json, 'video99.mp4' translates a video that the English files lack"),
    "count": (
        {"video0.mp4": ["x"]},
        r"it.json, 'video0.mp4' has 1 sentences, but the English files have 2; expected as many",
    ),
    "no list": ({"video0.mp4": "x"}, r"it.json has video0.mp4 'x'; expected a list"),
}


@pytest.mark.parametrize(("document", "message"), FAULTY_TRANSLATIONS.values(), ids=FAULTY_TRANSLATIONS)
def test_faults_of_a_translation_name_their_place(imported, document, message):
    with pytest.raises(DataError, match=message):
        imported(YEAR_2016 | {"it.json": json.dumps(document)}, translations={"it": "it.json"})


@pytest.mark.parametrize(
    ("lang", "message"),
    [
        ("cz", "a translation of MSR-VTT has language 'cz'; expected an ISO 639-1 code; did you mean 'cs'"),
        ("en", "a translation of MSR-VTT has language 'en'; the English captions come with the data set"),
    ],
)
def test_wrong_languages_are_refused(imported, lang, message):
    with pytest.raises(DataError, match=message):
        imported(YEAR_2016, translations={lang: "x.json"})


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no file of MSR-VTT; expected train_val_videodatainfo.json, .* name the"
    ):
        import_msrvtt(tmp_path, tmp_path / "out")


def test_a_missing_translation_is_refused(imported):
    with pytest.raises(DataError, match=r"it.json does not exist in "):
        imported(YEAR_2016, translations={"it": Path("it.json")})
