"""What a text encoder had read before is found, kept with the model, and said beside its figures."""

import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.evaluation.report import Report, evaluate
from polyreel.evaluation.tables import one_system
from polyreel.models.pretraining import UNKNOWN, pretraining_of
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings

FEATURES = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=4)


@pytest.mark.parametrize(
    ("backbone", "found"),
    [
        ("sentence-transformers/LaBSE", "109 languages"),
        ("/models/paraphrase-multilingual-MiniLM-L12-v2", "distilled over bilingual sentences in 50"),
        ("intfloat/multilingual-e5-small", "100 languages"),
    ],
)
def test_what_is_known_by_name_is_said_and_a_recipe_may_say_otherwise(backbone, found):
    assert found in (pretraining_of(TextSettings(backbone=backbone)) or "")
    assert pretraining_of(TextSettings(backbone=backbone, pretrained_on="recipes")) == "recipes"


def test_a_card_tells_and_what_nothing_tells_is_called_so(tmp_path):
    asked = TextSettings(backbone=str(tmp_path))
    assert pretraining_of(asked) == UNKNOWN
    card = tmp_path / "README.md"
    for header, found in (
        ("datasets:\n- all-nli\n- opus", "all-nli, opus (its card)"),
        ("datasets: opus", "opus (its card)"),
        ("license: mit", UNKNOWN),
    ):
        card.write_text(f"---\n{header}\n---\n# A model\n")
        assert pretraining_of(asked) == found
    card.write_text("---\ndatasets: [\n---\n")
    assert pretraining_of(asked) == UNKNOWN
    assert pretraining_of(TextSettings()) is None


def test_it_goes_with_the_model_and_its_reports_and_changes_no_fingerprint(static_folder, tmp_path):
    settings = TextSettings(backbone=str(static_folder), pretrained_on="public parallel text")
    video = VideoSettings(pooling="mean")
    model = Retriever.build(settings, video, FEATURES, embed_dim=4, langs=["en"], training_texts=["a dog"])
    model.save(tmp_path / "model")
    opened = Retriever.load(tmp_path / "model")
    assert opened.pretrained_on == "public parallel text"
    assert "pretrained on public parallel text |" in (tmp_path / "model" / "README.md").read_text()
    opened.settings = opened.settings.model_copy(
        update={"text": settings.model_copy(update={"pretrained_on": None}), "space": "another"}
    )
    assert opened.fingerprint == model.fingerprint
    dataset = _dataset(tmp_path)
    report = evaluate(model, dataset, features=dataset.features("noise"), name="student")
    report.save(tmp_path / "report")
    note = one_system(Report.open(tmp_path / "report")).note
    assert "student's text encoder was pretrained on public parallel text" in note


def _dataset(place):
    clips = [Clip(clip_id=name, video=name, split="test", source=name) for name in "ab"]
    captions = [Caption(caption_id=f"{name}#0", clip_id=name, lang="en", text=f"a dog {name}") for name in "ab"]
    dataset = Dataset.build("toy", clips, captions).save(place / "toy")
    with FeatureWriter(dataset.features_folder("noise"), FEATURES) as writer:
        for clip in clips:
            writer.add(clip.clip_id, np.ones((2, 4), np.float32))
    return Dataset.open(place / "toy")
