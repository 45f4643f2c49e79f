"""The reference's data files in all four layouts."""

from collections import Counter

import numpy as np
import pytest

from polyreel import import_reference
from polyreel.safe_pickle import read_data

EIGHT = {"cs", "de", "es", "fr", "ru", "vi", "zh"}


@pytest.fixture
def file(shared):
    return lambda name: shared / "conformance" / f"{name}.pkl"


def caption_counts(dataset):
    return Counter(dataset.captions["lang"].to_pylist())


def test_msrvtt_to_train_and_to_test(file, tmp_path):
    files = [file("msrvtt_train_multilingual"), file("msrvtt_jsfusion_test_multilingual")]
    dataset = import_reference(files, tmp_path / "msrvtt", extractors={"2d": "clip-vit-b-32"})
    assert Counter(dataset.clips["split"].to_pylist()) == {"train": 6, "test": 4}
    assert caption_counts(dataset) == dict.fromkeys({"en", "sw"} | EIGHT, 6 * 3 + 4)
    assert len(dataset.parallel(dataset.langs)) == 6 * 3 + 4
    assert dataset.extractors == ("3d", "clip-vit-b-32")
    assert dataset.recorded_warnings == ()
    store = dataset.features("clip-vit-b-32")
    for path in files:
        for entry in read_data(path):
            assert store[entry["id"]].dtype == np.float16
            np.testing.assert_array_equal(store[entry["id"]], entry["2d"])


def test_youcook2_writes_czech_otherwise(file, tmp_path):
    dataset = import_reference(file("youcook_val_audio_multilingual_fixed"), tmp_path / "youcook2")
    assert dataset.splits == ("val",)
    assert caption_counts(dataset) == dict.fromkeys({"en", "ja"} | EIGHT, 5)
    assert {caption.text[:2] for caption in dataset.iter_captions() if caption.lang == "cs"} == {"cz"}
    assert dataset.extractors == ("2d_full", "2d_raw", "3d")


def test_rudder_leaves_languages_out(file, tmp_path):
    dataset = import_reference(file("rudder_test"), tmp_path / "rudder")
    assert caption_counts(dataset) == {"hi": 7, "en": 6, "mr": 4, "kn": 2}
    found = {(caption.clip_id, caption.lang): caption.text for caption in dataset.iter_captions()}
    expected = {
        (entry["id"], lang): text
        for entry in read_data(file("rudder_test"))
        for lang, text in entry["captions"].items()
    }
    assert found == expected
    assert set(dataset.captions["origin"].to_pylist()) == {"human"}
