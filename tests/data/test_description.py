"""What a dataset says about itself."""

import json
from dataclasses import replace

import numpy as np

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.description import describe
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter

CLIPS = [
    Clip(clip_id=name, video=name, split=split, source=source)
    for name, split, source in (("a", "train", "x"), ("b", "train", "y"), ("c", "test", "x"))
]
CAPTIONS = [
    Caption(caption_id=f"{clip_id}#{number}", clip_id=clip_id, lang=lang, text="x", origin=origin)
    for clip_id, number, lang, origin in (
        ("a", 0, "en", "human"), ("a", 1, "en", "human"), ("b", 0, "en", "human"), ("c", 0, "en", "generated"),
        ("a", 0, "cs", "machine-translated"), ("c", 0, "cs", "machine-translated"),
    )
]  # fmt: skip


def dataset():
    return Dataset.build("small", CLIPS, CAPTIONS, has_publisher_splits=True)


def test_a_description_for_people(tmp_path):
    saved = dataset().save(tmp_path / "ds")
    settings = FeatureSettings(extractor="vgg", extractor_fingerprint="0", dim=1024)
    with FeatureWriter(saved.features_folder("vgg"), settings) as store:
        store.add("b", np.ones((1, 1024)))
        store.add("a", np.ones((4, 1024)))
        store.add("not a clip", np.ones((50, 1024)))
    assert describe(saved).lines() == [
        "small: 3 clips, 6 captions in 2 languages",
        "parallel sentences in all languages: 2",
        "",
        "split  clips  captions",
        "train      2         4",
        "test       1         2",
        "",
        "language    origin              captions  clips  captions per clip (min / median / max)",
        "en English  generated                  1      1  1 / 1 / 1",
        "en English  human                      3      2  1 / 1.5 / 2",
        "cs Czech    machine-translated         2      2  1 / 1 / 1",
        "",
        "features  width  clips   rows per clip (min / median / max)",
        "vgg       1,024  2 of 3  1 / 2.5 / 4",
        "",
        "sources in more than one split: 1, the first is x (train, test)",
        f"warning: {saved.recorded_warnings[0]}",
    ]


def test_a_dataset_without_captions_features_or_warnings():
    lines = describe(Dataset.build("bare", CLIPS[:2], [])).lines()
    assert lines[0] == "bare: 2 clips, 0 captions in 0 languages"
    assert "captions: none" in lines
    assert "features: none; make them with `polyreel extract`" in lines
    assert lines[-1] == "sources in more than one split: none"


def test_a_description_for_programs():
    values = json.loads(json.dumps(describe(dataset()).to_json()))
    assert values["splits"] == [
        {"split": "train", "clips": 2, "captions": 4}, {"split": "test", "clips": 1, "captions": 2},
    ]  # fmt: skip
    assert values["languages"][1]["captions"] == 3
    assert values["straddling_sources"] == {"x": ["train", "test"]}
    assert values["fingerprint"] == dataset().fingerprint
    assert len(values["recorded_warnings"]) == 1


def test_counts_add_up():
    described = describe(replace(dataset(), captions=dataset().captions.slice(0, 5)))
    assert described.captions == sum(row.captions for row in described.splits) == 5
    assert sum(row.captions for row in described.languages) == 5
