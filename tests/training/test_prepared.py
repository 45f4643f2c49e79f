"""What is prepared once is what would be made each time, is found again, and is no matter where it cannot be kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from polyreel.data.dataset import Dataset
from polyreel.models.settings import VideoSettings
from polyreel.models.subword import SubwordBackbone
from polyreel.models.video import VideoTower
from polyreel.training.batches import sample_batches
from polyreel.training.candidates import rank_clips
from polyreel.training.captions import tabulate
from polyreel.training.material import gather_material
from polyreel.training.prepared import prepare_captions, prepare_frames, prepare_hard_clips
from polyreel.training.student import build_student
from polyreel.training.teachers import BankedTeacher, TeacherBank

LANGS = ["en", "it"]


@pytest.fixture
def learnt(toy, tmp_path):
    """The toy's training clips, in a folder of this test's own."""
    saved = Dataset.build("toy", toy.clips, toy.captions).save(tmp_path / "own")
    (tmp_path / "own" / "features").symlink_to(toy.folder / "features")
    return saved.split("train")


@pytest.fixture(scope="module")
def text(recipe):
    asked = recipe()
    return build_student(asked, gather_material(asked)).text


def kept(learnt):
    return {path: path.stat().st_mtime_ns for path in (learnt.folder / "prepared").glob("*/*.npy")}


def test_captions_from_the_disk_are_those_tokenised_now(learnt, text):
    found, expected = prepare_captions(learnt, LANGS, text), tabulate(learnt, LANGS, text.tokenize)
    assert found.tokens.ids.tolist() == expected.tokens.ids.tolist()
    assert [str(one) for one in found.sentence_ids] == list(expected.sentence_ids)
    assert found.clip_ids == expected.clip_ids
    for sampling in ("independent", "parallel"):
        pairs = (sample_batches(table, 16, sampling, seed=3) for table in (found, expected))
        for _, mine, theirs in zip(range(6), *pairs, strict=False):
            assert mine.clips_B.tolist() == theirs.clips_B.tolist()
            assert mine.rows_N.tolist() == theirs.rows_N.tolist()


def test_they_are_tokenised_once_and_mapped(learnt, text, monkeypatch):
    prepare_captions(learnt, LANGS, text)
    files = kept(learnt)
    monkeypatch.setattr(SubwordBackbone, "tokenize", lambda self, texts: pytest.fail("tokenised again"))
    table = prepare_captions(learnt, LANGS, text)
    assert files and kept(learnt) == files
    assert not table.tokens.ids.flags.owndata and not table.tokens.ids.flags.writeable


def test_other_captions_languages_or_tokenizers_are_kept_apart(learnt, text, recipe):
    prepare_captions(learnt, LANGS, text)
    prepare_captions(learnt, ["en"], text)
    prepare_captions(learnt.first_captions({"en": 1}), LANGS, text)
    asked = recipe(text={"vocab_size": 100})
    prepare_captions(learnt, LANGS, build_student(asked, gather_material(asked)).text)
    assert len(list((learnt.folder / "prepared").glob("captions-*"))) == 4


@pytest.mark.parametrize("at_once", [7, 1024])
def test_frames_from_the_disk_are_those_scaled_now(learnt, at_once, monkeypatch):
    monkeypatch.setattr("polyreel.training.prepared._CLIPS_AT_ONCE", at_once)
    features, tower = learnt.features("noise"), VideoTower(VideoSettings(max_frames=2), video_dim=16, embed_dim=4)
    expected = tower.frames([features[clip_id] for clip_id in learnt.clip_ids])
    for _ in range(2):
        found = prepare_frames(learnt, features, tower)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))
    assert len(list((learnt.folder / "prepared").glob("frames-*"))) == 1


def test_a_dataset_that_cannot_be_written_to_is_prepared_in_memory(learnt, text):
    expected = prepare_captions(learnt, LANGS, text)
    (learnt.folder / "captions").write_text("a file")
    for other in (replace(learnt, folder=None), replace(learnt, folder=learnt.folder / "captions")):
        assert np.array_equal(prepare_captions(other, LANGS, text).tokens.ids, expected.tokens.ids)


def test_hard_clips_are_ranked_once_mapped_and_kept_apart_by_all_that_decides_them(learnt, recipe, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(2, len(learnt.clip_ids) + 9, 5)).astype(np.float32)
    teachers = [BankedTeacher(fingerprint=str(k), clips_CD=rows[k, 9:], sentences_SD=rows[k, :9]) for k in range(2)]
    bank = TeacherBank(teachers, learnt.clip_ids, list("abcdefghi"))

    def prepare(bank_settings=(), inputs="1", **changes):
        settings = {"sample": 5, "hard": 3, **dict(bank_settings)}
        return prepare_hard_clips(learnt, bank, recipe(bank=settings, **changes), {"teacher_fingerprints": inputs})

    found, expected = prepare(), np.zeros((9, 3), np.int32)
    rank_clips(bank, "max", np.arange(len(learnt.clip_ids)), expected)
    assert isinstance(found, np.memmap) and not found.flags.writeable and np.array_equal(found, expected)
    assert prepare({"sample": None}) is None and prepare({"hard": 0}) is None
    prepare({"hard": 2})
    prepare({"ranked_among": 20})
    prepare({"ranked_among": 20}, seed=2)
    prepare(objective={"teacher_pooling": "min"})
    prepare(teachers={"lang": "it"})
    prepare(inputs="2")
    assert len(list((learnt.folder / "prepared").glob("hard-*"))) == 7
    monkeypatch.setattr("polyreel.training.prepared.rank_clips", lambda *_: pytest.fail("ranked again"))
    assert np.array_equal(prepare(seed=2), expected), "without a draw the seed decides nothing"
