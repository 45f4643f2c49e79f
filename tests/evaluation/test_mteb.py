"""A model on tasks in mteb's form: the drawn world's own files, decoded by our decoder, against our own evaluation."""

import pytest

from polyreel.errors import DataError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # mteb's and datasets' own
]
mteb = pytest.importorskip("mteb", reason="needs the extra mteb")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from polyreel import extract, make_world, open_extractor

    world = make_world(tmp_path_factory.mktemp("mteb") / "world", num_clips=40)
    extract(world, open_extractor("pixels"))
    return world


@pytest.fixture(scope="module")
def model(world):
    from polyreel import Retriever
    from polyreel.models.settings import TextSettings, VideoSettings

    return Retriever.build(
        TextSettings(width=16),
        VideoSettings(pooling="mean"),
        world.features("pixels").settings,
        embed_dim=16,
        langs=["en", "zh"],
        training_texts=world.captions["text"].to_pylist(),
    )


def scores(model, world, direction):
    from polyreel.evaluation.mteb_tasks import DRAWN_WORLD, video_task

    task = video_task(world, DRAWN_WORLD, direction, langs=["en", "zh"])
    result = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    return {row["hf_subset"]: row for row in result.task_results[0].scores["test"]}


@pytest.mark.parametrize("direction", ["t2v", "v2t"])
def test_mteb_measures_what_we_measure(model, world, direction):
    from polyreel import evaluate
    from polyreel.evaluation.mteb_model import MtebModel

    features = world.features("pixels")
    report = evaluate(model, world, features=features, langs=["en", "zh"])
    found = scores(MtebModel(model, features=features), world, direction)
    for lang in ("en", "zh"):
        for k in (1, 5, 10):
            ours = report.row(lang, f"R@{k}", direction).value
            assert 100 * found[lang][f"hit_rate_at_{k}"] == pytest.approx(ours, abs=1e-3)  # mteb rounds to five digits


def test_videos_are_decoded_without_torchcodec(model, world):
    from polyreel.evaluation.mteb_model import MtebModel

    decoded = scores(MtebModel(model), world, "t2v")
    assert (
        decoded["en"]["ndcg_at_10"]
        == scores(MtebModel(model, features=world.features("pixels")), world, "t2v")["en"]["ndcg_at_10"]
    )


def test_a_column_of_mtebs_own_kind_is_not_decoded_by_it(model, world):
    """As in mteb's tasks on the hub: a column of kind Video, which torchcodec would decode, here with the bytes."""
    from datasets import Dataset, Video

    from polyreel.evaluation.mteb_model import MtebModel

    files = [world.videos_folder / video for video in world.clips["video"].to_pylist()[:3]]
    rows = [{"bytes": file.read_bytes(), "path": file.name} for file in files] + [{"bytes": b"none", "path": "x.mp4"}]
    names = [*world.clip_ids[:3], "broken"]
    clips = Dataset.from_dict({"id": names, "video": rows}).cast_column("video", Video())
    asked = MtebModel(model)
    asked.index(clips)
    found = asked.search(Dataset.from_dict({"id": ["q"], "text": ["a red circle"]}), top_k=4)["q"]
    by_file = model.encode_clips([world.features("pixels")[name] for name in names[:3]])
    for name, sim in zip(names[:3], by_file @ model.encode_text(["a red circle"])[0], strict=True):
        assert found[name] == pytest.approx(float(sim), abs=1e-5)
    assert found["broken"] == -1.0 and "broken" in asked.failures


def test_what_cannot_be_asked_is_refused(model, world):
    from datasets import Dataset

    from polyreel.evaluation.mteb_model import MtebModel
    from polyreel.evaluation.mteb_tasks import VATEX, video_task

    with pytest.raises(DataError, match=r"'it' cannot be asked on split 'test' of 'world'; expected one of en, cs"):
        video_task(world, VATEX, langs=["it"])
    with pytest.raises(DataError, match=r"a row of this task has id, audio; expected either 'text' or 'video'"):
        MtebModel(model).index(Dataset.from_dict({"id": ["a"], "audio": ["x"]}))
