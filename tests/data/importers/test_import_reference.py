"""Data files in the reference's form, with what may go wrong in them."""

import pickle

import numpy as np
import pytest

from polyreel.cli import main
from polyreel.data.importers.reference import import_reference
from polyreel.errors import DataError

ROWS = np.ones((2, 3), np.float32)


@pytest.fixture
def dump(tmp_path):
    """Pickle entries into a file."""

    def write(entries, name="test.pkl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(entries))
        return path

    return write


def texts(dataset):
    return [(caption.caption_id, caption.lang, caption.text) for caption in dataset.iter_captions()]


def test_a_sentence_and_its_translations_share_a_number(dump, tmp_path):
    entry = {"id": 7, "caption_en": ["a", "b"], "caption_cz": ["č", "  "], "caption_de": []}
    dataset = import_reference(dump([entry]), tmp_path / "out")
    assert texts(dataset) == [("7#0", "en", "a"), ("7#1", "en", "b"), ("7#0", "cs", "č")]
    assert [caption.origin for caption in dataset.iter_captions()] == ["human", "human", "machine-translated"]


def test_captions_to_test_on_come_before_those_to_train_on(dump, tmp_path):
    entry = {"id": "a", "caption_en": ["one", "two"], "eval_caption_en": "two", "eval_caption_zh": "二"}
    dataset = import_reference(dump([entry]), tmp_path / "out", human_langs=["zh"])
    assert texts(dataset) == [("a#0", "en", "two"), ("a#0", "zh", "二")]
    assert set(dataset.captions["origin"].to_pylist()) == {"human"}


def test_a_caption_without_a_language_is_english(dump, tmp_path):
    entries = [{"id": "a", "caption": "old", "caption_en": "new"}, {"id": "b", "caption": "only"}]
    assert texts(import_reference(dump(entries), tmp_path / "out")) == [("a#0", "en", "new"), ("b#0", "en", "only")]


def test_clips_without_features_shift_nobody_else_s(dump, tmp_path):
    entries = [
        {"id": "a", "caption_en": "a", "2d": 1 * ROWS, "s3d": ROWS},
        {"id": "b", "caption_en": "b", "2d": 2 * ROWS, "s3d": np.zeros((0, 3), np.float32)},
        {"id": "c", "caption_en": "c", "2d": 3 * ROWS[0]},
        {"id": "d", "caption_en": "d", "2d": 4 * ROWS, "s3d": 4 * ROWS, "audio": ROWS, "genre": "news"},
    ]
    dataset = import_reference(dump(entries), tmp_path / "out", extractors={"s3d": "s3d-howto100m"})
    assert dataset.recorded_warnings == (
        "2 clip(s) have no features 's3d-howto100m', the first is 'b'",
        "the key 'genre' of 1 clip(s) was left out",
    )
    store = dataset.features("s3d-howto100m")
    assert store.missing("abcd") == ["b", "c"]
    np.testing.assert_array_equal(store["d"], 4 * ROWS)
    np.testing.assert_array_equal(dataset.features("2d")["c"], 3 * ROWS[:1])


def test_clips_without_captions_are_kept_and_counted(dump, tmp_path):
    dataset = import_reference(dump([{"id": "a", "captions": {"en": None, "hi": ""}, "2d": ROWS}]), tmp_path / "out")
    assert dataset.recorded_warnings == ("1 clip(s) have no captions, the first is 'a'",)


@pytest.mark.parametrize(
    ("name", "split"), [("rudder_train.pkl", "train"), ("a-Validation.pkl", "val"), ("youcook_val_fixed2.pkl", "val")]
)
def test_the_name_of_a_file_says_its_split(dump, tmp_path, name, split):
    assert import_reference(dump([{"id": "a", "caption": "a"}], name), tmp_path / "out").splits == (split,)


@pytest.mark.parametrize("name", ["data.pkl", "train_and_test.pkl", "latest.pkl"])
def test_a_name_that_says_no_split(dump, tmp_path, name):
    with pytest.raises(DataError, match=rf"{name} does not say in its name which split .*, as in {name}:test"):
        import_reference(dump([{"id": "a", "caption": "a"}], name), tmp_path / "out")


def test_as_many_splits_as_files(dump, tmp_path):
    with pytest.raises(ValueError, match="there are 1 files and 2 splits; give one for each file, or none"):
        import_reference(dump([{"id": "a"}]), tmp_path / "out", splits=["train", "test"])


FAULTS = {
    "no list": ({"id": "a"}, r"test\.pkl holds a dict; expected a list with a dict for each clip"),
    "nothing": ([], r"test\.pkl holds a list; expected a list with a dict for each clip"),
    "no dict": (["a"], r"test\.pkl, entry 0 is a str; expected a dict with texts as keys"),
    "other keys": ([{1: "a"}], r"test\.pkl, entry 0 is a dict; expected a dict with texts as keys"),
    "no id": ([{"id": "a"}, {"caption": "a"}], r"test\.pkl, entry 1 has no id; .*; it has 'caption'"),
    "an empty id": ([{"id": ""}], r"test\.pkl, entry 0 has no id"),
    "a caption of numbers": (
        [{"id": "a", "caption_de": [1]}],
        r"entry 0 has a caption in 'de' of type int; expected a text",
    ),
    "half a letter": ([{"id": "a", "caption": "\ud800"}], r"entry 0 has a caption in 'en' that is no Unicode text"),
    "no language": (
        [{"id": "a", "caption_jp": "a"}],
        r"entry 0 \(caption 'a#0'\) has language 'jp'; .* did you mean 'ja'",
    ),
    "twice": ([{"id": "a"}, {"id": "a"}], r"entry 1 repeats the clip id 'a' of test\.pkl, entry 0"),
    "two widths": (
        [{"id": "a", "2d": ROWS}, {"id": "b", "2d": ROWS[:, :2]}],
        r"entry 1, '2d': clip 'b' has features of shape \[2, 2\]",
    ),
    "no number": ([{"id": "a", "2d": ROWS * np.nan}], r"entry 0, '2d': clip 'a' has NaN or infinity"),
    "texts": ([{"id": "a", "2d": np.array([["a"]])}], r"entry 0, '2d': clip 'a' has features of type <U1"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_used_is_named(dump, tmp_path, case):
    entries, message = FAULTS[case]
    with pytest.raises(DataError, match=message):
        import_reference(dump(entries), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_extractor_of_features_that_are_not_there(dump, tmp_path):
    with pytest.raises(DataError, match="no clip has features under the key '3d'; there are 2d"):
        import_reference(dump([{"id": "a", "2d": ROWS}]), tmp_path / "out", extractors={"3d": "s3d"})


def test_a_dataset_is_replaced_only_if_said(dump, tmp_path):
    source = dump([{"id": "a", "caption": "a"}])
    import_reference(source, tmp_path / "out")
    with pytest.raises(DataError, match="already is a dataset"):
        import_reference(source, tmp_path / "out")
    import_reference(source, tmp_path / "out", replace=True)


def test_the_verb(dump, tmp_path, capsys):
    train = dump([{"id": "a", "caption": "a", "2d": ROWS}], "one.pkl")
    test = dump([{"id": "b", "caption_zh": "b"}], "msrvtt_test.pkl")
    words = [f"{train}:train", test, "-o", tmp_path / "out", "--extractor", "2d=clip", "--human", "zh", "--quiet"]
    assert main(["import", "reference", *map(str, words)]) == 0
    assert capsys.readouterr().out == (
        f"warning: 1 clip(s) have no features 'clip', the first is 'b'\n{tmp_path / 'out'}: 2 clips, 2 captions\n"
    )


def test_a_file_that_is_not_there_is_said_before_all_else(tmp_path):
    with pytest.raises(DataError, match=r"gone\.pkl is no file; name a pickle, as the reference implementation's data"):
        import_reference(tmp_path / "gone.pkl", tmp_path / "dataset")
