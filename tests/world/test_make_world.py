from collections import Counter
from random import Random

import av
import numpy as np
import pytest

from polyreel.data.clips import Caption
from polyreel.data.dataset import Dataset
from polyreel.errors import FingerprintError
from polyreel.storage import fingerprint_files, write_json
from polyreel.world import WORLD_LANGS, make_world
from polyreel.world.drawing import draw_frames
from polyreel.world.scenes import Scene, Thing


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), num_clips=12, seed=1)


def texts(dataset: Dataset) -> dict[tuple[str, str], str]:
    return {(caption.caption_id, caption.lang): caption.text for caption in dataset.iter_captions()}


def training(by_key: dict[tuple[str, str], str], dataset: Dataset) -> dict[tuple[str, str], str]:
    clips = set(dataset.split("train").clip_ids)
    return {key: text for key, text in by_key.items() if key[0].split("#")[0] in clips}


def test_a_world_is_a_dataset_that_opens_again(world):
    assert Dataset.open(world.folder).fingerprint == world.fingerprint
    assert Counter(world.clips["split"].to_pylist()) == {"train": 8, "val": 2, "test": 2}
    assert len(set(world.clips["source"].to_pylist())) == 12
    assert world.langs == ("en", "cs", "de", "es", "fr", "ru", "sw", "vi", "zh")
    assert set(world.captions["origin"].to_pylist()) == {"generated"}


def test_every_sentence_exists_in_every_language(world):
    assert world.captions.num_rows == 12 * 4 * 9
    assert len(world.parallel(WORLD_LANGS)) == 12 * 4
    first = [caption for caption in world.iter_captions() if caption.caption_id == "clip0000#0"]
    assert [caption.lang for caption in first] == list(WORLD_LANGS)
    assert all(isinstance(caption, Caption) and caption.clip_id == "clip0000" for caption in first)


def test_clips_are_two_seconds_of_h264(world):
    for clip in world.iter_clips():
        with av.open(str(world.videos_folder / clip.video)) as file:
            stream = file.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
            assert stream.codec_context.name == "h264"
            assert float(stream.duration * stream.time_base) == clip.end_seconds == 2.0
            assert np.shape(frames) == (24, 128, 128, 3)


def test_what_is_drawn_is_what_the_scene_says():
    red_star = Thing(shape="star", colour="red", size="large")
    scene = Scene(thing=red_star, motion="right", background="night")
    frames = list(draw_frames(scene, Random(0)))
    columns = [np.nonzero((frame[..., 0] > 200) & (frame[..., 1] < 80))[1].mean() for frame in frames]
    assert len(frames) == 24
    assert np.all(np.diff(columns) > 0)


def test_the_same_seed_gives_the_same_bytes(world, tmp_path):
    again = make_world(tmp_path, num_clips=12, seed=1)
    videos = [sorted(dataset.videos_folder.glob("*.mp4")) for dataset in (world, again)]
    assert len(videos[0]) == 12
    assert fingerprint_files(videos[0]) == fingerprint_files(videos[1])
    assert again.fingerprint == world.fingerprint


def test_another_seed_gives_another_world(world, tmp_path):
    assert make_world(tmp_path, num_clips=6, seed=2).captions["text"][0] != world.captions["text"][0]


def test_only_what_is_missing_is_drawn_again(tmp_path):
    make_world(tmp_path, num_clips=6)
    kept, lost = tmp_path / "videos" / "clip0001.mp4", tmp_path / "videos" / "clip0002.mp4"
    before, bytes_before = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    told = []
    make_world(tmp_path, num_clips=6, captions_per_clip=1, progress=lambda *each: told.append(each))
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == bytes_before
    assert told[-1] == (6, 6, "drawing clips")


def test_a_folder_keeps_to_one_world(tmp_path):
    make_world(tmp_path, num_clips=6)
    with pytest.raises(FingerprintError, match=r"seed 0 \(asked: 5\); choose another folder"):
        make_world(tmp_path, num_clips=6, seed=5)


def test_a_folder_of_another_dataset_is_refused(tmp_path):
    write_json(tmp_path / "dataset.json", {})
    with pytest.raises(FingerprintError, match="a dataset that is no drawn world"):
        make_world(tmp_path, num_clips=6)


def test_fewer_captions_in_training_alone(world, tmp_path):
    poor = make_world(tmp_path, num_clips=12, seed=1, captions_per_lang={"de": 1, "sw": 0})
    counts = Counter((split, lang) for split in poor.splits for lang in poor.split(split).captions["lang"].to_pylist())
    assert [counts["train", lang] for lang in ("en", "de", "sw", "fr")] == [32, 8, 0, 32]
    assert [counts["test", lang] for lang in ("en", "de", "sw", "fr")] == [8, 8, 8, 8]
    assert texts(poor).items() <= texts(world).items()


def test_noise_is_in_training_alone_and_never_in_english(world, tmp_path):
    right, noisy = texts(world), texts(make_world(tmp_path / "all", num_clips=12, seed=1, noise=1.0))
    wrong = {key for key in right if noisy[key] != right[key]}
    assert wrong == {key for key in training(right, world) if key[1] != "en"}
    some = texts(make_world(tmp_path / "some", num_clips=12, seed=1, noise={"cs": 0.5}))
    wrong_in_czech = {key for key in right if some[key] != right[key]}
    assert {lang for _, lang in wrong_in_czech} == {"cs"}
    assert 6 <= len(wrong_in_czech) <= 26
    assert all(some[key] == noisy[key] for key in wrong_in_czech)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clips": 5}, "num_clips is 5; it must be between 6 and 5000"),
        ({"captions_per_clip": 0}, "captions_per_clip is 0; it must be between 1 and 12"),
        ({"captions_per_clip": 13}, "captions_per_clip is 13"),
        ({"langs": ("en", "it")}, "'it', which the drawn world does not speak; it speaks en, de"),
        ({"langs": ()}, "must name one language or more, each once"),
        ({"langs": ("en", "en")}, "must name one language or more, each once"),
        ({"captions_per_lang": {"de": 5}}, r"captions_per_lang\['de'\] is 5; it must be between 0 and 4"),
        ({"captions_per_lang": {"en": 1}}, "captions_per_lang has 'en'; allowed are the world's languages other than"),
        ({"langs": ("en", "de"), "captions_per_lang": {"fr": 1}}, "captions_per_lang has 'fr'"),
        ({"noise": 1.5}, "noise of 'de' is 1.5; it must be between 0.0 and 1.0"),
        ({"noise": float("nan")}, "noise of 'de' is nan"),
        ({"noise": {"en": 0.1}}, "noise has 'en'; allowed are"),
    ],
)
def test_settings_outside_their_range_are_refused_before_anything_is_made(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make_world(tmp_path / "world", **settings)
    assert not (tmp_path / "world").exists()
